/**
 * A control group (cgroup v2) for the processes of a runner. Whatever they fork, and however they detach themselves, stays in
 * it, and is killed with one write (cgroups(7), Documentation/admin-guide/cgroup-v2.rst: `cgroup.kill`, Linux 5.14).
 *
 * It is made below the group of the MIGlet itself, where that is allowed: as root, or where systemd hands the group over
 * (`Delegate=yes`). Elsewhere there is none, and the tree is found by other means (runner-tree.ts).
 */
import {
  accessSync,
  constants,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { signal } from '../processes.js';

export interface RunnerCgroup {
  readonly path: string;
  /** What a process writes its number into to belong to it. */
  readonly procsFile: string;
  /** Every process of it, and of the groups that these made below it. */
  pids(): number[];
  /** Ends all of them at once; on a kernel that cannot, those that are there now, one by one. */
  kill(): void;
  /** True if it is gone now. False while a process is left in it. */
  remove(): boolean;
}

/** Begins the name of every group of ours. */
const PREFIX = 'mig-runner-';

/**
 * @param id becomes a part of its name
 * @param parent the group in which it is made; default: that of this process
 * @returns undefined where none can be made
 */
export function createCgroup(id: string, parent = ownCgroup()): RunnerCgroup | undefined {
  if (parent === undefined) return undefined;
  const directory = path.join(parent, `${PREFIX}${id}`);
  try {
    mkdirSync(directory);
    // In a folder that is none, nothing of this is there.
    accessSync(path.join(directory, 'cgroup.procs'), constants.R_OK | constants.W_OK);
    return open(directory);
  } catch {
    removeFolder(directory);
    return undefined;
  }
}

/** Can one be made, here and now? It is, and is removed again. */
export function canMakeCgroup(parent = ownCgroup()): boolean {
  const probe = createCgroup(`probe-${process.pid}`, parent);
  probe?.remove();
  return probe !== undefined;
}

/** One that an earlier process of the MIGlet made; undefined if it is gone, or was none of ours. */
export function openCgroup(directory: string): RunnerCgroup | undefined {
  if (!path.basename(directory).startsWith(PREFIX)) return undefined;
  try {
    accessSync(path.join(directory, 'cgroup.procs'), constants.R_OK);
    return open(directory);
  } catch {
    return undefined;
  }
}

/** The group of ours that the process is in; empty if it is in none. */
export function cgroupOf(pid: number): string {
  const own = cgroupPath(String(pid));
  if (own === undefined) return '';
  const parts = own.split('/');
  const at = parts.findIndex((part) => part.startsWith(PREFIX));
  return at < 0 ? '' : parts.slice(0, at + 1).join('/');
}

/** A younger one may be that of a runner that is just being started, by another MIGlet of this VM. */
const MIN_AGE_MS = 60_000;

/** Removes what is left of earlier runners: groups of ours without a process. */
export function removeEmptyCgroups(parent = ownCgroup()): void {
  if (parent === undefined) return;
  for (const name of foldersIn(parent)) {
    const directory = path.join(parent, name);
    const madeAt = statSync(directory, { throwIfNoEntry: false })?.ctimeMs ?? Infinity;
    if (name.startsWith(PREFIX) && Date.now() - madeAt > MIN_AGE_MS) removeFolder(directory);
  }
}

function open(directory: string): RunnerCgroup {
  const pids = (): number[] => pidsOf(directory);
  return {
    path: directory,
    procsFile: path.join(directory, 'cgroup.procs'),
    pids,
    kill() {
      try {
        // Without `r+` a kernel that has no such file would be asked to make it.
        writeFileSync(path.join(directory, 'cgroup.kill'), '1', { flag: 'r+' });
      } catch {
        for (const pid of pids()) if (pid !== process.pid) signal(pid, 'SIGKILL');
      }
    },
    remove: () => removeFolder(directory),
  };
}

function pidsOf(directory: string): number[] {
  try {
    const own = readFileSync(path.join(directory, 'cgroup.procs'), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map(Number);
    return [...own, ...foldersIn(directory).flatMap((name) => pidsOf(path.join(directory, name)))];
  } catch {
    return [];
  }
}

function removeFolder(directory: string): boolean {
  for (const name of foldersIn(directory)) removeFolder(path.join(directory, name));
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

function foldersIn(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}

const ownCgroup = (): string | undefined => cgroupPath('self');

/** The folder of the process's group in the hierarchy of version 2; undefined if none is mounted, or it is not in sight. */
function cgroupPath(process: string): string | undefined {
  try {
    const [, group] = /^0::(\/.*)$/m.exec(readFileSync(`/proc/${process}/cgroup`, 'utf8')) ?? [];
    const mount = cgroupMount();
    if (group === undefined || mount === undefined || group.split('/').includes('..')) return undefined;
    const relative = path.posix.relative(mount.root, group);
    return relative.startsWith('..') ? undefined : path.join(mount.point, relative);
  } catch {
    return undefined;
  }
}

/** proc(5), mountinfo: `36 35 98:0 /root /mount/point options - type source options`. */
function cgroupMount(): { readonly root: string; readonly point: string } | undefined {
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root, point] = before.split(' ');
    if (after.startsWith('cgroup2 ') && root !== undefined && point !== undefined) return { root, point };
  }
  return undefined;
}
