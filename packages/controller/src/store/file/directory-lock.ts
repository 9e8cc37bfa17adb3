/**
 * One controller per data directory: a lock file that names the process that holds it.
 *
 * A lock whose process is gone (`kill -9`, power cut) is taken over. A process is told from a later one with the same
 * number by its start time, where the system gives it (/proc/PID/stat, field 22, proc(5)).
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { MigError } from '@mig/common/errors';

export class DataDirectoryInUseError extends MigError {
  constructor(
    readonly directory: string,
    readonly holder: LockHolder,
  ) {
    super(
      'data-directory-in-use',
      `the data directory ${directory} is in use by another controller (process ${holder.pid} on ${holder.host}); stop that one, or choose another with --data-dir`,
    );
  }
}

interface LockHolder {
  readonly pid: number;
  readonly host: string;
  readonly startedAt: string;
}

const LOCK_FILE = 'controller.lock';

/**
 * @returns releases the lock
 * @throws DataDirectoryInUseError
 */
export function lockDirectory(directory: string): () => void {
  const file = path.join(directory, LOCK_FILE);
  const draft = `${file}.${process.pid}`;
  const self: LockHolder = { pid: process.pid, host: os.hostname(), startedAt: startTime(process.pid) };
  for (;;) {
    try {
      // Linked into its place when it is whole: nobody ever sees it empty.
      writeFileSync(draft, `${JSON.stringify(self)}\n`, { mode: 0o600 });
      linkSync(draft, file);
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      rmSync(draft, { force: true });
    }
    const holder = readHolder(file);
    if (holder !== undefined && isAlive(holder)) throw new DataDirectoryInUseError(directory, holder);
    // Moved aside, not removed: of two that take over at once, only one finds the stale file to move.
    try {
      renameSync(file, `${file}.stale-${process.pid}`);
      rmSync(`${file}.stale-${process.pid}`, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

function readHolder(file: string): LockHolder | undefined {
  try {
    const holder = JSON.parse(readFileSync(file, 'utf8')) as Partial<LockHolder>;
    if (typeof holder.pid !== 'number' || typeof holder.host !== 'string') return undefined;
    return { pid: holder.pid, host: holder.host, startedAt: holder.startedAt ?? '' };
  } catch {
    return undefined;
  }
}

/** A holder on another host cannot be asked, so it counts as alive: a shared directory must not be written by two. */
function isAlive(holder: LockHolder): boolean {
  if (holder.host !== os.hostname()) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return holder.startedAt === startTime(holder.pid);
}

/** Clock ticks after boot at which the process started; empty where /proc does not say. */
function startTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
