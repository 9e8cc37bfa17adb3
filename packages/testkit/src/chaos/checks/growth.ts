/** Nothing grows without end: what the controller takes at rest, round after round, and what it leaves on its disk. */
import { violations, type Violation } from '../evidence.js';

/** At rest, at the end of a round. */
export interface Resting {
  readonly residentBytes: number;
  readonly openFiles: number;
  /** Commands that the controller keeps, as it must. */
  readonly commandCount: number;
  /** Files on its disk that are no records, events or heartbeats. */
  readonly otherFiles: number;
  /** Files of the MIGlets' state, the most that one has. */
  readonly migletFiles: number;
}

/** The first calm is a warm-up. A heap breathes by so much, more or less, from one process to the next. */
const BREATH_BYTES = 48 * 2 ** 20;
/** What a finished command that is kept takes of the memory, with what is needed to find it. */
const BYTES_PER_COMMAND = 8 * 2 ** 10;
const MORE_OPEN_FILES = 12;
const MAX_OTHER_FILES = 40;
const MAX_MIGLET_FILES = 20;

export function checkGrowth(rounds: readonly Resting[]): Violation[] {
  const faults: string[] = [];
  const [first] = rounds;
  for (const [index, now] of rounds.entries()) {
    if (first === undefined) break;
    const round = `round ${index + 1}`;
    const keptBytes = (now.commandCount - first.commandCount) * BYTES_PER_COMMAND;
    const allowedBytes = first.residentBytes + BREATH_BYTES + keptBytes;
    if (now.residentBytes > allowedBytes)
      faults.push(
        `${round}: the controller takes ${mebi(now.residentBytes)} MiB at rest; after the first round ${mebi(first.residentBytes)}, and ${mebi(allowedBytes)} are allowed`,
      );
    if (now.openFiles > first.openFiles + MORE_OPEN_FILES)
      faults.push(
        `${round}: the controller has ${now.openFiles} files open at rest; after the first ${first.openFiles}`,
      );
    if (now.otherFiles > MAX_OTHER_FILES)
      faults.push(
        `${round}: ${now.otherFiles} files on the controller's disk are no records; ${MAX_OTHER_FILES} may be`,
      );
    if (now.migletFiles > MAX_MIGLET_FILES)
      faults.push(`${round}: a MIGlet has ${now.migletFiles} files of state; ${MAX_MIGLET_FILES} may be`);
  }
  return violations('memory, open files and temporary files stay as they are', faults);
}

const mebi = (bytes: number): number => Math.round(bytes / 2 ** 20);
