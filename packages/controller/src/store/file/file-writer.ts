/**
 * Writes whole files so that a reader, also one after a crash, sees the old content or the new, never a part.
 *
 *   temporary file -> the log, durably (write-ahead-log.ts) -> rename
 *
 * The file is moved into its place only when the log has its content: a power cut may empty a file that was renamed and
 * not synced, and then the log repairs it. What is in the log counts as written; if its file cannot be moved into its
 * place then, it is moved later (`settle`). What need not survive a power cut goes without the log.
 *
 * Writes to one path go one after the other, and those that wait become one: the newest content wins, and all who waited
 * are told when it is there.
 */
import path from 'node:path';
import pLimit from 'p-limit';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { testPoint } from '@mig/common/test-points';
import { errorCode, EXHAUSTED, type FileOperations } from './file-operations.js';
import { createPathOrder } from './path-order.js';
import { createRemovedTrees } from './removed-trees.js';
import type { SetAside } from './set-aside.js';
import type { WriteAheadLog } from './write-ahead-log.js';

/** Writes that have begun; more wait, and can still take newer content. */
const MAX_UNDER_WAY = 512;
/** Temporary files open at a time. Twice Node's thread pool of 4 keeps it busy; more only costs descriptors. */
const MAX_OPEN_FILES = 16;
/** Paths with writes that wait or have begun. Above it a write is refused: the disk does not follow. */
const MAX_PATHS = 100_000;

export const TEMPORARY_SUFFIX = '.tmp';

/** A write that has not begun: it can still take newer content. */
interface PendingWrite {
  content: () => string;
  durable: boolean;
  done: Promise<void>;
}

export interface FileWriter {
  /**
   * Resolves when the content is in its place; with `durable`, when it survives a power cut as well. Directories are made
   * as needed. Rejects with the system's error: then the file is as it was.
   *
   * @param content called once, when the write begins
   */
  write(file: string, content: () => string, durable: boolean): Promise<void>;
  /** Removes the file after what is being written to it. A file that is not there is no error. */
  remove(file: string): Promise<void>;
  /** Removes a directory right below the root after what is being written there; what is written later comes after it. */
  removeTree(directory: string): Promise<void>;
  /** Makes what is at this path survive a power cut without the log. A file that is not there is no error. */
  settle(file: string): Promise<void>;
  /** Resolves when nothing is being written. */
  idle(): Promise<void>;
}

export interface FileWriterDeps {
  readonly files: FileOperations;
  readonly log: Pick<WriteAheadLog, 'append'>;
  /** Resolves when the log may grow. */
  readonly room: () => Promise<void>;
  readonly setAside: Pick<SetAside, 'move'>;
  readonly logger: Logger;
}

