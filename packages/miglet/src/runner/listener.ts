/**
 * The runner's process: `bin/Runner.Listener run`, started by us or left by an earlier process of the MIGlet.
 *
 * It is the leader of a process group of its own, so that a signal to the MIGlet does not reach it, and writes into a file
 * of its own, so that it goes on, with its job, when the MIGlet is killed (I5); the next MIGlet finds it by the note in
 * `runner.json`. `run.sh` is not used: it hides exit codes (actions/runner, run-helper.sh).
 *
 * Without a note that can be read, the process is found by its program, its output is read from the beginning, and a worker
 * without a line is a job without a name: it is not touched (I5).
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { identify, isAlive } from '@mig/common/process-identity';
import type { Registration } from '../machine/types.js';
import { registeredLabels } from './configure.js';
import type { ProcessExit } from './exit-outcomes.js';
import { discardHints } from './job-hints.js';
import { NEW_WATCH } from './job-watch.js';
import { endLeftTrees } from './left-trees.js';
import { findProcess } from './processes.js';
import { headOf, readNote, removeNote, type FoundNote, type RunnerNote } from './runner-note.js';
import { TREE_MARK } from './tree/marked.js';
import { createRunnerTree, reopenRunnerTree } from './tree/runner-tree.js';
import {
  nameOf,
  outputFile,
  saveNote,
  watchListener,
  type Earlier,
  type Listener,
  type ListenerHandlers,
  type ListenerOptions,
} from './watch-listener.js';

/** A process that is not our child is looked at this often. */
const WATCH_MS = 500;

/** Starts the listener, when what an update or the jobs before it left has ended. Rejects if it cannot be run at all. */
export async function startListener(
  registration: Registration,
  options: ListenerOptions,
  handlers: ListenerHandlers,
): Promise<Listener> {
  const { left } = await endLeftTrees(options.stateDirectory);
  if (left.length > 0)
    options.logger.error(
      { event: 'runner_left', pids: left.map(({ pid }) => pid) },
      'processes of the runner before its update cannot be ended',
    );
  writeFileSync(outputFile(options), '', { mode: 0o600 });
  // Appending, so that it goes on at the new end of a file that was emptied.
  const output = openSync(outputFile(options), 'a', 0o600);
  discardHints(options.hintsFile);
  const tree = createRunnerTree();
  const listener = { file: options.directory.listener, args: ['run'] };
  const asUser = options.runAs?.command(listener.file, listener.args) ?? listener;
  // The user is changed within the group: it is the MIGlet that may put a process into it.
  const { file, args } = tree.command(asUser.file, asUser.args);
  const child = spawn(file, args, {
    cwd: options.directory.path,
    env: {
      ...options.env,
      ...tree.env,
      ...(registration.jitConfig === '' ? {} : { ACTIONS_RUNNER_INPUT_JITCONFIG: registration.jitConfig }),
    },
    stdio: ['ignore', output, output],
    detached: true,
  });
  closeSync(output);
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('exit', (code, name) => resolve({ code: code ?? undefined, signal: name ?? undefined }));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  }).catch(async (error: unknown) => {
    // Its control group is there, and empty.
    await tree.end();
    throw error;
  });
  const leader = identify(child.pid ?? 0);
  tree.ledBy(leader);
  const note: RunnerNote = {
    ...leader,
    tree: tree.note,
    runner: { name: registration.runnerName, labels: registeredLabels(registration) },
    offset: 0,
    head: headOf(outputFile(options), 0),
    state: NEW_WATCH,
  };
  saveNote(options, note);
  return watchListener({ note, tree, exited, options, handlers, earlier: 'none' });
}

/**
 * The listener that an earlier process of the MIGlet left, if there is one: running, or ended meanwhile with something to tell.
 * One that was started and not yet noted when that process died is found by its program.
 */
export function adoptListener(options: ListenerOptions, handlers: ListenerHandlers): Listener | undefined {
  const found = findLeft(options);
  if (found === undefined) return undefined;
  const { note, earlier } = found;
  const told = ['runner_exited', 'runner_crashed'].some((type) =>
    options.isTold(type, 'process', nameOf(note)),
  );
  if (told && !isAlive(note)) {
    removeNote(options.stateDirectory);
    return undefined;
  }
  if (!existsSync(outputFile(options))) {
    options.logger.warn(
      { file: outputFile(options) },
      "the runner's output is gone: only its processes say whether a job runs",
    );
    writeFileSync(outputFile(options), '', { mode: 0o600 });
  }
  let timer: NodeJS.Timeout | undefined;
  const exited = new Promise<ProcessExit>((resolve) => {
    const look = (): void => {
      if (!isAlive(note)) resolve({ code: undefined, signal: undefined });
    };
    timer = setInterval(look, WATCH_MS);
    look();
  });
  void exited.then(() => clearInterval(timer));
  const tree = reopenRunnerTree(note.tree, note);
  const listener = watchListener({ note, tree, exited, options, handlers, earlier });
  return {
    ...listener,
    release() {
      clearInterval(timer);
      listener.release();
    },
  };
}

function findLeft(options: ListenerOptions): { note: RunnerNote; earlier: Earlier } | undefined {
  const found = readNote(options.stateDirectory);
  if (found.kind === 'note' && isAlive(found.note)) return { note: found.note, earlier: 'noted' };
  const unnoted = findUnnoted(options, found);
  if (unnoted !== undefined) return unnoted;
  if (found.kind === 'note') return { note: found.note, earlier: 'noted' };
  if (found.kind === 'torn') {
    options.logger.error(
      { file: 'runner.json' },
      'the note of the runner cannot be read, and no runner is running: it is dropped',
    );
    removeNote(options.stateDirectory);
  }
  return undefined;
}

/** A running listener of this folder that no note tells of (Linux: by /proc). */
function findUnnoted(
  options: ListenerOptions,
  found: FoundNote,
): { note: RunnerNote; earlier: Earlier } | undefined {
  const noted = found.kind === 'torn' && found.process !== undefined && isAlive(found.process);
  const pid = noted ? found.process?.pid : findProcess(options.directory.listener, 'run', TREE_MARK);
  if (pid === undefined) return undefined;
  if (found.kind === 'torn') {
    options.logger.error(
      { file: 'runner.json', pid },
      'the note of the runner cannot be read: the runner is found by its process, and its job is let run',
    );
  }
  const runner =
    found.kind === 'note' ? found.note.runner : { name: options.directory.registeredName(), labels: [] };
  const head = { bytes: 0, sha256: '' };
  const note: RunnerNote = { ...identify(pid), tree: undefined, runner, offset: 0, head, state: NEW_WATCH };
  return { note, earlier: found.kind === 'torn' ? 'lost' : 'none' };
}
