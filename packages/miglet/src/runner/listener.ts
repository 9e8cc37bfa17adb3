/**
 * The runner's process: `bin/Runner.Listener run`, started by us or left by an earlier process of the MIGlet.
 *
 * It is the leader of a process group of its own, so that a signal to the MIGlet does not reach it, and writes into a file
 * of its own, so that it goes on, with its job, when the MIGlet is killed (I5); the next MIGlet finds it by the note in
 * `runner.json`. `run.sh` is not used: it hides exit codes (actions/runner, run-helper.sh).
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { identify, isAlive, type ProcessIdentity } from '@mig/common/process-identity';
import type { Registration, RunnerFacts } from '../machine/types.js';
import { writeFileDurably } from '../host/write-file.js';
import { parseRunnerLine, type RunnerLine } from './output.js';
import { killGroup, signal } from './processes.js';
import type { RunnerDirectory } from './runner-directory.js';
import { tailFile } from './tail.js';

export interface ListenerExit {
  readonly code: number | undefined;
  readonly signal: string | undefined;
}

export interface ListenerHandlers {
  onLine(line: RunnerLine): void;
  /** Called once, after every line that it wrote. */
  onExit(exit: ListenerExit): void;
}

export interface Listener {
  readonly runner: RunnerFacts;
  /** Asks it to end (SIGINT). It cancels a running job, so ask only when none may be lost. */
  interrupt(): void;
  /** Ends it, and every process of its group, at once. */
  kill(): void;
  /** Stops watching; the process goes on. */
  release(): void;
}

export interface ListenerOptions {
  readonly directory: RunnerDirectory;
  readonly env: Readonly<Record<string, string>>;
  /** Where `runner.json` and `runner-output.log` are. */
  readonly stateDirectory: string;
}

interface RunnerNote extends ProcessIdentity {
  readonly runner: RunnerFacts;
}

/** A process that is not our child is looked at this often. */
const WATCH_MS = 500;

const noteFile = (options: ListenerOptions): string => path.join(options.stateDirectory, 'runner.json');
const outputFile = (options: ListenerOptions): string =>
  path.join(options.stateDirectory, 'runner-output.log');

/** Starts the listener. Rejects if it cannot be run at all. */
export async function startListener(
  registration: Registration,
  options: ListenerOptions,
  handlers: ListenerHandlers,
): Promise<Listener> {
  const output = openSync(outputFile(options), 'w', 0o600);
  const child = spawn(options.directory.listener, ['run'], {
    cwd: options.directory.path,
    env: {
      ...options.env,
      ...(registration.jitConfig === '' ? {} : { ACTIONS_RUNNER_INPUT_JITCONFIG: registration.jitConfig }),
    },
    stdio: ['ignore', output, output],
    detached: true,
  });
  closeSync(output);
  const exited = new Promise<ListenerExit>((resolve) => {
    child.once('exit', (code, name) => resolve({ code: code ?? undefined, signal: name ?? undefined }));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  const process = identify(child.pid ?? 0);
  const runner = { name: registration.runnerName, labels: registration.labels };
  writeFileDurably(noteFile(options), `${JSON.stringify({ ...process, runner } satisfies RunnerNote)}\n`);
  return watchListener(process, runner, exited, options, handlers);
}

/** The listener that an earlier process of the MIGlet left running, if there is one. */
export function adoptListener(options: ListenerOptions, handlers: ListenerHandlers): Listener | undefined {
  const note = readNote(noteFile(options));
  if (note === undefined || !isAlive(note)) return undefined;
  let timer: NodeJS.Timeout | undefined;
  const exited = new Promise<ListenerExit>((resolve) => {
    timer = setInterval(() => {
      if (!isAlive(note)) resolve({ code: undefined, signal: undefined });
    }, WATCH_MS);
  });
  void exited.then(() => clearInterval(timer));
  const listener = watchListener(note, note.runner, exited, options, handlers);
  return {
    ...listener,
    release() {
      clearInterval(timer);
      listener.release();
    },
  };
}

function watchListener(
  process: ProcessIdentity,
  runner: RunnerFacts,
  exited: Promise<ListenerExit>,
  options: ListenerOptions,
  handlers: ListenerHandlers,
): Listener {
  let released = false;
  const tail = tailFile(outputFile(options), (text) => {
    const line = parseRunnerLine(text);
    if (line !== undefined && !released) handlers.onLine(line);
  });
  void exited.then((exit) => {
    if (released) return;
    tail.read();
    tail.stop();
    // What the group still holds (a worker, a step) must not outlive its listener.
    killGroup(process.pid);
    rmSync(noteFile(options), { force: true });
    handlers.onExit(exit);
  });
  // The adopter's own caller must have the listener before it hears of its lines.
  setImmediate(() => tail.read());
  return {
    runner,
    interrupt: () => {
      if (isAlive(process)) signal(process.pid, 'SIGINT');
    },
    kill: () => killGroup(process.pid),
    release() {
      released = true;
      tail.stop();
    },
  };
}

function readNote(file: string): RunnerNote | undefined {
  try {
    const note = JSON.parse(readFileSync(file, 'utf8')) as Partial<RunnerNote>;
    if (typeof note.pid !== 'number' || typeof note.startedAt !== 'string' || note.runner === undefined)
      return undefined;
    return { pid: note.pid, startedAt: note.startedAt, runner: note.runner };
  } catch {
    return undefined;
  }
}
