/**
 * Writes whole files so that a reader, also one after a crash, sees the old content or the new, never a part.
 *
 *   the log, durably (write-ahead-log.ts) -> a moment later: temporary file -> rename       what must survive a power cut (`record`)
 *   temporary file -> rename                                                                what need not (`write`)
 *
 * A file is moved into its place only when the log has its content: a power cut may empty a file that was renamed and
 * not synced, and then the log repairs it. What is in the log counts as written; if its file cannot be moved into its
 * place then, it is moved later (`settle`).
 *
 * Writes to one path go one after the other, and those that wait become one: the newest content wins, and all who waited
 * are told when it is there.
 */
import path from 'node:path';
import pLimit from 'p-limit';
import type { Clock } from '@mig/common/clock';
import type { IsBusy } from '@mig/common/process-load';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { errorCode, EXHAUSTED, type FileOperations } from './file-operations.js';
import { createPathOrder } from './path-order.js';
import { prefixOf } from './path-prefix.js';
import { createPlacing } from './placing.js';
import { createRemovedTrees } from './removed-trees.js';
import type { SetAside } from './set-aside.js';
import { createRecording, type Place } from './recording.js';
import { createSoon } from './soon.js';
import { createUnplaced } from './unplaced.js';
import { textOf, type FileContent } from './log-entry.js';
import type { WriteAheadLog } from './write-ahead-log.js';

/** Writes that have begun; more wait, and can still take newer content. */
const MAX_UNDER_WAY = 512;
/** Paths with writes that wait or have begun. Above it a write is refused: the disk does not follow. */
const MAX_PATHS = 100_000;
/** A record that is in the log is moved into its place after this: what follows it until then is written with it. */
const PLACE_AFTER_MS = 500;
const PLACE_PARALLEL = 2;
/** While records go into the log, or the process is busy otherwise, few of their files are written: answers come first. */
const PLACE_PER_SECOND = 25;
/** So long after a record there is time. */
const QUIET_MS = 20;

/** A write that has not begun: it can still take newer content. */
interface PendingWrite {
  content: () => string;
  done: Promise<void>;
}

export interface FileWriter {
  /**
   * Resolves when the content is in its place, which a power cut may empty. Directories are made as needed. Rejects with the system's
   * error: then the file is as it was.
   *
   * @param content called once, when the write begins
   */
  write(file: string, content: () => string): Promise<void>;
  /**
   * Resolves when the content survives a power cut: it is in the log, and in its place a moment later. Of what follows within that
   * moment only the newest gets there. Rejects with the system's error: then the file is as it was.
   *
   * @param content called once at most: not if newer content comes before it is written
   */
  record(file: string, content: () => FileContent, place: Place): Promise<void>;
  /** Moves what was recorded in this folder right below the root into its place, as far as that can be done. */
  placeAll(directory: string): Promise<void>;
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
  readonly log: Pick<WriteAheadLog, 'append' | 'enter'>;
  /** Resolves when the log may grow. */
  readonly room: () => Promise<void>;
  /** May it grow now? */
  readonly hasRoom: () => boolean;
  readonly clock: Clock;
  readonly isBusy: IsBusy;
  readonly setAside: Pick<SetAside, 'move'>;
  readonly logger: Logger;
}

