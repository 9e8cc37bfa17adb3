/** Puts what is torn or foreign out of the way, under another name, and keeps the list of it. Nothing is ever deleted. */
import { errorMessage, printable } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { SetAsideFile } from '../store.js';
import type { FileOperations } from './file-operations.js';

/** What a file that could not be read is called from then on: `NAME.bad`, and `NAME.2.bad` if there is one already. */
export const ASIDE_SUFFIX = '.bad';
/** Above it, files are still put aside and reported in the log, and not listed. */
const MAX_LISTED = 1_000;
/** Longest reason, in characters; the rest is cut off. */
const MAX_REASON = 400;
/** So many of one name are kept; the last is replaced. */
const MAX_OF_ONE_NAME = 20;

export interface SetAside {
  /** Renames a file, or whatever is there, and reports it. If it cannot be renamed, it stays, and that is reported. */
  move(file: string, reason: string, vmId: string | undefined): Promise<void>;
  /** Lists and reports what is, or will be, put aside by somebody else. */
  note(found: SetAsideFile): void;
  list(): readonly SetAsideFile[];
}

export function createSetAside(files: FileOperations, logger: Logger): SetAside {
  const found: SetAsideFile[] = [];

  async function freeName(file: string): Promise<string> {
    let name = file + ASIDE_SUFFIX;
    for (let n = 2; n <= MAX_OF_ONE_NAME && (await files.kindOf(name)) !== undefined; n += 1) {
      name = `${file}.${n}${ASIDE_SUFFIX}`;
    }
    return name;
  }

  function note(given: SetAsideFile): void {
    const entry = { ...given, reason: printable(given.reason.replaceAll('\n', '; '), MAX_REASON) };
    if (found.length < MAX_LISTED) found.push(entry);
    logger.warn({ ...entry }, 'a stored file is torn or foreign; it is set aside');
  }

  return {
    note,
    list: () => found,
    async move(file, reason, vmId) {
      try {
        const setAsideAs = await freeName(file);
        await files.rename(file, setAsideAs);
        note({ vmId, file, setAsideAs, reason });
      } catch (error) {
        const stays = `${reason}; it stays where it is (${errorMessage(error)})`;
        note({ vmId, file, setAsideAs: file, reason: stays });
      }
    },
  };
}
