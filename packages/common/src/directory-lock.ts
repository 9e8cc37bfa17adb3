/**
 * One process per directory: a lock file that names the process that holds it.
 *
 * A lock whose process is gone (`kill -9`, power cut) is taken over. Of several that try at once exactly one gets it: who
 * takes over first claims the dead holder's place, by a file whose name only one can make; a claim whose claimant died
 * as well is claimed in turn.
 *
 *   {directory}/{file}                names the holder
 *   {directory}/{file}.{hash}         names who takes over from the holder (or claimant) whose entry has this hash
 */
import { createHash, randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { MigError } from './errors.js';
import { identify, isAlive, type ProcessIdentity } from './process-identity.js';

export interface DirectoryLockOptions {
  /** Name of the lock file, for example `.controller.lock`. */
  readonly file: string;
  /** What the directory is, for the message and the code of the error: `data directory`. */
  readonly what: string;
  /** Who may hold it: `controller`. */
  readonly program: string;
  /**
   * Where the holder's number means something; default: the name of this host. A directory that is one machine's by its
   * nature names a constant, so that a machine that comes back under another name finds its own lock.
   */
  readonly host?: string;
  /** What the reader of the message can do: `stop that one, or choose another with --data-dir`. */
  readonly remedy: string;
}

export interface LockHolder extends ProcessIdentity {
  readonly host: string;
}

/** Another process holds the directory. Its `code` is `what` in kebab-case with `-in-use`: `data-directory-in-use`. */
export class DirectoryInUseError extends MigError {
  constructor(
    readonly directory: string,
    readonly holder: LockHolder,
    { what, program, remedy }: DirectoryLockOptions,
  ) {
    super(
      `${what.replaceAll(' ', '-')}-in-use`,
      `the ${what} ${directory} is in use by another ${program} (process ${holder.pid} on ${holder.host}); ${remedy}`,
    );
  }
}

/**
 * Takes the lock of an existing directory, for as long as this process lives or until it lets go.
 *
 * @returns releases the lock; a lock that is not ours any more, because somebody removed it, is left alone
 * @throws DirectoryInUseError if another process holds it, or one on another host, which cannot be asked whether it lives
 * @throws the file system's error if no file can be made there
 */
export function lockDirectory(directory: string, options: DirectoryLockOptions): () => void {
  const file = path.join(directory, options.file);
  // What it says is unique, so that its hash names this lock and no later one.
  const entry = `${JSON.stringify({ ...identify(process.pid), host: hostOf(options), nonce: randomUUID() })}\n`;
  const draft = `${file}.${randomUUID()}.tmp`;
  try {
    writeFileSync(draft, entry, { mode: 0o600 });
    while (!link(draft, file) && !takeOver(directory, draft, options));
  } finally {
    rmSync(draft, { force: true });
  }
  return () => {
    if (readText(file) === entry) rmSync(file, { force: true });
  };
}

/**
 * True if the lock is ours now; false if it has changed meanwhile: look again.
 * @throws DirectoryInUseError
 */
function takeOver(directory: string, draft: string, options: DirectoryLockOptions): boolean {
  const file = path.join(directory, options.file);
  const claims: string[] = [];
  const stale = readText(file);
  let last = stale;
  for (;;) {
    if (last === undefined) return false;
    const holder = parseHolder(last);
    if (holder !== undefined && isHeld(holder, options))
      throw new DirectoryInUseError(directory, holder, options);
    const claim = `${file}.${createHash('sha256').update(last).digest('hex').slice(0, 16)}`;
    claims.push(claim);
    if (link(draft, claim)) break;
    last = readText(claim);
  }
  // Ours alone, unless another had taken over, and removed its claim, before we made ours.
  const ours = readText(file) === stale;
  if (ours) renameSync(draft, file);
  for (const claim of ours ? claims : claims.slice(-1)) rmSync(claim, { force: true });
  return ours;
}

/** False if the name is taken. A file that is linked into its place is whole: nobody ever sees it empty. */
function link(draft: string, file: string): boolean {
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Undefined for a file that says nothing (a power cut may empty it): its holder is gone. */
function parseHolder(text: string): LockHolder | undefined {
  try {
    const holder = JSON.parse(text) as Partial<LockHolder>;
    if (typeof holder.pid !== 'number' || typeof holder.host !== 'string') return undefined;
    return { pid: holder.pid, host: holder.host, startedAt: holder.startedAt ?? '' };
  } catch {
    return undefined;
  }
}

/** A holder on another host cannot be asked, so it counts as alive: a shared directory must not be written by two. */
const isHeld = (holder: LockHolder, options: DirectoryLockOptions): boolean =>
  holder.host !== hostOf(options) || isAlive(holder);

const hostOf = ({ host }: DirectoryLockOptions): string => host ?? os.hostname();
