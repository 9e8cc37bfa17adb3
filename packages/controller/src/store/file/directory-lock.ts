/**
 * One controller per data directory: a lock file that names the process that holds it.
 *
 * A lock whose process is gone (`kill -9`, power cut) is taken over.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { MigError } from '@mig/common/errors';
import { identify, isAlive, type ProcessIdentity } from '@mig/common/process-identity';

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

interface LockHolder extends ProcessIdentity {
  readonly host: string;
}

/** No id begins with a dot, so no VM's folder is ever called so. */
const LOCK_FILE = '.controller.lock';

/**
 * @returns releases the lock
 * @throws DataDirectoryInUseError
 */
export function lockDirectory(directory: string): () => void {
  const file = path.join(directory, LOCK_FILE);
  const draft = `${file}.${process.pid}`;
  const self: LockHolder = { ...identify(process.pid), host: os.hostname() };
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
    if (holder !== undefined && isHeld(holder)) throw new DataDirectoryInUseError(directory, holder);
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
const isHeld = (holder: LockHolder): boolean => holder.host !== os.hostname() || isAlive(holder);
