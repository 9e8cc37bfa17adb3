/**
 * The folders of an installation: `runner.dir`, and, while something is installed or taken away, `RUNNER.DIR.installing` beside it.
 *
 * Whatever is being made is made in there, and comes to its place by one rename: killed at any point, `runner.dir` is as it was, or
 * as it shall be. The next start removes the folder beside it. In a runner that was installed by us is a note that says so, and
 * nothing else is ever replaced or removed.
 */
import { lstatSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as z from 'zod';
import { DirectoryInUseError, lockDirectory } from '@mig/common/directory-lock';
import { fatal, ok, retryable, type Outcome } from '@mig/common/outcome';
import { isSystemError } from '../../host/system-error.js';
import { REGISTRATION_FILES } from '../runner-directory.js';

/** In a runner's folder: by whom and how it came there. */
const NOTE_FILE = '.mig-installed.json';
/** What earlier runs leave where a runner was: no reason to leave the folder alone. */
const LEFTOVERS = new Set<string>([NOTE_FILE, '_diag', ...REGISTRATION_FILES]);

const noteSchema = z.object({ version: z.string(), url: z.string(), sha256: z.string() });
export type InstallNote = z.infer<typeof noteSchema>;

export interface Workplace {
  /** Where the archive is downloaded to. */
  readonly archive: string;
  /** Where it is unpacked; empty. */
  readonly unpacked: string;
  /** Puts what is unpacked in the place of `runner.dir`. */
  moveIntoPlace(note: InstallNote): Outcome<void>;
  /** Removes what is left. */
  close(): void;
}

/** No second attempt will be better. */
const FORBIDDEN = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR']);

const workplaceOf = (directory: string): string => `${directory}.installing`;
const LOCK = {
  file: '.lock',
  what: 'installation',
  program: 'MIGlet',
  remedy: 'wait until it has ended, or set runner.dir to another folder',
  host: 'this VM',
};

/** Another process installs here, the folder cannot be made, or `runner.dir` holds what is not ours: an outcome that says so. */
export function openWorkplace(directory: string): Outcome<Workplace> {
  const obstacle = obstacleIn(directory);
  if (obstacle !== undefined) return fatal(obstacle);
  const workplace = workplaceOf(directory);
  let release: () => void;
  try {
    // Nobody else looks in before its files have their owner.
    mkdirSync(workplace, { recursive: true, mode: 0o700 });
    release = lockDirectory(workplace, LOCK);
  } catch (error) {
    if (error instanceof DirectoryInUseError) return retryable(error.message);
    if (!isSystemError(error)) throw error;
    const reason = `${workplace} could not be made (${error.message})`;
    return FORBIDDEN.has(error.code ?? '')
      ? fatal(`${reason}: give the MIGlet's user the right to write beside runner.dir, or set runner.dir`)
      : retryable(reason);
  }
  const unpacked = path.join(workplace, 'runner');
  const before = path.join(workplace, 'before');
  const close = (): void => {
    release();
    removeFolder(workplace);
  };
  try {
    // Left by one that was killed; the lock alone stays.
    for (const name of readdirSync(workplace))
      if (name !== LOCK.file) rmSync(path.join(workplace, name), { recursive: true, force: true });
    mkdirSync(unpacked, { mode: 0o755 });
  } catch (error) {
    close();
    if (!isSystemError(error)) throw error;
    return retryable(`${workplace} cannot be used (${error.message}): remove it`);
  }
  return ok({
    archive: path.join(workplace, 'archive.tar.gz'),
    unpacked,
    moveIntoPlace(note) {
      try {
        writeFileSync(path.join(unpacked, NOTE_FILE), `${JSON.stringify(note)}\n`);
        // What was there is ours: it was looked at when this began, and is again, since a runner may have come meanwhile.
        const late = obstacleIn(directory);
        if (late !== undefined) return fatal(late);
        if (lstatSync(directory, { throwIfNoEntry: false }) !== undefined) renameSync(directory, before);
        renameSync(unpacked, directory);
        return ok(undefined);
      } catch (error) {
        if (!isSystemError(error)) throw error;
        const mounted = error.code === 'EBUSY' || error.code === 'EXDEV';
        return mounted
          ? fatal(`${directory} is a mount point, which cannot be replaced: set runner.dir to a folder in it`)
          : retryable(`the runner could not be moved to ${directory} (${error.message})`);
      }
    },
    close,
  });
}

/** What the disk refuses to remove now is removed by the next installation, or the next start. */
function removeFolder(directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true });
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
}

/** Removes what an installation left that was killed; one that another process carries out is left alone. */
export function removeInterrupted(directory: string): void {
  const workplace = workplaceOf(directory);
  try {
    lockDirectory(workplace, LOCK);
  } catch (error) {
    // Usually it is not there; what else is wrong with it, the next installation says.
    if (error instanceof DirectoryInUseError || isSystemError(error)) return;
    throw error;
  }
  removeFolder(workplace);
}

/** What we noted when we installed the runner that is there; undefined if somebody else did, or there is none. */
export function readInstallNote(directory: string): InstallNote | undefined {
  try {
    return noteSchema.parse(JSON.parse(readFileSync(path.join(directory, NOTE_FILE), 'utf8')));
  } catch {
    return undefined;
  }
}

/** Removes a runner that we installed. @returns false if it is not ours; then nothing is touched */
export function removeInstalled(directory: string): boolean {
  if (readInstallNote(directory) === undefined) return false;
  const workplace = workplaceOf(directory);
  mkdirSync(workplace, { recursive: true, mode: 0o700 });
  const release = lockDirectory(workplace, LOCK);
  // First away, then removed: killed in between, there is no half runner.
  renameSync(directory, path.join(workplace, 'removed'));
  release();
  removeFolder(workplace);
  return true;
}

/** Why `runner.dir` must not be replaced; undefined if it may: missing, empty, ours, or with nothing but leftovers. */
function obstacleIn(directory: string): string | undefined {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? undefined : `${directory} is not a folder that can be read: set runner.dir`;
  }
  if (lstatSync(directory).isSymbolicLink())
    return `${directory} is a link: set runner.dir to the folder that it leads to, or unpack the runner there`;
  if (readInstallNote(directory) !== undefined) return undefined;
  const foreign = names.find((name) => !LEFTOVERS.has(name));
  return foreign === undefined
    ? undefined
    : `${directory} has no runner, and holds ${foreign}, which the MIGlet did not put there: unpack the runner there, empty the folder, or set runner.dir`;
}
