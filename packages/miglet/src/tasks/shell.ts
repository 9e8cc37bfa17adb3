/**
 * A shell task: `/bin/sh -c` in a session and process group of its own, with an environment of its own.
 *
 * Its output is read as fast as it is taken, so a fast writer waits at its pipe (I12). No process outlives the task: what the
 * shell left behind is ended when it ends, and a cancelled task is ended whole: SIGTERM, grace, SIGKILL.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { realpathSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { errorMessage } from '@mig/common/errors';
import type { ShellWork } from '@mig/common/domain/task';
import type { OutputStreamName } from '@mig/common/domain/task-messages';
import { endProcesses } from './end-processes.js';
import { MARK } from './processes.js';
import { createSplitter, failed, type TaskOutput, type TaskResult } from './task-output.js';

export interface ShellOptions {
  readonly taskId: string;
  /** The environment that every task has; that of the task wins. */
  readonly env: Readonly<Record<string, string>>;
  /** Where a task runs that names no directory. */
  readonly workingDir: string;
  /** Where no task runs: the runner's folder. What works there is taken for a process of the runner, and ended with its job. */
  readonly closedDir: string;
  /** Between SIGTERM and SIGKILL. */
  readonly graceMs: number;
  /** Output goes on as it is, also where it is no UTF-8. */
  readonly rawOutput: boolean;
  readonly output: TaskOutput;
  /** Ends the task. */
  readonly signal: AbortSignal;
}

/** Whatever the shell left behind may go on writing so long after its last word, before it is ended. */
const LINGER_MS = 1_000;
/** Output of an ended task that nobody takes is given up after this. */
const LAST_WORDS_MS = 2_000;

type Child = ChildProcessByStdio<null, Readable, Readable>;

/** Never rejects: what cannot be started has failed. */
export async function runShell(work: ShellWork, options: ShellOptions): Promise<TaskResult> {
  const workingDir = work.workingDir || options.workingDir;
  const fault = directoryFault(workingDir, options.closedDir);
  if (fault !== undefined) return failed(fault);
  const mark = `${options.taskId}:${randomUUID()}`;
  let child: Child;
  try {
    child = spawn('/bin/sh', ['-c', work.cmd], {
      cwd: workingDir,
      env: { ...options.env, ...parseEnvironment(work.env), [MARK]: mark },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
  } catch (error) {
    return failed(`/bin/sh could not be started: ${errorMessage(error)}`);
  }
  const exit = exitOf(child);
  const { pid } = child;
  if (pid === undefined) return failed(`/bin/sh could not be started: ${(await exit).error ?? ''}`);

  let lastReadAt = performance.now();
  let waitingWrites = 0;
  const pump = async (name: OutputStreamName, stream: Readable): Promise<void> => {
    const splitter = createSplitter(options.rawOutput);
    const write = async (pieces: readonly Uint8Array[]): Promise<void> => {
      for (const piece of pieces) await options.output.write(name, piece);
    };
    try {
      for await (const chunk of stream) {
        waitingWrites += 1;
        await write(splitter.push(chunk as Buffer)).finally(() => (waitingWrites -= 1));
        lastReadAt = performance.now();
      }
      await write(splitter.flush());
    } catch {
      // The stream was cut below, or nobody takes the output any more.
    }
  };
  const pumped = Promise.all([pump('stdout', child.stdout), pump('stderr', child.stderr)]);

  let ending: Promise<number> | undefined;
  const end = (graceMs: number): Promise<number> => (ending ??= endProcesses(pid, mark, graceMs));
  const onAbort = (): void => void end(options.graceMs);
  if (options.signal.aborted) onAbort();
  options.signal.addEventListener('abort', onAbort, { once: true });

  const { code, signal } = await exit;
  lastReadAt = performance.now();
  const quiet = (): boolean => waitingWrites === 0 && performance.now() - lastReadAt > LINGER_MS;
  await settledOr(pumped, () => quiet() || options.signal.aborted);
  const leftCount = await end(options.graceMs);
  const endedAt = performance.now();
  await settledOr(
    pumped,
    () => performance.now() - endedAt > LAST_WORDS_MS && (options.signal.aborted || quiet()),
  );
  options.signal.removeEventListener('abort', onAbort);
  child.stdout.destroy();
  child.stderr.destroy();
  const exitCode = code ?? 128 + (signal === null ? 0 : os.constants.signals[signal]);
  return {
    success: exitCode === 0,
    exitCode,
    signal: signal ?? '',
    message: leftCount === 0 ? '' : `${leftCount} processes of the task could not be ended`,
  };
}

const CHECK_MS = 50;

/** Resolves with the work, or as soon as `enough` says so. */
async function settledOr(work: Promise<unknown>, enough: () => boolean): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const given = new Promise<void>((resolve) => {
    timer = setInterval(() => {
      if (enough()) resolve();
    }, CHECK_MS);
  });
  await Promise.race([work, given]).finally(() => clearInterval(timer));
}

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly error?: string;
}

const exitOf = (child: Child): Promise<Exit> =>
  new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', (error) => resolve({ code: null, signal: null, error: error.message }));
  });

/** A spawn in a folder that is not there says that the program is not there. */
function directoryFault(directory: string, closedDir: string): string | undefined {
  try {
    if (!statSync(directory).isDirectory()) return `working_dir ${directory} is no folder`;
    if (isWithin(realpathSync(directory), closedDir))
      return `working_dir ${directory} is in the runner's folder, where no task runs: name another`;
    return undefined;
  } catch (error) {
    return `working_dir ${directory} cannot be used: ${errorMessage(error)}`;
  }
}

function isWithin(directory: string, folder: string): boolean {
  let real: string;
  try {
    real = realpathSync(folder);
  } catch {
    // There is no runner yet.
    return false;
  }
  const relative = path.relative(real, directory);
  return relative === '' || !(relative === '..' || relative.startsWith(`..${path.sep}`));
}

function parseEnvironment(entries: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    entries.map((entry) => {
      const at = entry.indexOf('=');
      return at === -1 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
}
