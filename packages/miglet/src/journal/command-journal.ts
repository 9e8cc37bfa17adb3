/**
 * The commands that this VM has taken, and what became of them (I2).
 *
 * Bounded (I12): of those that are reported the newest 2,000 are kept, which is longer than a controller sends one again. Of
 * those that are not (under way, or with a result that the controller has not recorded), 2,000 are taken; the next is refused.
 * A controller of ours keeps half as many open per VM.
 *
 * A disk that is full: nothing is taken, so that nothing is begun that the next process would not know of. What was taken
 * before and ends now is known from then on, and waits to be written; a crash until then leaves it under way.
 */
import type { Parameters } from '@mig/common/domain/command';
import type { CommandJournal, JournaledCommand } from './journal.js';
import type { LogFile } from './log-file.js';
import { createPatientLog } from './patient-log.js';

type Entry =
  | {
      readonly kind: 'taken';
      readonly id: string;
      readonly type: string;
      readonly parameters: Parameters;
      readonly uptimeMs?: number;
    }
  | {
      readonly kind: 'finished';
      readonly id: string;
      readonly outcome: NonNullable<JournaledCommand['outcome']>;
    }
  | { readonly kind: 'reported'; readonly id: string };

const MAX_REPORTED = 2_000;
const MAX_UNREPORTED = 2_000;
/** The file is written anew when it has this many lines more than it needs. */
const MAX_SURPLUS_LINES = 2_000;

/**
 * @param log where it is kept; undefined keeps it in memory only
 * @param entries what the log held when it was opened
 * @param uptimeMs milliseconds since the machine's start, the same for every process in it; default: not written down
 */
export function createCommandJournal(
  log: LogFile<unknown> | undefined,
  entries: readonly unknown[],
  uptimeMs?: () => number,
): CommandJournal {
  const file = createPatientLog<Entry>(log);
  const commands = new Map<string, JournaledCommand>();
  /** Oldest first. */
  const reported = new Set<string>();

  function apply(entry: Entry): void {
    const before = commands.get(entry.id);
    switch (entry.kind) {
      case 'taken':
        commands.set(entry.id, {
          id: entry.id,
          type: entry.type,
          parameters: entry.parameters,
          outcome: undefined,
          reported: false,
          ...(entry.uptimeMs === undefined ? {} : { takenUptimeMs: entry.uptimeMs }),
        });
        return;
      case 'finished':
        if (before !== undefined) commands.set(entry.id, { ...before, outcome: entry.outcome });
        return;
      case 'reported':
        if (before === undefined) return;
        commands.set(entry.id, { ...before, reported: true });
        reported.add(entry.id);
    }
  }
  for (const entry of entries) apply(entry as Entry);

  /** Forgets the oldest of those that are reported, beyond the bound. */
  function trim(): void {
    for (const id of reported) {
      if (reported.size <= MAX_REPORTED) return;
      reported.delete(id);
      commands.delete(id);
    }
  }

  function settleIn(): void {
    trim();
    file.compact(3 * commands.size + MAX_SURPLUS_LINES, () => [...commands.values()].flatMap(entriesOf));
  }

  function keep(entry: Entry): void {
    file.keep(entry);
    apply(entry);
    settleIn();
  }

  return {
    get: (id) => commands.get(id),
    take(id, type, parameters) {
      if (commands.size - reported.size >= MAX_UNREPORTED) {
        return {
          code: 'too-many-commands',
          message: `${MAX_UNREPORTED} commands of this VM are not yet reported: send it again when some have ended`,
        };
      }
      const at = uptimeMs === undefined ? {} : { uptimeMs: Math.round(uptimeMs()) };
      const entry: Entry = { kind: 'taken', id, type, parameters, ...at };
      if (!file.offer(entry)) {
        return {
          code: 'journal-unavailable',
          message: `the command cannot be journaled (${file.refusal}), so it was not begun: free space in the state folder of the VM, and send it again`,
        };
      }
      apply(entry);
      settleIn();
      return undefined;
    },
    finish: (id, outcome) => keep({ kind: 'finished', id, outcome }),
    markReported: (id) => keep({ kind: 'reported', id }),
    all: () => [...commands.values()],
    retry: () => file.retry(),
  };
}

function entriesOf(command: JournaledCommand): Entry[] {
  return [
    {
      kind: 'taken',
      id: command.id,
      type: command.type,
      parameters: command.parameters,
      ...(command.takenUptimeMs === undefined ? {} : { uptimeMs: command.takenUptimeMs }),
    },
    ...(command.outcome === undefined
      ? []
      : [{ kind: 'finished' as const, id: command.id, outcome: command.outcome }]),
    ...(command.reported ? [{ kind: 'reported' as const, id: command.id }] : []),
  ];
}
