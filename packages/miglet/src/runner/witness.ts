/**
 * The second witness of a job: the worker's process, `Runner.Worker`, which the listener starts for each job and which ends with
 * it (actions/runner, JobDispatcher.cs). While it lives the runner is not idle, whatever its output says (I5).
 */
import { readdirSync } from 'node:fs';
import { identify, isAlive, type ProcessIdentity } from '@mig/common/process-identity';
import { readProcFile } from '../host/proc-file.js';

export type WorkerSighting =
  | { readonly kind: 'works'; readonly worker: ProcessIdentity }
  | { readonly kind: 'none' }
  /** Without /proc there is no such witness: the output alone counts. */
  | { readonly kind: 'unknown' };

export interface WorkerWitness {
  look(): WorkerSighting;
}

/** As the kernel names it: the program's file name, cut at 15 characters. */
const WORKER = 'Runner.Worker';
/** Between listener and worker there may be whatever changes the user. */
const MAX_DEPTH = 3;

/** @param listenerPid of the listener, or of what it was started by */
export function createWorkerWitness(listenerPid: number): WorkerWitness {
  let last: ProcessIdentity | undefined;
  return {
    look() {
      if (last !== undefined && isAlive(last)) return { kind: 'works', worker: last };
      const found = findWorker(listenerPid, MAX_DEPTH);
      if (found === 'unknown') return { kind: 'unknown' };
      last = found;
      return found === undefined ? { kind: 'none' } : { kind: 'works', worker: found };
    },
  };
}

function findWorker(pid: number, depth: number): ProcessIdentity | undefined | 'unknown' {
  const children = childrenOf(pid);
  if (children === 'unknown') return 'unknown';
  for (const child of children) {
    if (commandOf(child) === WORKER) {
      const worker = identify(child);
      // One that has ended and is not collected yet works no more.
      if (isAlive(worker)) return worker;
      continue;
    }
    const below = depth > 1 ? findWorker(child, depth - 1) : undefined;
    if (typeof below === 'object') return below;
  }
  return undefined;
}

/** By the kernel's own list (CONFIG_PROC_CHILDREN, proc(5)), or else by asking every process for its parent. */
function childrenOf(pid: number): readonly number[] | 'unknown' {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    // It has ended, or nothing is known of processes here.
    return hasProc() ? [] : 'unknown';
  }
  const children: number[] = [];
  for (const thread of threads) {
    try {
      const text = readProcFile(`/proc/${pid}/task/${thread}/children`);
      children.push(...text.split(' ').filter(Boolean).map(Number));
    } catch (error) {
      // A thread that has ended meanwhile has its children with another one.
      const withoutList = (error as NodeJS.ErrnoException).code === 'ENOENT' && thread === String(pid);
      if (withoutList) return scanForChildren(pid);
    }
  }
  return children;
}

const scanForChildren = (pid: number): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => parentOf(candidate) === pid);

function hasProc(): boolean {
  try {
    readProcFile('/proc/self/stat');
    return true;
  } catch {
    return false;
  }
}

function parentOf(pid: number): number | undefined {
  try {
    const text = readProcFile(`/proc/${pid}/stat`);
    // The name in parentheses may hold anything: the fields that follow are counted from its last parenthesis.
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}

function commandOf(pid: number): string {
  try {
    return readProcFile(`/proc/${pid}/comm`).trim();
  } catch {
    return '';
  }
}