/** @param root the data directory; every path is below it */
export function createFileWriter(deps: FileWriterDeps, root: string): FileWriter {
  const { files, log, room, setAside, logger } = deps;
  const underWay = pLimit(MAX_UNDER_WAY);
  const openFiles = pLimit(MAX_OPEN_FILES);
  const order = createPathOrder();
  const removedTrees = createRemovedTrees(files, logger, root);
  const waiting = new Map<string, PendingWrite>();
  /** What the log has, and its file has not. */
  const unplaced = new Map<string, string>();
  /** Files whose sync has failed: the next may succeed, and have synced nothing. */
  const unsynced = new Set<string>();
  let counter = 0;

  const nameOf = (file: string): string => path.relative(root, file).replaceAll(path.sep, '/');

  async function writeNow(file: string, content: string, durable: boolean): Promise<void> {
    if (durable) await room();
    // What the log has removed must be out of the way, or this would be removed with it.
    await removedTrees.clear(file);
    const temporary = await writeTemporary(file, content, false);
    if (!durable) return place(temporary, file);
    let applied: () => void;
    try {
      applied = await log.append({ path: nameOf(file), content });
    } catch (error) {
      await files.remove(temporary).catch(() => undefined);
      throw error;
    }
    try {
      await placeOrAgain(temporary, file, content);
      unplaced.delete(file);
      unsynced.delete(file);
    } catch (error) {
      unplaced.set(file, content);
      logger.warn(
        { file, reason: errorMessage(error) },
        'a file is in the log, and could not be put in its place; it is tried again',
      );
    }
    applied();
  }

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

  /** In the log first: one that cannot be logged is not done, and one that is done does not come back. */
  async function removeNow(file: string): Promise<void> {
    const applied = await log.append({ path: nameOf(file), removed: 'file' });
    await files.remove(file).finally(applied);
    unplaced.delete(file);
  }

  async function removeTreeNow(directory: string): Promise<void> {
    const applied = await log.append({ path: nameOf(directory), removed: 'tree' });
    for (const file of [...unplaced.keys(), ...unsynced]) {
      if (!file.startsWith(directory + path.sep)) continue;
      unplaced.delete(file);
      unsynced.delete(file);
    }
    await removedTrees.remove(directory);
    applied();
  }

  /** Syncs the file. @returns false if it must be written anew */
  async function isSettled(file: string): Promise<boolean> {
    try {
      await files.syncFile(file);
      return true;
    } catch (error) {
      const code = errorCode(error) ?? '';
      if (EXHAUSTED.has(code)) throw error;
      if (!GONE.has(code)) {
        unsynced.add(file);
        return false;
      }
      if (code !== 'ENOENT') logger.warn({ file, reason: errorMessage(error) }, 'a stored file is gone');
      return true;
    }
  }

  /** Writes the file anew and synced, without the log; if that fails, the content goes on in the log. */
  async function rewrite(file: string): Promise<void> {
    if (removedTrees.covers(file)) return; // it must not come back
    const content = unplaced.get(file) ?? (await readIfThere(file));
    if (content === undefined) return;
    try {
      await place(await writeTemporary(file, content, true), file);
      unplaced.delete(file);
      unsynced.delete(file);
    } catch (error) {
      unplaced.set(file, content);
      const applied = await log.append({ path: nameOf(file), content });
      applied();
      logger.warn(
        { file, reason: errorMessage(error) },
        'a file cannot be put in its place; it stays in the log',
      );
    }
  }

  async function readIfThere(file: string): Promise<string | undefined> {
    try {
      return await files.readText(file);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      unsynced.delete(file);
      return undefined;
    }
  }

  return {
    write(file, content, durable) {
      const pending = waiting.get(file);
      if (pending !== undefined) {
        pending.content = content;
        pending.durable ||= durable;
        return pending.done;
      }
      if (order.size >= MAX_PATHS) {
        return Promise.reject(new Error(`more than ${MAX_PATHS} files wait to be written`));
      }
      const next: PendingWrite = { content, durable, done: Promise.resolve() };
      next.done = order.enqueue(file, () =>
        underWay(() => {
          if (waiting.get(file) === next) waiting.delete(file);
          return writeNow(file, next.content(), next.durable);
        }),
      );
      waiting.set(file, next);
      return next.done;
    },

    remove(file) {
      waiting.delete(file); // what is written from now on comes after the removal
      return order.enqueue(file, () => removeNow(file));
    },

    removeTree(directory) {
      for (const file of waiting.keys()) if (file.startsWith(directory + path.sep)) waiting.delete(file);
      return order.enqueueTree(directory, () => removeTreeNow(directory));
    },

    async settle(file) {
      if (removedTrees.has(file)) return removedTrees.clear(file);
      if (!unplaced.has(file) && !unsynced.has(file) && (await isSettled(file))) return;
      // A write that is under way may itself wait for room in the log: it is not waited for.
      if (order.isBusy(file)) throw new Error(`${file} is being written`);
      await order.enqueue(file, () => rewrite(file));
    },

    idle: order.idle,
  };
}

/** A directory stands where the file should be. */
const IN_THE_WAY = new Set(['EISDIR', 'ENOTEMPTY', 'EEXIST']);
/** The file was removed, or somebody put something else in its place: nothing of ours is there to be synced. */
const GONE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EACCES', 'EPERM', 'EINVAL']);
