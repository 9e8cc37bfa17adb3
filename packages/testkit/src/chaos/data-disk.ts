/**
 * The disk of the controller's data: a tmpfs whose size can be changed, in a mount namespace of its own, so that it can be full
 * without root and without harm to the machine. Where namespaces cannot be had it is a plain folder, which is never full.
 *
 * The namespace is held by a process that ends with this one; the controller is started into it, and what is stored is read
 * from outside through /proc/PID/root (proc(5)).
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';

export interface DataDisk {
  /** As the controller names it. */
  readonly directory: string;
  /** The same, as others reach it. */
  readonly outside: string;
  /** The process that holds it, if one does. */
  readonly holderPid: number | undefined;
  /** Why it can never be full; undefined if it can. */
  readonly unlimited: string | undefined;
  /** The command that runs a program where the disk is. */
  command(program: string, ...args: readonly string[]): readonly [string, ...string[]];
  /** From now on nothing more can be written. */
  fill(): void;
  /** There is room again. */
  makeRoom(): void;
  /** Writes the content to where it stays when the disk is gone. */
  keep(): void;
  /** Call it when nobody uses the disk any more. */
  close(): Promise<void>;
}

/** Room for hours; what is not used costs nothing. */
const SIZE = '2g';
const FILL_TRIES = 20;

/** @param directory is made if it is missing */
export async function createDataDisk(directory: string): Promise<DataDisk> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const flags of [['--mount'], ['--mount', '--map-root-user']]) {
    const holder = await holdNamespace(directory, flags);
    if (holder !== undefined) return createLimited(directory, holder, flags.length > 1);
  }
  return {
    directory,
    outside: directory,
    holderPid: undefined,
    unlimited: 'a tmpfs of its own could not be mounted here (unshare --mount --map-root-user)',
    command: (program, ...args) => [program, ...args],
    fill: () => undefined,
    makeRoom: () => undefined,
    keep: () => undefined,
    close: () => Promise.resolve(),
  };
}

/** A process in a new mount namespace in which the directory is a tmpfs; undefined if that cannot be had. */
async function holdNamespace(directory: string, flags: readonly string[]): Promise<ChildProcess | undefined> {
  // `cat` ends when this process does, and with it, and with the controller, the namespace.
  const script = 'mount -t tmpfs -o mode=700,size="$2" chaos "$1" && echo mounted && exec cat';
  const child = spawn('unshare', [...flags, 'sh', '-c', script, 'sh', directory, SIZE], {
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  });
  const isMounted = await new Promise<boolean>((resolve) => {
    child.once('error', () => resolve(false));
    child.once('close', () => resolve(false));
    createInterface({ input: child.stdout }).once('line', (line) => resolve(line === 'mounted'));
  });
  if (isMounted && spawnSync('nsenter', ['--version']).status === 0) return child;
  child.kill('SIGKILL');
  return undefined;
}

function createLimited(directory: string, holder: ChildProcess, ownUsers: boolean): DataDisk {
  const outside = path.join(`/proc/${holder.pid ?? 0}/root`, directory);
  const command = (program: string, ...args: readonly string[]): readonly [string, ...string[]] => [
    'nsenter',
    `--target=${holder.pid ?? 0}`,
    '--mount',
    ...(ownUsers ? ['--user', '--preserve-credentials'] : []),
    '--',
    program,
    ...args,
  ];

  /** False if more than that is in use. */
  function resize(size: string): boolean {
    // The source is named, so that what is mounted is not looked up: its options name users that the namespace does not know.
    const options = ['-t', 'tmpfs', '-o', `remount,size=${size}`, 'chaos', directory];
    const [program, ...args] = command('mount', ...options);
    const { status, error } = spawnSync(program, args, { stdio: 'ignore' });
    if (error !== undefined) throw error;
    return status === 0;
  }

  function fill(): void {
    for (let attempt = 1; attempt <= FILL_TRIES; attempt += 1) {
      const { blocks, bfree, bsize } = statfsSync(outside);
      // It may grow while it is being measured.
      if (resize(String(Math.max(1, blocks - bfree) * bsize))) return;
    }
    throw new Error(`the tmpfs ${directory} could not be made full in ${FILL_TRIES} tries`);
  }

  return {
    directory,
    outside,
    holderPid: holder.pid,
    unlimited: undefined,
    command,
    fill,
    makeRoom() {
      if (!resize(SIZE)) throw new Error(`the tmpfs ${directory} could not be made larger`);
    },
    keep() {
      // Not cpSync: it takes both for one path, because the link /proc/PID/root says `/`.
      spawnSync('cp', ['-a', `${outside}/.`, directory], { stdio: 'ignore' });
    },
    close() {
      const closed = new Promise<void>((resolve) => holder.once('close', () => resolve()));
      holder.stdin?.end();
      return holder.exitCode === null && holder.signalCode === null ? closed : Promise.resolve();
    },
  };
}
