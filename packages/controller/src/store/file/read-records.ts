/** Reads back what the file store wrote. What is torn or foreign is set aside and reported, never fatal. */
import path from 'node:path';
import { errorMessage } from '@mig/common/errors';
import * as z from 'zod';
import {
  errorCode,
  EXHAUSTED,
  type DirectoryEntry,
  type EntryKind,
  type FileOperations,
} from './file-operations.js';
import { TEMPORARY_SUFFIX } from './placing.js';
import type { SetAside } from './set-aside.js';
import { readable } from './unreadable.js';

export interface RecordReader {
  /**
   * The parsed content; undefined if there is no such file, or it is not what it should be and was set aside.
   *
   * @param fault what is wrong with a record of the right shape (it may lie in the wrong place), or undefined
   * @throws DataDirectoryUnreadableError if nothing at all can be read now (too many open files)
   */
  read<T>(
    file: RecordFile,
    schema: z.ZodType<T>,
    fault: (value: T) => string | undefined,
  ): Promise<T | undefined>;
  /** Removes the temporary files that a crash left behind. @returns the other entries */
  withoutLeftovers(directory: string, entries: readonly DirectoryEntry[]): Promise<DirectoryEntry[]>;
}

export interface RecordFile {
  readonly path: string;
  readonly kind: EntryKind;
  /** In whose folder it is; undefined for a file of the controller. */
  readonly vmId: string | undefined;
}

export function createRecordReader(files: FileOperations, setAside: SetAside): RecordReader {
  return {
    async read(file, schema, fault) {
      const bad = async (reason: string): Promise<undefined> => {
        await setAside.move(file.path, reason, file.vmId);
        return undefined;
      };
      // A pipe would be read for ever.
      if (file.kind !== 'file') return bad(file.kind === 'directory' ? 'a directory' : 'not a regular file');
      let text: string;
      try {
        text = await files.readText(file.path);
      } catch (error) {
        const code = errorCode(error) ?? '';
        if (code === 'ENOENT') return undefined;
        return EXHAUSTED.has(code)
          ? readable(file.path, () => Promise.reject(error as Error))
          : bad(errorMessage(error));
      }
      if (text === '') return bad('it is empty');
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch (error) {
        return bad(errorMessage(error));
      }
      const parsed = schema.safeParse(value);
      if (!parsed.success) return bad(z.prettifyError(parsed.error));
      const reason = fault(parsed.data);
      return reason === undefined ? parsed.data : bad(reason);
    },

    async withoutLeftovers(directory, entries) {
      const isLeftover = ({ name }: DirectoryEntry) =>
        name.startsWith('.') && name.endsWith(TEMPORARY_SUFFIX);
      await Promise.all(
        entries
          .filter(isLeftover)
          .map(({ name }) => files.remove(path.join(directory, name)).catch(() => undefined)),
      );
      return entries.filter((entry) => !isLeftover(entry));
    },
  };
}
