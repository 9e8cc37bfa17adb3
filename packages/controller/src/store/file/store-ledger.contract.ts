/**
 * What the callers of a store were told, and whether what a later store finds is in accord with it.
 *
 * A write is `asked` until its promise settles; then it is `kept` or `refused`. Found must be: what was kept last, or
 * something that was asked or refused after it. Whole, in both cases.
 */
import { expect } from '@jest/globals';
import type { Store } from '../store.js';

type Told = 'asked' | 'kept' | 'refused';

interface RecordWrite {
  /** Undefined for a removal. */
  readonly value: unknown;
  told: Told;
}

interface EventWrite {
  /** Undefined for the removal of all events so far. */
  readonly event: { readonly sequence: number; readonly marker: string } | undefined;
  told: Told;
}

export interface Ledger {
  /** Notes a write of a record, and what its caller is told. `value` undefined = its removal. */
  record(key: string, value: unknown, outcome: Promise<unknown>): void;
  event(
    vmId: string,
    event: { readonly sequence: number; readonly marker: string },
    outcome: Promise<unknown>,
  ): void;
  removedEvents(vmId: string, outcome: Promise<unknown>): void;
  /** The sequence of the VM's next event: one that was refused is sent again. */
  nextSequence(vmId: string): number;
  /** The newest value that was asked for; undefined if there is none, or if it is to be removed. */
  newest(key: string): unknown;
  /** Compares with what the store has, and goes on from there: what it has counts as kept. */
  expectInAccord(store: Store): Promise<void>;
  /** Marks one write, as no other of this ledger is marked. */
  nextMarker(): string;
  /** Resolves when every caller was told. */
  settled(): Promise<void>;
  readonly keptCount: number;
  readonly refusals: readonly unknown[];
}

export function createLedger(): Ledger {
  const records = new Map<string, RecordWrite[]>();
  const events = new Map<string, EventWrite[]>();
  /** Of each VM, the highest sequence of an event that was kept. */
  const highest = new Map<string, number>();
  const outcomes: Promise<unknown>[] = [];
  const refusals: unknown[] = [];
  let keptCount = 0;
  let markers = 0;

  function follow(write: { told: Told }, outcome: Promise<unknown>): void {
    const told = outcome.then(
      () => {
        write.told = 'kept';
        keptCount += 1;
      },
      (error: unknown) => {
        write.told = 'refused';
        refusals.push(error);
      },
    );
    outcomes.push(told);
  }

  function listOf<T>(map: Map<string, T[]>, key: string): T[] {
    const list = map.get(key) ?? [];
    map.set(key, list);
    return list;
  }

  function expectRecord(key: string, found: unknown): void {
    const writes = listOf(records, key);
    const last = writes.findLastIndex((write) => write.told === 'kept');
    const possible = writes.slice(Math.max(0, last)).map((write) => write.value);
    if (last < 0) possible.push(undefined);
    expect({ key, found, possible }).toMatchObject({ possible: expect.arrayContaining([found]) as unknown });
    records.set(key, [{ value: found, told: 'kept' }]);
  }

  function expectEvents(vmId: string, found: readonly { sequence: number; marker: string }[]): void {
    const writes = listOf(events, vmId);
    const lastRemoval = writes.findLastIndex((write) => write.event === undefined && write.told === 'kept');
    // A removal that nobody was told of may have happened, or not.
    const removals = writes.flatMap((write, index) =>
      index > lastRemoval && write.event === undefined ? [index] : [],
    );
    const agrees = [lastRemoval, ...removals].some((removal) => {
      const after = writes.map((write, index) => (index > removal ? write.event?.marker : undefined));
      const places = found.map((event) => after.indexOf(event.marker));
      const kept = after.filter((marker, index) => marker !== undefined && writes[index]?.told === 'kept');
      return (
        places.every((place, index) => place > (places[index - 1] ?? -1)) &&
        kept.every((marker) => found.some((event) => event.marker === marker))
      );
    });
    const sequences = found.map((event) => event.sequence);
    const once = new Set(sequences).size === sequences.length;
    highest.set(vmId, Math.max(highest.get(vmId) ?? 0, ...sequences));
    expect({ vmId, agrees, once, found, writes }).toMatchObject({ agrees: true, once: true });
    events.set(
      vmId,
      found.map((event) => ({ event, told: 'kept' })),
    );
  }

  return {
    record(key, value, outcome) {
      const write: RecordWrite = { value, told: 'asked' };
      listOf(records, key).push(write);
      follow(write, outcome);
    },
    event(vmId, event, outcome) {
      const write: EventWrite = { event, told: 'asked' };
      listOf(events, vmId).push(write);
      follow(
        write,
        outcome.then(() => highest.set(vmId, event.sequence)),
      );
    },
    removedEvents(vmId, outcome) {
      const write: EventWrite = { event: undefined, told: 'asked' };
      listOf(events, vmId).push(write);
      follow(write, outcome);
    },
    nextSequence: (vmId) => (highest.get(vmId) ?? 0) + 1,
    newest: (key) => records.get(key)?.at(-1)?.value,
    async expectInAccord(store) {
      const found = new Map<string, unknown>([
        ...store.loadedVms().map((vm) => [`vm ${vm.vmId}`, vm] as const),
        ...store.loadedCommands().map((command) => [commandKey(command.vmId, command.id), command] as const),
        ...store.loadedDrains().map((drain) => [`drain ${drain.id}`, drain] as const),
        ...store.loadedWorkflowJobs().map((job) => [`workflow job ${job.id}`, job] as const),
        [DOCUMENT, store.document(DOCUMENT)] as const,
      ]);
      for (const key of new Set([...records.keys(), ...found.keys()])) expectRecord(key, found.get(key));
      for (const vmId of events.keys()) {
        const page = await store.events(vmId, { limit: 1_000 });
        expectEvents(
          vmId,
          page.map(({ sequence, data }) => ({ sequence, marker: data['marker'] ?? '' })),
        );
        expect(store.eventPosition(vmId).sequence).toBe(page.at(-1)?.sequence ?? 0);
      }
      expect(store.setAside()).toEqual([]);
      outcomes.length = 0;
    },
    nextMarker: () => `m${(markers += 1)}`,
    async settled() {
      await Promise.all(outcomes);
    },
    get keptCount() {
      return keptCount;
    },
    refusals,
  };
}

/** The one document that is saved; its own key. */
export const DOCUMENT = 'document';

export const commandKey = (vmId: string, commandId: string): string => `command ${vmId} ${commandId}`;
