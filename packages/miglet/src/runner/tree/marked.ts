/** Which processes have the mark of a tree in their environment, looked at every second at little cost. */
import { variableOf, type ProcessEntry, type ProcessTable } from './process-table.js';

/** The variable that every process of the tree inherits. Its value is the id of the tree. */
export const TREE_MARK = 'MIG_RUNNER_TREE';

export interface Marked {
  /** Adds the numbers of those that have it now. */
  addTo(found: Set<number>, table: ProcessTable): void;
}

/**
 * A process is asked once, and again when another program has taken its place: only then it has another environment.
 *
 * @param id the value of the mark
 * @param read asks a process for a variable
 */
export function createMarked(id: string, read: typeof variableOf = variableOf): Marked {
  let known = new Map<number, Answer>();

  return {
    addTo(found, table) {
      // A sandbox may have a kernel of its own that says it of nobody: then everybody is asked, every time.
      const told = Boolean(table.get(process.pid)?.environmentAt);
      // Those that have ended are forgotten.
      const now = new Map<number, Answer>();
      for (const entry of table.values()) {
        // Whose environment may not be read, or who has none.
        if (told && entry.environmentAt === '') continue;
        const answer = answerOf(entry, told ? known.get(entry.pid) : undefined);
        if (answer.marked) found.add(entry.pid);
        now.set(entry.pid, answer);
      }
      known = now;
    },
  };

  function answerOf(entry: ProcessEntry, before: Answer | undefined): Answer {
    const same =
      before !== undefined &&
      entry.environmentAt !== undefined &&
      before.entry.startedAt === entry.startedAt &&
      before.entry.environmentAt === entry.environmentAt;
    return same ? before : { entry, marked: read(entry.pid, TREE_MARK) === id };
  }
}

interface Answer {
  readonly entry: ProcessEntry;
  readonly marked: boolean;
}
