/**
 * The commands that this VM has taken, and what became of them (I2).
 *
 * Bounded (I12): the newest `MAX_COMMANDS` reported ones are kept, which is longer than a controller sends one again.
 */
import type { Parameters } from '@mig/common/domain/command';
import type { CommandJournal, JournaledCommand } from './journal.js';
import type { LogFile } from './log-file.js';

type Entry =
  | { readonly kind: 'taken'; readonly id: string; readonly type: string; readonly parameters: Parameters }
  | {
      readonly kind: 'finished';
      readonly id: string;
      readonly outcome: NonNullable<JournaledCommand['outcome']>;
    }
  | { readonly kind: 'reported'; readonly id: string };

const MAX_COMMANDS = 2_000;
/** The file is written anew when it has this many lines more than it needs. */
const MAX_SURPLUS_LINES = 2_000;

/**
 * @param log where it is kept; undefined keeps it in memory only
 * @param entries what the log held when it was opened
 */
export function createCommandJournal(
  log: LogFile<unknown> | undefined,
  entries: readonly unknown[],
): CommandJournal {
  const commands = new Map<string, JournaledCommand>();

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
        });
        return;
      case 'finished':
        if (before !== undefined) commands.set(entry.id, { ...before, outcome: entry.outcome });
        return;
      case 'reported':
        if (before !== undefined) commands.set(entry.id, { ...before, reported: true });
    }
  }
  for (const entry of entries) apply(entry as Entry);

  function record(entry: Entry): void {
    log?.append(entry);
    apply(entry);
    for (const [id, command] of commands) {
      if (commands.size <= MAX_COMMANDS) break;
      if (command.reported) commands.delete(id);
    }
    if (log !== undefined && log.length > 3 * commands.size + MAX_SURPLUS_LINES)
      log.replace([...commands.values()].flatMap(entriesOf));
  }

  return {
    get: (id) => commands.get(id),
    take: (id, type, parameters) => record({ kind: 'taken', id, type, parameters }),
    finish: (id, outcome) => record({ kind: 'finished', id, outcome }),
    markReported: (id) => record({ kind: 'reported', id }),
    all: () => [...commands.values()],
  };
}

function entriesOf(command: JournaledCommand): Entry[] {
  return [
    { kind: 'taken', id: command.id, type: command.type, parameters: command.parameters },
    ...(command.outcome === undefined
      ? []
      : [{ kind: 'finished' as const, id: command.id, outcome: command.outcome }]),
    ...(command.reported ? [{ kind: 'reported' as const, id: command.id }] : []),
  ];
}
