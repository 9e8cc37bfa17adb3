/**
 * Folders that the log has removed, until they are out of the way.
 *
 * A folder is moved into the log's own folder, so that it is gone at once and whole, and then taken apart there. Until it
 * could be moved, nothing new is written where it is: that would be removed with it.
 */
import path from 'node:path';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { errorCode, type FileOperations } from './file-operations.js';
import { LOG_FOLDER, REMOVED_PREFIX } from './log-segment.js';

export interface RemovedTrees {
  /** The folder is removed by the log from now on. Never rejects: what cannot be done now is done later. */
  remove(directory: string): Promise<void>;
  /** Is the file in a folder that is removed, and still there? */
  covers(file: string): boolean;
  /** Is it such a folder? */
  has(directory: string): boolean;
  /** Moves the folder that the file is, or is in, out of the way if it is removed. Rejects with the system's error. */
  clear(file: string): Promise<void>;
}

/** @param root the data directory; the folders are right below it */
export function createRemovedTrees(files: FileOperations, logger: Logger, root: string): RemovedTrees {
  const removed = new Set<string>();
  const underWay = new Map<string, Promise<void>>();
  let counter = 0;

  const treeOf = (file: string): string =>
    path.join(root, path.relative(root, file).split(path.sep, 1)[0] ?? '');

  /** One at a time: a second would take what was written after the first. */
  function finish(directory: string): Promise<void> {
    const moving = underWay.get(directory) ?? moveAway(directory).finally(() => underWay.delete(directory));
    underWay.set(directory, moving);
    return moving;
  }

  async function moveAway(directory: string): Promise<void> {
    counter += 1;
    const remains = path.join(root, LOG_FOLDER, `${REMOVED_PREFIX}${counter}`);
    try {
      await files.rename(directory, remains);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
    removed.delete(directory);
    // What is left after a crash is removed at the next opening.
    await files.removeTree(remains).catch((error: unknown) => {
      logger.warn({ directory, reason: errorMessage(error) }, 'what was removed still takes room');
    });
  }

  return {
    async remove(directory) {
      removed.add(directory);
      await finish(directory).catch((error: unknown) => {
        logger.warn(
          { directory, reason: errorMessage(error) },
          'a removed folder could not be moved out of the way; it is tried again',
        );
      });
    },
    covers: (file) => removed.size > 0 && removed.has(treeOf(file)),
    has: (directory) => removed.has(directory),
    async clear(file) {
      if (removed.size > 0 && removed.has(treeOf(file))) await finish(treeOf(file));
    },
  };
}
