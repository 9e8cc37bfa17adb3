/**
 * The events of one boot that are not yet acknowledged.
 *
 * Bounded (I12): beyond `maxPending`, the oldest event that is not about a job is given up, and an event `events_dropped`
 * says how many were. An event about a job is never given up.
 */
import type { EventJournal, JournaledEvent } from './journal.js';
import type { LogFile } from './log-file.js';

type Entry =
  | { readonly kind: 'event'; readonly event: JournaledEvent }
  | { readonly kind: 'acknowledged'; readonly sequence: number }
  | { readonly kind: 'dropped'; readonly sequence: number };

/** Most events that wait for the controller: about a day of a busy VM. */
export const MAX_PENDING_EVENTS = 10_000;
/** The file is written anew when it has this many lines more than it needs. */
const MAX_SURPLUS_LINES = 1_000;

const isAboutJob = (event: JournaledEvent): boolean => event.type.startsWith('job_');

/**
 * @param log where it is kept; undefined keeps it in memory only
 * @param entries what the log held when it was opened
 */
export function createEventJournal(
  log: LogFile<unknown> | undefined,
  entries: readonly unknown[],
  maxPending: number = MAX_PENDING_EVENTS,
): EventJournal {
  const pending = new Map<number, JournaledEvent>();
  let lastSequence = 0;
  let acknowledged = 0;
  let dropNotice: number | undefined;

  function apply(entry: Entry): void {
    switch (entry.kind) {
      case 'event':
        pending.set(entry.event.sequence, entry.event);
        lastSequence = Math.max(lastSequence, entry.event.sequence);
        return;
      case 'acknowledged':
        acknowledged = Math.max(acknowledged, entry.sequence);
        lastSequence = Math.max(lastSequence, acknowledged);
        for (const sequence of pending.keys()) if (sequence <= acknowledged) pending.delete(sequence);
        return;
      case 'dropped':
        pending.delete(entry.sequence);
    }
  }
  for (const entry of entries) apply(entry as Entry);
  for (const event of pending.values()) if (event.type === 'events_dropped') dropNotice = event.sequence;

  function record(entry: Entry): void {
    log?.append(entry);
    apply(entry);
    if (log !== undefined && log.length > pending.size + MAX_SURPLUS_LINES) {
      log.replace([
        { kind: 'acknowledged', sequence: acknowledged },
        ...[...pending.values()].map((event) => ({ kind: 'event', event })),
      ]);
    }
  }

  function makeRoom(at: number): void {
    const victim = [...pending.values()].find((event) => !isAboutJob(event) && event.sequence !== dropNotice);
    if (victim === undefined) return;
    record({ kind: 'dropped', sequence: victim.sequence });
    const notice = dropNotice === undefined ? undefined : pending.get(dropNotice);
    const count = Number(notice?.data['count'] ?? '0') + 1;
    // One notice that counts: it takes the place of its last edition, at the end, where its number is new.
    if (notice !== undefined) record({ kind: 'dropped', sequence: notice.sequence });
    dropNotice = lastSequence + 1;
    record({
      kind: 'event',
      event: { sequence: dropNotice, type: 'events_dropped', data: { count: String(count) }, at },
    });
  }

  return {
    append(type, data, at) {
      if (pending.size >= maxPending) makeRoom(at);
      const event: JournaledEvent = { sequence: lastSequence + 1, type, data, at };
      record({ kind: 'event', event });
      return event;
    },
    acknowledge(sequence) {
      if (sequence > acknowledged && pending.size > 0) record({ kind: 'acknowledged', sequence });
    },
    pending: () => [...pending.values()].sort((a, b) => a.sequence - b.sequence),
  };
}
