/**
 * The runner's process: `bin/Runner.Listener run`, started by us or left by an earlier process of the MIGlet.
 *
 * It is the leader of a process group of its own, so that a signal to the MIGlet does not reach it, and writes into a file
 * of its own, so that it goes on, with its job, when the MIGlet is killed (I5); the next MIGlet finds it by the note in
 * `runner.json`. `run.sh` is not used: it hides exit codes (actions/runner, run-helper.sh).
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { identify, isAlive, type ProcessIdentity } from '@mig/common/process-identity';
import type { Registration, RunnerFacts } from '../machine/types.js';
import { isSystemError } from '../host/system-error.js';
import { writeFileDurably } from '../host/write-file.js';
import { registeredLabels } from './configure.js';
import { parseRunnerLine, type RunnerLine } from './output.js';
import { findProcess, killGroup, signal } from './processes.js';
import type { RunnerDirectory } from './runner-directory.js';
import { tailFile } from './tail.js';

export interface ListenerExit {
  readonly code: number | undefined;
  readonly signal: string | undefined;
}

export interface ListenerHandlers {
  /** `known`: an earlier process of the MIGlet has reported it; it only says how things stand. `ordinal` counts from 1. */
  onLine(line: RunnerLine, known: boolean, ordinal: number): void;
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
  /** Is everything that was told on disk? Until it is, it must not be noted as told (I4). */
  readonly isJournaled: () => boolean;
  /** The disk refused a note (full, failing). The runner goes on; what a note would have said may be told twice after a crash. */
  readonly onNoteRefused: (reason: string) => void;
}

interface RunnerNote extends ProcessIdentity {
  readonly runner: RunnerFacts;
  /** Lines that were told, and what they say journaled. */
  readonly told: number;
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
  const runner = { name: registration.runnerName, labels: registeredLabels(registration) };
  const note: RunnerNote = { ...identify(child.pid ?? 0), runner, told: 0 };
  writeNote(options, note);
  return watchListener(note, exited, options, handlers);
}

/**
 * The listener that an earlier process of the MIGlet left, if there is one: running, or ended meanwhile with something to tell.
 * One that was started and not yet noted when that process died is found by its program.
 */
export function adoptListener(options: ListenerOptions, handlers: ListenerHandlers): Listener | undefined {
  const noted = readNote(noteFile(options));
  const note = noted !== undefined && isAlive(noted) ? noted : (findUnnoted(options, noted) ?? noted);
  if (note === undefined || !existsSync(outputFile(options))) return undefined;
  let timer: NodeJS.Timeout | undefined;
  const exited = new Promise<ListenerExit>((resolve) => {
    const look = (): void => {
      if (!isAlive(note)) resolve({ code: undefined, signal: undefined });
    };
    timer = setInterval(look, WATCH_MS);
    look();
  });
  void exited.then(() => clearInterval(timer));
  const listener = watchListener(note, exited, options, handlers);
  return {
    ...listener,
    release() {
      clearInterval(timer);
      listener.release();
    },
  };
}

function watchListener(
  note: RunnerNote,
  exited: Promise<ListenerExit>,
  options: ListenerOptions,
  handlers: ListenerHandlers,
): Listener {
  let released = false;
  let ordinal = 0;
  const tail = tailFile(outputFile(options), (text) => {
    const line = parseRunnerLine(text);
    if (line === undefined || released) return;
    ordinal += 1;
    const known = ordinal <= note.told;
    handlers.onLine(line, known, ordinal);
    // What it says is journaled by now: the next process of the MIGlet does not report it again (I4).
    if (!known && options.isJournaled()) writeNote(options, { ...note, told: ordinal });
  });
  // The adopter's own caller must have the listener before it hears of it.
  setImmediate(() => {
    tail.read();
    void exited.then((exit) => {
      if (released) return;
      tail.read();
      tail.stop();
      // What the group still holds (a worker, a step) must not outlive its listener.
      killGroup(note.pid);
      rmSync(noteFile(options), { force: true });
      handlers.onExit(exit);
    });
  });
  return {
    runner: note.runner,
    interrupt: () => {
      if (isAlive(note)) signal(note.pid, 'SIGINT');
    },
    kill: () => {
      if (isAlive(note)) killGroup(note.pid);
    },
    release() {
      released = true;
      tail.stop();
    },
  };
}

/** A runner without its note goes on, and is found by its program: no job ends for want of space. */
function writeNote(options: ListenerOptions, note: RunnerNote): void {
  try {
    writeFileDurably(noteFile(options), `${JSON.stringify(note)}\n`);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    options.onNoteRefused(error.message);
  }
}

/** A running listener of this folder that no note tells of (Linux: by /proc). */
function findUnnoted(options: ListenerOptions, noted: RunnerNote | undefined): RunnerNote | undefined {
  const pid = findProcess(options.directory.listener);
  if (pid === undefined) return undefined;
  const runner = noted?.runner ?? { name: options.directory.registeredName(), labels: [] };
  return { ...identify(pid), runner, told: 0 };
}

function readNote(file: string): RunnerNote | undefined {
  try {
    const note = JSON.parse(readFileSync(file, 'utf8')) as Partial<RunnerNote>;
    if (typeof note.pid !== 'number' || typeof note.startedAt !== 'string' || note.runner === undefined)
      return undefined;
    return { pid: note.pid, startedAt: note.startedAt, runner: note.runner, told: note.told ?? 0 };
  } catch {
    return undefined;
  }
}
