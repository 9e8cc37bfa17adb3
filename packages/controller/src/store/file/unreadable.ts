/** What stops the opening of a store: a part of the data directory that is there, and cannot be read. */
import { MigError, errorMessage } from '@mig/common/errors';
import { errorCode, type DirectoryEntry, type FileOperations } from './file-operations.js';

/** To go on without it would be to forget what was accepted (I1). */
export class DataDirectoryUnreadableError extends MigError {
  constructor(
    readonly path: string,
    cause: unknown,
  ) {
    super(
      'data-directory-unreadable',
      `${path} in the data directory cannot be read (${errorMessage(cause)}): give this user the right to read and write it and what is in it, or move it out of the data directory`,
      { cause },
    );
  }
}

/** @throws DataDirectoryUnreadableError if the operation fails */
export async function readable<T>(path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw new DataDirectoryUnreadableError(path, error);
  }
}

/** What is in the directory; nothing if there is none. @throws DataDirectoryUnreadableError */
export async function listDirectory(files: FileOperations, directory: string): Promise<DirectoryEntry[]> {
  return readable(directory, () =>
    files.list(directory).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return [];
      throw error;
    }),
  );
}
