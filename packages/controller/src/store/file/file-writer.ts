/**
 * Writes whole files so that a reader, also one after a crash, sees the old content or the new, never a part.
 *
 * Temporary file, fsync, rename, fsync of the directory. Writes to one path go one after the other, and those that wait
 * become one: the newest content wins, and all who waited are told when it is on disk. At most `MAX_OPEN_FILES` files are
 * open at a time; the rest wait.
 */
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import pLimit from 'p-limit';

/** Files open for writing at a time. Twice Node's thread pool of 4 keeps the disk busy; more only costs descriptors. */
const MAX_OPEN_FILES = 32;

export const TEMPORARY_SUFFIX = '.tmp';

/** A write that has not begun: it can still take newer content. */
interface PendingWrite {
  content: string;
  durable: boolean;
  done: Promise<void>;
}

export interface FileWriter {
  /** Resolves when the content is written; with `durable`, when it survives a power cut. */
  write(file: string, content: string, durable: boolean): Promise<void>;
  /** Removes the file after what is being written to it. A file that is not there is no error. */
  remove(file: string): Promise<void>;
  /** Resolves when nothing is being written. */
  idle(): Promise<void>;
}

export function createFileWriter(): FileWriter {
  const limit = pLimit(MAX_OPEN_FILES);
  /** The last operation under way on each path. */
  const active = new Map<string, Promise<void>>();
  /** The one write that waits for it. */
  const waiting = new Map<string, PendingWrite>();
  const directorySyncs = new Map<string, Promise<void>>();
  let counter = 0;

  async function writeNow(file: string, content: string, durable: boolean): Promise<void> {
    counter += 1;
    const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${counter}${TEMPORARY_SUFFIX}`);
    let handle: FileHandle | undefined;
    try {
      handle = await open(temporary, 'w', 0o600);
      await handle.writeFile(content);
      if (durable) await handle.datasync();
      await handle.close();
      handle = undefined;
      await rename(temporary, file);
    } catch (error) {
      await handle?.close().catch(() => undefined);
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
    if (durable) await syncDirectory(path.dirname(file));
  }

  /** A rename is durable once its directory is. Renames that come while a sync waits to begin share it. */
  function syncDirectory(directory: string): Promise<void> {
    const queued = directorySyncs.get(directory);
    if (queued !== undefined) return queued;
    const sync = Promise.resolve().then(async () => {
      directorySyncs.delete(directory);
      const handle = await open(directory, 'r');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    });
    directorySyncs.set(directory, sync);
    return sync;
  }

  /** Runs `operation` on the path after the one that is under way. */
  function enqueue(file: string, operation: () => Promise<void>): Promise<void> {
    const before = active.get(file) ?? Promise.resolve();
    const run = before.catch(() => undefined).then(() => limit(operation));
    const settled = run.finally(() => {
      if (active.get(file) === settled) active.delete(file);
    });
    active.set(file, settled);
    settled.catch(() => undefined);
    return settled;
  }

  return {
    write(file, content, durable) {
      const pending = waiting.get(file);
      if (pending !== undefined) {
        pending.content = content;
        pending.durable ||= durable;
        return pending.done;
      }
      const next: PendingWrite = { content, durable, done: Promise.resolve() };
      next.done = enqueue(file, () => {
        waiting.delete(file);
        return writeNow(file, next.content, next.durable);
      });
      waiting.set(file, next);
      return next.done;
    },

    remove: (file) => enqueue(file, () => rm(file, { force: true })),

    async idle() {
      while (active.size > 0) await Promise.allSettled([...active.values()]);
    },
  };
}
