/** A store in memory whose saves can be held back or made to fail: for the tests of what stands before a store. */
import type { CommandRecord } from '@mig/common/domain/command';
import type { StoredEvent } from '@mig/common/domain/event';
import type { VmRecord, VmReport } from '@mig/common/domain/vm';
import { StoreUnavailableError, type EventPosition, type Store } from './store.js';

export interface MemoryStore extends Store {
  /** What is durable. */
  readonly vms: Map<string, VmRecord>;
  readonly commands: Map<string, CommandRecord>;
  readonly storedEvents: StoredEvent[];
  readonly keptReports: { vmId: string; report: VmReport }[];
  /** Every VM record that became durable, in order. */
  readonly vmSaves: VmRecord[];
  /** From now on saves wait, until the returned function is called. */
  hold(): () => void;
  /** The next `count` writes are refused. */
  failNext(count: number): void;
}

/** With what an earlier store of the same kind held, as after a restart. */
export function createMemoryStore(before?: { vms?: VmRecord[]; commands?: CommandRecord[] }): MemoryStore {
  const vms = new Map(before?.vms?.map((vm) => [vm.vmId, vm]));
  const commands = new Map(before?.commands?.map((command) => [command.id, command]));
  const loadedVms = [...vms.values()];
  const loadedCommands = [...commands.values()];
  const storedEvents: StoredEvent[] = [];
  const keptReports: { vmId: string; report: VmReport }[] = [];
  const vmSaves: VmRecord[] = [];
  const positions = new Map<string, EventPosition>();
  let gate: Promise<void> = Promise.resolve();
  let failures = 0;

  async function write(what: string, effect: () => void): Promise<void> {
    const fails = failures > 0;
    if (fails) failures -= 1;
    await gate;
    if (fails) throw new StoreUnavailableError(what, new Error('disk full'));
    effect();
  }

  return {
    vms,
    commands,
    storedEvents,
    keptReports,
    vmSaves,
    hold() {
      let release = () => {};
      gate = new Promise((resolve) => (release = resolve));
      return release;
    },
    failNext(count) {
      failures = count;
    },
    problem: () => undefined,
    loadedVms: () => loadedVms,
    loadedCommands: () => loadedCommands,
    saveVm: (record) =>
      write(`the record of VM ${record.vmId}`, () => {
        vms.set(record.vmId, record);
        vmSaves.push(record);
      }),
    async deleteVm(vmId) {
      vms.delete(vmId);
    },
    saveCommand: (record) => write(`command ${record.id}`, () => commands.set(record.id, record)),
    async deleteCommand(record) {
      commands.delete(record.id);
    },
    async appendEvent(event, via) {
      const stored = {
        ...event,
        id: String(storedEvents.length + 1).padStart(6, '0'),
        receivedAt: event.at,
        via,
      };
      await write(`an event of VM ${event.vmId}`, () => {
        storedEvents.push(stored);
        const last = positions.get(event.vmId) ?? { bootId: '', sequence: 0 };
        const counted = event.sequence > 0 ? event : last;
        positions.set(event.vmId, {
          lastEventId: stored.id,
          bootId: counted.bootId,
          sequence: counted.sequence,
        });
      });
      return stored;
    },
    events: async (vmId) => storedEvents.filter((event) => event.vmId === vmId),
    eventPosition: (vmId) => positions.get(vmId) ?? { lastEventId: undefined, bootId: '', sequence: 0 },
    keepHeartbeat: (vm, report) => void keptReports.push({ vmId: vm.vmId, report }),
    heartbeats: async () => [],
    close: async () => undefined,
  };
}
