/**
 * The events of one boot that are not yet acknowledged.
 *
 * Bounded by count, size and age (I12). At a bound the oldest go that weigh least: first what is neither about a job nor about
 * the VM's beginning or end, then those; a hundredth of the bound at once, so that a journal that is full is not busy with
 * itself. An event about a job never goes: if nothing else is left, the journal grows beyond its bounds. What went is itself
 * an event, `events_dropped`: how many, by which bounds, of which types. There is one at a time: while it is not acknowledged,
 * the next takes its place and counts on. It says by `replaces` from which sequence on the controller may have stored an
 * `events_dropped` whose count is part of its own. The numbers of what went do not come.
 *
 * A disk that is full: events wait in memory, in order, and are neither pending nor sent until they are written (I4).
 */
import type { EventJournal, JournaledEvent } from './journal.js';
import type { LogFile } from './log-file.js';
import { createPatientLog } from './patient-log.js';

export interface EventJournalLimits {
  /** Default 10,000: about a day of a busy VM. */
  readonly maxEvents: number;
  /** Of the events as JSON; default 16 MiB. The file may be three times as large for a while. */
  readonly maxBytes: number;
  /** Milliseconds; default 7 days. */
  readonly maxAgeMs: number;
  /**
   * Milliseconds since the machine's start, the same for every process in it: ages are counted by it, because the wall clock
   * may jump. Default: nothing ages.
   */
  readonly uptimeMs: () => number;
}

export const DEFAULT_EVENT_LIMITS: EventJournalLimits = {
  maxEvents: 10_000,
  maxBytes: 16 * 2 ** 20,
  maxAgeMs: 7 * 86_400_000,
  uptimeMs: () => 0,
};

type Entry =
  | { readonly kind: 'event'; readonly event: JournaledEvent; readonly uptimeMs: number }
  | { readonly kind: 'acknowledged'; readonly sequence: number }
  /** These went, and `event` tells of it: one line, so that no crash separates the two. */
  | {
      readonly kind: 'dropped';
      readonly sequences: readonly number[];
      readonly event: JournaledEvent;
      readonly uptimeMs: number;
    };
type Waiting = Exclude<Entry, { kind: 'acknowledged' }>;

interface Held {
  readonly event: JournaledEvent;
  readonly uptimeMs: number;
  readonly bytes: number;
}

const BOUNDS = ['max_events', 'max_bytes', 'max_age', 'disk_full'] as const;
type Bound = (typeof BOUNDS)[number];

const DROPPED = 'events_dropped';
/** Most events that wait for a disk to have space, but for those about jobs. */
const MAX_WAITING = 1_000;
/** The file is written anew when it has this many lines more than it needs. */
const MAX_SURPLUS_LINES = 1_000;
/** What goes at a bound, so that the next event does not meet it again. */
const SPARE = 0.01;

/** What goes first; undefined = never. */
function weightOf(type: string): 0 | 1 | undefined {
  if (type.startsWith('job_') || type === DROPPED) return undefined;
  return type === 'vm_started' || type === 'vm_shutting_down' ? 1 : 0;
}

/**
 * @param log where it is kept; undefined keeps it in memory only
 * @param entries what the log held when it was opened
 */
