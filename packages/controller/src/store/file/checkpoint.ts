/**
 * Brings what the log holds to the files for good, and drops the log's segments.
 *
 * Every file that a segment names is synced, once, and the directories above it; then the segment is removed. In the
 * background, and a few files at a time, so that the threads of the process are free for new writes. Segments go in their
 * order, and each is gone for good before the next is dropped: otherwise an old one that comes back after a power cut
 * would put old content over new.
 */
import path from 'node:path';
import pLimit from 'p-limit';
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { errorCode, type FileOperations } from './file-operations.js';
import { forEach } from './for-each.js';
import { LOG_FOLDER, type Segment } from './log-segment.js';
import { ASIDE_SUFFIX } from './set-aside.js';

/** Segments that wait to be dropped may come to 256 MiB; then writes wait, and are refused if that does not help. */
const LOG_LIMIT_BYTES = 256 * 1024 * 1024;
/**
 * Files that are synced at a time while one segment waits; twice as many for each more, so that the log does not grow while
 * writes go on without a pause.
 */
const PARALLEL_SYNCS = 2;
const MAX_PARALLEL_SYNCS = 32;
/** The end waits so long for the files to be synced; what is left stays in the log. */
const FINISH_MS = 5_000;
/** What could not be synced is tried again after this. */
const RETRY_MS = 10_000;

export interface Checkpoint {
  /** Takes a segment that has ended. */
  add(segment: Segment): void;
  /**
   * Resolves when the log may grow.
   * @throws if it is at its limit, and what it holds cannot be brought to the files
   */
  room(): Promise<void>;
  /** May it grow now? */
  hasRoom(): boolean;
  /** Resolves when all segments are dropped, or after 5 s, or if one cannot be: then it is replayed at the next opening. */
  finish(): Promise<void>;
}

export interface CheckpointDeps {
  readonly files: FileOperations;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Makes the content of a file durable; see `FileWriter.settle`. */
  readonly settle: (file: string) => Promise<void>;
  /** Is the path in the segment that is being written? */
  readonly isNamedAgain: (path: string) => boolean;
}

export function createCheckpoint(deps: CheckpointDeps, root: string): Checkpoint {
  const { files, clock, logger } = deps;
  const syncs = pLimit(PARALLEL_SYNCS);
  const segments: Segment[] = [];
  let bytes = 0;
  let running: Promise<void> | undefined;
  let retryTimer: unknown;
  let failure: unknown;
  let closing = false;
  let outOfTime = false;
  let waiters: (() => void)[] = [];

  function start(): Promise<void> {
    clock.clearTimer(retryTimer);
    running ??= run().finally(() => (running = undefined));
    return running;
  }

  async function run(): Promise<void> {
    failure = undefined;
    for (let segment = segments[0]; segment !== undefined; segment = segments[0]) {
      syncs.concurrency = parallelSyncs();
      try {
        await bringHome(segment);
        segments.shift();
        bytes -= segment.bytes;
      } catch (error) {
        failure = error;
        logger.warn(
          { segment: segment.file, reason: errorMessage(error) },
          'stored files could not be synced; the log is kept, and it is tried again',
        );
      }
      const woken = waiters;
      waiters = [];
      for (const wake of woken) wake();
      if (failure !== undefined) {
        retryTimer = clock.setTimer(() => void start(), RETRY_MS);
        return;
      }
    }
  }

  const parallelSyncs = (): number =>
    closing ? MAX_PARALLEL_SYNCS : Math.min(MAX_PARALLEL_SYNCS, PARALLEL_SYNCS * 2 ** (segments.length - 1));

  async function bringHome(segment: Segment): Promise<void> {
    if (segment.applying > 0) await new Promise<void>((resolve) => (segment.onApplied = resolve));
    // What a later segment names is made good by that one.
    const paths = [...segment.paths].filter((name) => !isNamedLater(name));
    await forEach(syncs, paths, async (name) => {
      if (outOfTime) throw new Error('the controller ends');
      await deps.settle(path.join(root, name));
    });
    await forEach(syncs, directoriesOf(paths), syncDirectory);
    if (segment.damaged) await keepAside(segment.file);
    else await files.remove(segment.file);
    await syncDirectory(path.join(root, LOG_FOLDER));
  }

  async function keepAside(file: string): Promise<void> {
    try {
      await files.rename(file, file + ASIDE_SUFFIX);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  }

  const isNamedLater = (name: string): boolean =>
    deps.isNamedAgain(name) || segments.slice(1).some((later) => later.paths.has(name));

  /** The directories above the paths, each once. */
  function directoriesOf(paths: readonly string[]): string[] {
    const found = new Set<string>();
    for (const name of paths) {
      for (let above = path.dirname(name); !found.has(above); above = path.dirname(above)) found.add(above);
    }
    return [...found].map((name) => path.join(root, name));
  }

  async function syncDirectory(directory: string): Promise<void> {
    try {
      await files.syncDirectory(directory);
    } catch (error) {
      // It was removed; the one above it is synced too.
      if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTDIR') throw error;
    }
  }

  return {
    add(segment) {
      segments.push(segment);
      bytes += segment.bytes;
      syncs.concurrency = parallelSyncs();
      if (failure === undefined) void start();
    },

    hasRoom: () => bytes <= LOG_LIMIT_BYTES,

    async room() {
      while (bytes > LOG_LIMIT_BYTES) {
        if (failure !== undefined) {
          throw new Error(`the log is full, and cannot be brought to the files: ${errorMessage(failure)}`);
        }
        await new Promise<void>((resolve) => waiters.push(resolve));
      }
    },

    async finish() {
      closing = true; // nobody waits for a thread any more
      syncs.concurrency = parallelSyncs();
      const timer = clock.setTimer(() => (outOfTime = true), FINISH_MS);
      await running;
      if (segments.length > 0 && !outOfTime) await start();
      clock.clearTimer(timer);
      clock.clearTimer(retryTimer);
    },
  };
}
