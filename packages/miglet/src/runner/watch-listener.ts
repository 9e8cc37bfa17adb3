/**
 * Watches the runner's process: what it says, its worker, its hooks, its end.
 *
 * What it says is told once, whenever the MIGlet is killed. For each line, in this order: it is told, which journals its event
 * (I4); then the note is written, with the place after the line and with all that is known by then. Killed before the event is
 * journaled, the line is read again, and told. Killed between the two, it is read again, and the journal, which cannot have
 * lost the event meanwhile (it is sent after this), says that it is told: it is only how things stand. Killed after the note,
 * it is not read again.
 *
 * The file is emptied when it is long (I12), in this order: all is read, told and noted; the file is emptied; the note is written
 * again, with place 0. Killed in between, the file is shorter than the note says, or begins otherwise: it is read from its
 * beginning, with what was noted before. What is written in the instant between the last reading and the emptying is lost; the
 * worker's process makes up for it (job-watch.ts). So it is done in quiet moments, if there are any.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import { isAlive, type ProcessIdentity } from '@mig/common/process-identity';
import type { RunnerFacts } from '../machine/types.js';
import { isSystemError } from '../host/system-error.js';
import { jobResultOf, type ProcessExit } from './exit-outcomes.js';
import { tailHints } from './job-hints.js';
import { createJobWatch, type RunnerNews, type WatchState } from './job-watch.js';
import { keepLeftTree } from './left-trees.js';
import { parseRunnerLine } from './output.js';
import { signal } from './processes.js';
import type { RunnerDirectory } from './runner-directory.js';
import {
  HEAD_BYTES,
  headOf,
  removeNote,
  writeNote,
  type OutputHead,
  type RunnerNote,
} from './runner-note.js';
import { tailFile, type Tail } from './tail.js';
import { countLinesBeforeLastJob, isTold, placeOf } from './told-before.js';
import type { RunnerTree } from './tree/runner-tree.js';
import type { RunAs } from './user.js';
import { createWorkerWitness } from './witness.js';

export interface ListenerHandlers {
  /** `known`: an earlier process of the MIGlet has reported it; it only says how things stand. */
  tell(news: RunnerNews, known: boolean): void;
  /**
   * Called once, after everything that it wrote, when its process tree has ended, too; that of a runner that updates itself goes
   * on until the next one starts (left-trees.ts). @returns true = its end is told, and it is forgotten
   */
  onEnd(end: ListenerEnd): boolean;
}

export interface ListenerEnd {
  readonly exit: ProcessExit;
  /** What was known of it in the end. */
  readonly state: WatchState;
  /** It ended to be updated: what updates it goes on, as a part of its tree. */
  readonly updating: boolean;
  /** Ends what is left of its tree, if anything is. */
  readonly endTree: () => Promise<unknown>;
  /** Names the process, for events. */
  readonly process: string;
}

export interface Listener {
  readonly runner: RunnerFacts;
  /** Names the process, for events. */
  readonly process: string;
  /** Asks it to end (SIGINT). It cancels a running job, so ask only when none may be lost. */
  interrupt(): void;
  /** Ends it, and every process of its tree, at once. */
  kill(): void;
  /** Stops watching; the process goes on. */
  release(): void;
}

export interface ListenerOptions {
  readonly directory: RunnerDirectory;
  readonly env: Readonly<Record<string, string>>;
  /** Where `runner.json` and `runner-output.log` are. */
  readonly stateDirectory: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly acknowledgeTimeoutMs: number;
  readonly workerTimeoutMs: number;
  /** Is everything that was told on disk? Until it is, it must not be noted as told (I4). */
  readonly isJournaled: () => boolean;
  /** Is there an event of this type, with this in its data, in the journal? */
  readonly isTold: (type: string, key: string, value: string) => boolean;
  /** As whom it runs; default: as the MIGlet. */
  readonly runAs?: Pick<RunAs, 'command'>;
  /** What the hooks write (job-hints.ts). */
  readonly hintsFile: string;
  /** The output is emptied when it is longer; default 8 MiB. */
  readonly maxOutputBytes?: number;
}