export function createEventJournal(
  log: LogFile<unknown> | undefined,
  entries: readonly unknown[],
  limits: Partial<EventJournalLimits> = {},
): EventJournal {
  const { maxEvents, maxBytes, maxAgeMs, uptimeMs } = { ...DEFAULT_EVENT_LIMITS, ...limits };
  const file = createPatientLog<Entry, Waiting>(log);
  /** By sequence, rising. */
  const held = new Map<number, Held>();
  /** Those of `held` that may go, by weight, oldest first. */
  const expendable = [new Map<number, Held>(), new Map<number, Held>()] as const;
  let bytes = 0;
  let lastSequence = 0;
  let acknowledged = 0;
  let notice: JournaledEvent | undefined;

  function hold({ event, uptimeMs: bornAtMs }: Waiting): void {
    const item = { event, uptimeMs: bornAtMs, bytes: Buffer.byteLength(JSON.stringify(event)) };
    const weight = weightOf(event.type);
    held.set(event.sequence, item);
    if (weight !== undefined) expendable[weight].set(event.sequence, item);
    if (event.type === DROPPED) notice = event;
    bytes += item.bytes;
    lastSequence = Math.max(lastSequence, event.sequence);
  }

  function release(sequence: number): void {
    const item = held.get(sequence);
    if (item === undefined) return;
    held.delete(sequence);
    for (const items of expendable) items.delete(sequence);
    if (notice?.sequence === sequence) notice = undefined;
    bytes -= item.bytes;
  }

  function apply(entry: Entry): void {
    switch (entry.kind) {
      case 'event':
        hold(entry);
        return;
      case 'acknowledged':
        acknowledged = Math.max(acknowledged, entry.sequence);
        lastSequence = Math.max(lastSequence, acknowledged);
        for (const sequence of held.keys()) {
          if (sequence > acknowledged) break;
          release(sequence);
        }
        return;
      case 'dropped':
        for (const sequence of entry.sequences) release(sequence);
        hold(entry);
    }
  }
  for (const entry of entries) apply(entry as Entry);

  function compact(): void {
    file.compact(held.size + MAX_SURPLUS_LINES, () => [
      { kind: 'acknowledged', sequence: acknowledged },
      ...[...held.values()].map(({ event, uptimeMs: at }) => ({
        kind: 'event' as const,
        event,
        uptimeMs: at,
      })),
    ]);
  }

  function record(entry: Waiting): void {
    file.keep(entry);
    apply(entry);
  }

  /** Makes room for one more event. */
  function makeRoom(at: number): void {
    const gone: JournaledEvent[] = [];
    const bounds = new Set<Bound>();
    const drop = (bound: Bound, { event }: Held): void => {
      gone.push(event);
      bounds.add(bound);
      release(event.sequence);
    };
    const dropWhile = (bound: Bound, goesOn: (item: Held) => boolean): void => {
      for (const items of expendable) {
        for (const item of items.values()) {
          if (!goesOn(item)) break;
          drop(bound, item);
        }
      }
    };

    const diesBeforeMs = uptimeMs() - maxAgeMs;
    dropWhile('max_age', (item) => item.uptimeMs < diesBeforeMs);
    const fewer = maxEvents - Math.floor(maxEvents * SPARE);
    if (held.size >= maxEvents) dropWhile('max_events', () => held.size >= fewer);
    const less = maxBytes - Math.floor(maxBytes * SPARE);
    if (bytes >= maxBytes) dropWhile('max_bytes', () => bytes >= less);
    if (file.waiting.length >= MAX_WAITING) {
      const written = writtenSequence();
      let tooMany = Math.ceil(MAX_WAITING * SPARE);
      for (const item of expendable.flatMap((items) => [...items.values()])) {
        if (tooMany === 0) break;
        if (item.event.sequence <= written) continue;
        drop('disk_full', item);
        tooMany -= 1;
      }
    }
    if (gone.length > 0) tell(gone, bounds, at);
  }

  function tell(gone: readonly JournaledEvent[], bounds: ReadonlySet<Bound>, at: number): void {
    const sequences = gone.map(({ sequence }) => sequence);
    if (notice !== undefined) sequences.push(notice.sequence);
    // What the disk has not taken is not to be written any more.
    const lost = new Set(sequences);
    for (const entry of file.waiting)
      if (entry.kind === 'dropped' && lost.has(entry.event.sequence)) sequences.push(...entry.sequences);
    file.giveUp((entry) => lost.has(entry.event.sequence));
    const data = noticeData(notice, gone, bounds);
    const event = { sequence: lastSequence + 1, type: DROPPED, data, at };
    record({ kind: 'dropped', sequences, event, uptimeMs: uptimeMs() });
  }

  /** What waits is later than all that is written. */
  const writtenSequence = (): number => (file.waiting[0]?.event.sequence ?? lastSequence + 1) - 1;

  return {
    append(type, data, at) {
      makeRoom(at);
      const event: JournaledEvent = { sequence: lastSequence + 1, type, data, at };
      record({ kind: 'event', event, uptimeMs: uptimeMs() });
      compact();
      return event;
    },
    acknowledge(sequence) {
      if (sequence <= acknowledged || held.size === 0) return;
      // A controller may claim to have what it was never sent: its number is taken.
      file.giveUp((entry) => entry.event.sequence <= sequence);
      file.offer({ kind: 'acknowledged', sequence });
      apply({ kind: 'acknowledged', sequence });
      compact();
    },
    *pending() {
      const written = writtenSequence();
      for (const { event } of held.values()) {
        if (event.sequence > written) return;
        yield event;
      }
    },
    get pendingCount() {
      return held.size - file.waiting.length;
    },
    holds: (type) => [...held.values()].some(({ event }) => event.type === type),
    get waitingCount() {
      return file.waiting.length;
    },
    retry: () => file.retry(),
  };
}

/** The counts of the notice before, and of what goes now. */
function noticeData(
  before: JournaledEvent | undefined,
  gone: readonly JournaledEvent[],
  bounds: ReadonlySet<Bound>,
): Record<string, string> {
  const types = new Map<string, number>();
  const count = (type: string, more: number): void => void types.set(type, (types.get(type) ?? 0) + more);
  for (const entry of (before?.data['types'] ?? '').split(' ')) {
    const [, type, more] = /^(.+)=(\d+)$/.exec(entry) ?? [];
    if (type !== undefined) count(type, Number(more));
  }
  for (const { type } of gone) count(type, 1);
  const known = (before?.data['limit'] ?? '').split(' ');
  return {
    count: String(Number(before?.data['count'] ?? 0) + gone.length),
    limit: BOUNDS.filter((bound) => bounds.has(bound) || known.includes(bound)).join(' '),
    types: [...types].map(([type, number]) => `${type}=${number}`).join(' '),
    ...(before === undefined ? {} : { replaces: before.data['replaces'] ?? String(before.sequence) }),
  };
}