/** @param root the data directory; every path is below it */
export function createFileWriter(deps: FileWriterDeps, root: string): FileWriter {
  const { files, log, room, setAside, logger } = deps;
  const underWay = pLimit(MAX_UNDER_WAY);
  const { writeTemporary, place, put } = createPlacing(files, setAside);
  const order = createPathOrder();
  const removedTrees = createRemovedTrees(files, logger, root);
  const waiting = new Map<string, PendingWrite>();
  /** What the log has, and its file has not. */
  const unplaced = createUnplaced(root);
  /** Files whose sync has failed: the next may succeed, and have synced nothing. */
  const unsynced = new Set<string>();
  /** Files that are being moved into their places by `placeRecord`: what is recorded meanwhile need not wait for it. */
  const placing = new Set<string>();
  /** When a record went into the log last. */
  let loggedMs = -QUIET_MS;
  const soon = createSoon(deps.clock, placeRecord, {
    afterMs: PLACE_AFTER_MS,
    parallel: PLACE_PARALLEL,
    perSecondIfBusy: PLACE_PER_SECOND,
    isBusy: () => deps.isBusy() || deps.clock.monotonicMs() - loggedMs < QUIET_MS,
  });

  const inRoot = prefixOf(root);
  const nameOf = (file: string): string =>
    (file.startsWith(inRoot) ? file.slice(inRoot.length) : path.relative(root, file)).replaceAll(
      path.sep,
      '/',
    );

  const recording = createRecording({
    log,
    nameOf,
    onLogged(file, content, when) {
      loggedMs = deps.clock.monotonicMs();
      unplaced.set(file, content);
      soon.add(file, when);
    },
  });

  async function writeNow(file: string, content: string): Promise<void> {
    // What the log has removed must be out of the way, or this would be removed with it.
    await removedTrees.clear(file);
    await place(await writeTemporary(file, content, false), file);
  }

  /** What was recorded is moved into its place, unless it is there already, or gone. */
  async function placeRecord(file: string): Promise<void> {
    if (!unplaced.has(file)) return;
    if (!order.isBusy(file)) placing.add(file);
    await order
      .enqueue(file, async () => {
        await removedTrees.clear(file);
        const content = unplaced.get(file);
        if (content === undefined) return;
        await put(file, textOf(content));
        // It may have been recorded anew meanwhile.
        if (unplaced.get(file) === content) unplaced.delete(file);
      })
      .catch((error: unknown) => warnUnplaced(file, error))
      .finally(() => placing.delete(file));
  }

  function warnUnplaced(file: string, error: unknown): void {
    logger.warn(
      { file, reason: errorMessage(error) },
      'a file is in the log, and could not be put in its place; it is tried again',
    );
  }

  /** In the log first: one that cannot be logged is not done, and one that is done does not come back. */
  async function removeNow(file: string): Promise<void> {
    let content: FileContent | undefined;
    const applied = await log.append(
      () => ({ path: nameOf(file), removed: 'file' }),
      () => {
        content = unplaced.get(file);
        unplaced.delete(file);
      },
    );
    try {
      await files.remove(file);
    } catch (error) {
      // It is not done: an older content that is still there must not be what is left.
      if (content !== undefined && !unplaced.has(file)) unplaced.set(file, content);
      throw error;
    } finally {
      applied();
    }
  }

  async function removeTreeNow(directory: string): Promise<void> {
    const applied = await log.append(
      () => ({ path: nameOf(directory), removed: 'tree' }),
      () => {
        for (const file of [...unplaced.within(directory)]) unplaced.delete(file);
        for (const file of unsynced) if (file.startsWith(directory + path.sep)) unsynced.delete(file);
      },
    );
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
      await place(await writeTemporary(file, textOf(content), true), file);
      unplaced.delete(file);
      unsynced.delete(file);
    } catch (error) {
      unplaced.set(file, content);
      const applied = await log.append(() => ({ path: nameOf(file), content }));
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
    write(file, content) {
      const pending = waiting.get(file);
      if (pending !== undefined) {
        pending.content = content;
        return pending.done;
      }
      if (order.size >= MAX_PATHS) {
        return Promise.reject(new Error(`more than ${MAX_PATHS} files wait to be written`));
      }
      const next: PendingWrite = { content, done: Promise.resolve() };
      next.done = order.enqueue(file, () =>
        underWay(() => {
          if (waiting.get(file) === next) waiting.delete(file);
          return writeNow(file, next.content());
        }),
      );
      waiting.set(file, next);
      return next.done;
    },

    record(file, content, when) {
      // The log keeps its entries in their order: only what is not yet in the log has to be waited for.
      if (recording.size >= MAX_PATHS)
        return Promise.reject(new Error(`more than ${MAX_PATHS} records wait to be written`));
      const isFree = !order.isBusy(file) || placing.has(file);
      if (isFree && !order.removesTrees && deps.hasRoom()) return recording.add(file, content, when);
      return order.enqueue(file, async () => {
        await room();
        await recording.add(file, content, when);
      });
    },

    async placeAll(directory) {
      await Promise.all([...unplaced.within(directory)].map(placeRecord));
    },

    remove(file) {
      waiting.delete(file); // what is written from now on comes after the removal
      placing.delete(file);
      return order.enqueue(file, () => removeNow(file));
    },

    removeTree(directory) {
      for (const file of waiting.keys()) if (file.startsWith(directory + path.sep)) waiting.delete(file);
      return order.enqueueTree(directory, () => removeTreeNow(directory));
    },

    async settle(file) {
      if (removedTrees.has(file)) return removedTrees.clear(file);
      if (placing.has(file)) await order.enqueue(file, () => Promise.resolve());
      if (!unplaced.has(file) && !unsynced.has(file) && (await isSettled(file))) return;
      // A write that is under way may itself wait for room in the log: it is not waited for.
      if (order.isBusy(file) || recording.has(file)) throw new Error(`${file} is being written`);
      await order.enqueue(file, () => rewrite(file));
    },

    async idle() {
      await recording.idle();
      await order.idle();
      await soon.flush();
    },
  };
}

/** The file was removed, or somebody put something else in its place: nothing of ours is there to be synced. */
const GONE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EACCES', 'EPERM', 'EINVAL']);