/** What an earlier process has told: by the note, or nothing; `lost`: something, and nobody knows how much. */
export type Earlier = 'noted' | 'none' | 'lost';

/** A job's line has come, and its worker is about to end. */
const WORKER_MS = 200;
const MAX_OUTPUT_BYTES = 8 * 2 ** 20;
/** So many times as long, and it is emptied also if it is being written all the time. */
const UNQUIET_FACTOR = 4;

export const outputFile = ({ stateDirectory }: Pick<ListenerOptions, 'stateDirectory'>): string =>
  path.join(stateDirectory, 'runner-output.log');
/** Names a process of this machine, for events. */
export const nameOf = ({ pid, startedAt }: ProcessIdentity): string => `${pid}-${startedAt}`;

/** Begins in the next turn of the event loop: the caller has the listener before it hears of it. */
export function watchListener(watched: {
  readonly note: RunnerNote;
  readonly tree: RunnerTree;
  readonly exited: Promise<ProcessExit>;
  readonly options: ListenerOptions;
  readonly handlers: ListenerHandlers;
  readonly earlier: Earlier;
}): Listener {
  const { note, tree, exited, options, handlers, earlier } = watched;
  const { logger } = options;
  const maxBytes = options.maxOutputBytes ?? MAX_OUTPUT_BYTES;
  const file = outputFile(options);
  /** Nothing more is read or told. */
  let released = false;
  /** Whoever watches it has gone: the next process of the MIGlet tells its end. */
  let abandoned = false;
  let saved: RunnerNote = note;
  let workerTimer: NodeJS.Timeout | undefined;
  /** What is read was there when the watching began: an earlier process may have told it. */
  let beginning = false;
  /** So many lines, the next ones, were told for sure, or are to be taken for it. */
  let toldLines = 0;

  const watch = createJobWatch(
    {
      runnerName: note.runner.name,
      processId: createHash('sha256').update(nameOf(note)).digest('hex').slice(0, 8),
      look: createWorkerWitness(note.pid).look,
      readOutput: () => tail.read(),
      clock: options.clock,
      acknowledgeTimeoutMs: options.acknowledgeTimeoutMs,
      workerTimeoutMs: options.workerTimeoutMs,
      tell: (news) =>
        handlers.tell(news, beginning && (toldLines > 0 || isTold(news, nameOf(note), options.isTold))),
      onNameless: (jobId) =>
        logger.warn(
          { jobId },
          'the runner has a worker, and no line of its output names its job: the VM counts as busy',
        ),
    },
    note.state,
  );

  /** @returns false if it could not be written, or must not be yet */
  function save(): boolean {
    if (watch.state === saved.state && tail.offset === saved.offset) return true;
    if (!options.isJournaled()) return false;
    const head: OutputHead = saved.head.bytes < HEAD_BYTES ? headOf(file, tail.offset) : saved.head;
    const next: RunnerNote = { ...note, offset: tail.offset, head, state: watch.state };
    if (!saveNote(options, next)) return false;
    saved = next;
    return true;
  }

  function afterwards(): void {
    if (released) return;
    if (watch.state !== saved.state) save();
    if (!watch.waitsForWorker || workerTimer !== undefined) return;
    workerTimer = setTimeout(() => {
      workerTimer = undefined;
      if (released) return;
      watch.look();
      afterwards();
    }, WORKER_MS).unref();
  }

  function poll(quiet: boolean): void {
    hints.read();
    watch.look();
    afterwards();
    const { offset } = tail;
    if (released || offset <= maxBytes || !(quiet || offset > UNQUIET_FACTOR * maxBytes)) return;
    if (!save() || !tail.empty()) return;
    saved = { ...saved, head: headOf(file, 0) };
    save();
    logger.debug({ file, bytes: offset }, "the runner's output was told, and is emptied");
  }

  const tail: Tail = tailFile(
    file,
    (text) => {
      const line = parseRunnerLine(text);
      if (line === undefined || released) return;
      // A short job ends before the next poll: what its hooks said goes with its end.
      if (line.kind === 'jobCompleted') hints.read();
      watch.onLine(line);
      if (toldLines > 0) toldLines -= 1;
      afterwards();
    },
    { from: placeOf(note, file), onPoll: poll },
  );
  const hints = tailHints(options.hintsFile, (hint) => {
    if (released) return;
    watch.onHint(hint);
    afterwards();
  });

  /** Everything that is there when the watching begins. */
  function begin(): void {
    const { listened, current, updating } = note.state;
    if (listened) handlers.tell({ type: 'runner.listening' }, true);
    if (current !== undefined) handlers.tell({ type: 'job.started', job: current.job }, true);
    if (updating) handlers.tell({ type: 'runner.updating', reason: '' }, true);
    if (earlier === 'lost') toldLines = countLinesBeforeLastJob(file);
    beginning = true;
    tail.read();
    hints.read();
    watch.look();
    beginning = false;
    toldLines = 0;
    afterwards();
  }

  function release(): void {
    released = true;
    clearTimeout(workerTimer);
    tail.stop();
    hints.stop();
    tree.release();
  }

  async function onExit(exit: ProcessExit): Promise<void> {
    if (released) return;
    tail.read();
    hints.read();
    watch.onEnd(jobResultOf(exit.code), exit.code === 0);
    save();
    release();
    const updating = isUpdating(exit, watch.state, options.directory.listener);
    // What is left of the tree (a worker, a step) must not outlive its listener; what updates the runner has to.
    if (!updating || !keepTree()) await endTree();
    if (abandoned) return;
    const isOver = handlers.onEnd({ exit, state: watch.state, updating, endTree, process: nameOf(note) });
    if (isOver) removeNote(options.stateDirectory);
  }

  /** @returns false if it cannot be written down: then nobody would end it later */
  function keepTree(): boolean {
    const { pid, startedAt } = note;
    try {
      keepLeftTree(options.stateDirectory, {
        tree: tree.note,
        leader: { pid, startedAt },
        members: tree.members().map((member) => ({ pid: member.pid, startedAt: member.startedAt })),
      });
      return true;
    } catch (error) {
      if (!isSystemError(error)) throw error;
      logger.error(
        { event: 'note_refused', reason: error.message },
        "the runner's processes cannot be noted: its update is ended with them",
      );
      return false;
    }
  }

  async function endTree(): Promise<void> {
    const { left } = await tree.end();
    if (left.length === 0) return;
    const pids = left.map(({ pid }) => pid);
    logger.error({ event: 'runner_left', pids }, 'processes of the runner cannot be ended');
  }

  // The adopter's own caller must have the listener before it hears of it.
  setImmediate(() => {
    if (released) return;
    begin();
    void exited.then(onExit);
  });

  return {
    runner: note.runner,
    process: nameOf(note),
    interrupt: () => {
      if (isAlive(note)) signal(note.pid, 'SIGINT');
    },
    kill: () => {
      void endTree();
    },
    release() {
      abandoned = true;
      release();
    },
  };
}

/**
 * By codes 3 and 4. Where the code is not known: it said so while it had no job, for a job's name can hold that line; or its
 * program is just being replaced. One that said so within a job, and was not heard to have ended it, counts as ended: what
 * updates it has moved nothing while the program is in its place, and GitHub asks for the update again.
 */
const isUpdating = (
  { code, signal: name }: ProcessExit,
  { updatingIdle }: WatchState,
  program: string,
): boolean => {
  if (code !== undefined || name !== undefined) return code === 3 || code === 4;
  return updatingIdle === true || !existsSync(program);
};

/** A runner without its note goes on, and is found by its program: no job ends for want of space. */
export function saveNote({ stateDirectory, logger }: ListenerOptions, note: RunnerNote): boolean {
  try {
    writeNote(stateDirectory, note);
    return true;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    logger.error(
      { event: 'note_refused', reason: error.message },
      'the note of the runner was not written: what it says may be told twice if the MIGlet is killed now',
    );
    return false;
  }
}
