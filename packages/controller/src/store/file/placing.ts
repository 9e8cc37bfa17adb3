/** Puts whole files in their places: written beside it, then moved, so that a reader sees the old content or the new. */
import path from 'node:path';
import pLimit from 'p-limit';
import { testPoint } from '@mig/common/test-points';
import { errorCode, type FileOperations } from './file-operations.js';
import type { SetAside } from './set-aside.js';

/** Temporary files open at a time. Twice Node's thread pool of 4 keeps it busy; more only costs descriptors. */
const MAX_OPEN_FILES = 16;

export const TEMPORARY_SUFFIX = '.tmp';

export interface Placing {
  /** Writes the content beside its place; directories are made as needed. Rejects with the system's error, and leaves nothing. */
  writeTemporary(file: string, content: string, sync: boolean): Promise<string>;
  /** Moves it into its place. Rejects with the system's error; then the file is as it was. */
  place(temporary: string, file: string): Promise<void>;
  /** Writes it into its place; what stands there or where its folder should be is set aside, what is gone from under us made anew. */
  put(file: string, content: string): Promise<void>;
}

export function createPlacing(files: FileOperations, setAside: Pick<SetAside, 'move'>): Placing {
  const openFiles = pLimit(MAX_OPEN_FILES);
  let counter = 0;

  async function writeTemporary(file: string, content: string, sync: boolean): Promise<string> {
    counter += 1;
    const directory = path.dirname(file);
    const temporary = path.join(directory, `.${path.basename(file)}.${counter}${TEMPORARY_SUFFIX}`);
    const write = () => openFiles(() => files.writeText(temporary, content, sync));
    try {
      await write().catch(async (error: unknown) => {
        if (errorCode(error) !== 'ENOENT') throw error;
        await files.makeDirectory(directory);
        return write();
      });
    } catch (error) {
      await files.remove(temporary).catch(() => undefined);
      throw error;
    }
    return temporary;
  }

  async function place(temporary: string, file: string): Promise<void> {
    try {
      await files.rename(temporary, file);
      testPoint('store.written');
    } catch (error) {
      await files.remove(temporary).catch(() => undefined);
      throw error;
    }
  }

  /** What stands where the folder should be, or the one above it, is no folder, and not ours. */
  async function clearFolder(directory: string): Promise<void> {
    for (const above of [path.dirname(directory), directory]) {
      const kind = await files.kindOf(above);
      if (kind === undefined || kind === 'directory') continue;
      await setAside.move(above, 'a folder should be here', undefined);
      return;
    }
  }

  return {
    writeTemporary,
    place,

    async put(file, content) {
      const temporary = await writeTemporary(file, content, false).catch(async (error: unknown) => {
        if (errorCode(error) !== 'ENOTDIR') throw error;
        await clearFolder(path.dirname(file));
        return writeTemporary(file, content, false);
      });
      await placeOrAgain(temporary, file, content);
    },
  };

  /** The folder may have been removed under us, or something else put where the file should be. */
  async function placeOrAgain(temporary: string, file: string, content: string): Promise<void> {
    try {
      await place(temporary, file);
    } catch (error) {
      const code = errorCode(error) ?? '';
      if (IN_THE_WAY.has(code)) await setAside.move(file, `a file should be here (${code})`, undefined);
      else if (code !== 'ENOENT') throw error;
      await place(await writeTemporary(file, content, false), file);
    }
  }
}

/** A directory stands where the file should be. */
const IN_THE_WAY = new Set(['EISDIR', 'ENOTEMPTY', 'EEXIST']);
