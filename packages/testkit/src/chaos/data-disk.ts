/**
 * The disk of the controller's data: a tmpfs whose size can be changed, in a mount namespace of its own, so that it can be full
 * without root and without harm to the machine. Where namespaces cannot be had it is a plain folder, which is never full.
 *
 * The namespace is held by a process that ends with this one; the controller is started into it, and what is stored is read
 * from outside through /proc/PID/root (proc(5)).
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { cpSync, mkdirSync, statfsSync } from 'node:fs';
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

  function resize(size: string): void {
    // The source is named, so that what is mounted is not looked up: its options name users that the namespace does not know.
    const options = ['-t', 'tmpfs', '-o', `remount,size=${size}`, 'chaos', directory];
    const [program, ...args] = command('mount', ...options);
    const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`the size of the tmpfs ${directory} could not be set: ${stderr}`);
  }

  return {
    directory,
    outside,
    holderPid: holder.pid,
    unlimited: undefined,
    command,
    fill() {
      const { blocks, bfree, bsize } = statfsSync(outside);
      resize(String(Math.max(1, blocks - bfree) * bsize));
    },
    makeRoom: () => resize(SIZE),
    keep: () => cpSync(outside, directory, { recursive: true }),
    close() {
      const closed = new Promise<void>((resolve) => holder.once('close', () => resolve()));
      holder.stdin?.end();
      return holder.exitCode === null && holder.signalCode === null ? closed : Promise.resolve();
    },
  };
}
