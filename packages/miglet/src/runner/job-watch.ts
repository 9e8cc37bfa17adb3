/**
 * What becomes of the runner's job, by two witnesses: the listener's output and the worker's process.
 *
 *   a job begins    at the line `Running job`, or when there is a worker without one: then its name is not known
 *   a job ends      when the line `Job … completed` has come and no worker is left
 *   no job          no line and no worker: only then the runner counts as idle (I5)
 *
 * Where the witnesses differ, the one that says "busy" is believed. A line that was lost (the file was emptied in the moment in
 * which it was written) is made up for by the process: a worker that was seen and is gone for `LINE_PATIENCE_MS` has ended its
 * job, with a result that is not known.
 *
 * Lines can be forged, by the name of a job that holds line breaks. So a line that says that a job begins, while no line
 * has ended the one before it, makes no job until a worker of its own is seen; and a worker that outlives a line of which no hook knows, and is killed
 * for it, has a result that is not known. No time in a line is compared with a clock: what lasts too long is measured from when
 * this process heard of it, and begins anew in the next process of the MIGlet.
 *
 * Hooks describe a job that is known (job-hints.ts), and say that its steps are done. `job.started` does not wait for them: the
 * started hook runs when the job's actions are downloaded, which may take minutes. What they say comes with the heartbeat that
 * follows, and with `job.finished`.
 *
 * All that is known is in `state`, plain data, so that the next process of the MIGlet goes on from it.
 */
import type { Clock } from '@mig/common/clock';
import type { ProcessIdentity } from '@mig/common/process-identity';
import type { MigletEvent, RunnerJob } from '../machine/types.js';
import type { JobHint } from './job-hints.js';
import type { RunnerLine } from './output.js';
import { described, isOther, newJob, statusOf, UNKNOWN_NAME, UNKNOWN_RESULT } from './watched-job.js';
import type { WorkerSighting } from './witness.js';

/** What the machine is told of a runner that lives. */
export type RunnerNews = Extract<
  MigletEvent,
  {
    type:
      | 'runner.listening'
      | 'job.started'
      | 'job.described'
      | 'job.finished'
      | 'runner.hung'
      | 'runner.disconnected'
      | 'runner.reconnected'
      | 'runner.updating';
  }
>;

/** What the listener said last about its own end. */
export type LastWords = 'registrationGone' | 'registrationDeleted' | 'sessionConflict' | 'exiting';

interface WatchedJob {
  readonly job: RunnerJob;
  /** Its line was read; otherwise only its worker was seen. */
  readonly named: boolean;
  readonly workerSeen: boolean;
  /** The one that was seen; each job has its own. */
  readonly worker?: ProcessIdentity;
  /** By its line; it ends when its worker does. */
  readonly result?: string;
  /** When it was first heard that its steps are done, milliseconds since 1970, by the clock of the MIGlet. */
  readonly doneAt?: number;
  /** Its hook said so, too. */
  readonly hookDone?: boolean;
}

export interface WatchState {
  readonly listened: boolean;
  /** It took a job and has neither begun nor skipped it; when that was heard, milliseconds since 1970, by the MIGlet's clock. */
  readonly acknowledgedAt?: number;
  readonly current?: WatchedJob;
  /** The last line that said that a job begins while that one had not ended: a worker of its own makes it one. */
  readonly heard?: { readonly name: string; readonly at: number };
  /** Jobs that have ended since its process began. */
  readonly jobsDone: number;
  /** Two jobs that begin in one second are told apart by their count. */
  readonly lastStart?: { readonly second: number; readonly count: number };
  readonly updating: boolean;
  /** It said so while it had no job: no job's name can have said it. */
  readonly updatingIdle?: boolean;
  readonly lastWords?: LastWords;
}

export const NEW_WATCH: WatchState = { listened: false, jobsDone: 0, updating: false };

export interface JobWatch {
  readonly state: WatchState;
  /** The job's line has come, and its worker is still there: look again soon. */
  readonly waitsForWorker: boolean;
  onLine(line: RunnerLine): void;
  onHint(hint: JobHint): void;
  /** Looks for the worker and at the clock. Called once a second, when everything that was written is read. */
  look(): void;
  /**
   * The process has ended.
   *
   * @param result of its job, if the exit says it
   * @param well it ended with 0: a job whose worker was seen, and is gone, has ended too, unless the runner was told to end
   */
  onEnd(result: string | undefined, well?: boolean): void;
}

export interface JobWatchDeps {
  readonly runnerName: string;
  /** Of the listener's process, and of no other one with this name of a runner: a part of the ids of its jobs. */
  readonly processId: string;
  readonly look: () => WorkerSighting;
  /** Reads what the listener has written until now: each line comes by `onLine`. */
  readonly readOutput: () => void;
  readonly clock: Clock;
  readonly acknowledgeTimeoutMs: number;
  readonly workerTimeoutMs: number;
  readonly tell: (news: RunnerNews) => void;
  /** A worker was seen, and no line names its job. Told before `job.started`. */
  readonly onNameless: (jobId: string) => void;
}

/**
 * A worker that was seen and is gone, without a line that says that its job has ended, is believed after this. So long a worker
 * may take to come, too.
 */
const LINE_PATIENCE_MS = 30_000;
/** A hint may be this much older than its job by the clock: both are of one VM, in whole seconds. */
const HINT_SLACK_MS = 2_000;

export function createJobWatch(deps: JobWatchDeps, initial: WatchState = NEW_WATCH): JobWatch {
  const { clock, tell, runnerName, processId } = deps;
  let state = initial;
  /** By the monotonic clock, which is of this process only: anew for what an earlier one has heard. */
  let acknowledgedMs = initial.acknowledgedAt === undefined ? undefined : clock.monotonicMs();
  let doneMs = initial.current?.doneAt === undefined ? undefined : clock.monotonicMs();
  let begunMs = clock.monotonicMs();
  let missingMs: number | undefined;
  let hangTold = false;

  const hasPassed = (sinceMs: number | undefined, timeoutMs: number): boolean =>
    sinceMs !== undefined && clock.monotonicMs() - sinceMs >= timeoutMs;

  function set(change: Partial<WatchState>): void {
    state = { ...state, ...change };
  }
  function forget(...keys: ('acknowledgedAt' | 'current' | 'heard')[]): void {
    const { ...next }: { -readonly [K in keyof WatchState]: WatchState[K] } = state;
    for (const key of keys) delete next[key];
    state = next;
  }

  function begin(job: RunnerJob, named: boolean, worker?: ProcessIdentity): void {
    begunMs = clock.monotonicMs();
    acknowledgedMs = undefined;
    doneMs = undefined;
    missingMs = undefined;
    hangTold = false;
    forget('acknowledgedAt', 'heard');
    const seen = worker === undefined ? {} : { worker };
    set({ current: { job, named, workerSeen: worker !== undefined, ...seen } });
    tell({ type: 'job.started', job });
  }

  function finish(result: string): void {
    const { current } = state;
    if (current === undefined) return;
    forget('current', 'heard');
    set({ jobsDone: state.jobsDone + 1 });
    missingMs = undefined;
    doneMs = undefined;
    hangTold = false;
    tell({ type: 'job.finished', job: { ...current.job, status: statusOf(result) }, result });
  }

  function describe(job: RunnerJob, change: Partial<WatchedJob> = {}): void {
    const { current } = state;
    if (current === undefined) return;
    set({ current: { ...current, ...change, job } });
    tell({ type: 'job.described', job });
  }

  function onStarted(name: string, at: number): void {
    const { current } = state;
    const whose = current === undefined || current.result !== undefined ? 'new' : whoseLine(current);
    if (current !== undefined && whose === 'same') {
      // Its worker was seen first.
      describe({ ...current.job, name }, { named: true });
      return;
    }
    if (whose === 'later') {
      set({ heard: { name, at } });
      return;
    }
    // The listener begins one job after the other: the line of the earlier one's end was lost, or its worker has just gone.
    finish(current?.result ?? UNKNOWN_RESULT);
    beginNamed(name, at);
  }

  function beginNamed(name: string, at: number, worker?: ProcessIdentity): void {
    const second = Math.floor(at / 1000);
    const count = state.lastStart?.second === second ? state.lastStart.count + 1 : 1;
    set({ lastStart: { second, count } });
    begin(newJob(`${runnerName}-${processId}-${second}-${count}`, name, at), true, worker);
  }

  /**
   * Of whom is a line that says that a job begins, while this one has not ended? `later`: a worker that comes will tell; until
   * then it may be a part of this job's name.
   */
  function whoseLine({ named, workerSeen, worker }: WatchedJob): 'same' | 'new' | 'later' {
    const sighting = deps.look();
    if (sighting.kind === 'unknown') return named ? 'new' : 'same';
    if (sighting.kind === 'works') {
      if (isOther(sighting.worker, worker)) return 'new';
      return named ? 'later' : 'same';
    }
    return !workerSeen && hasPassed(begunMs, LINE_PATIENCE_MS) ? 'new' : 'later';
  }

  function onCompleted(name: string, result: string, at: number): void {
    if (state.current === undefined) onStarted(name, at);
    else if (!state.current.named) describe({ ...state.current.job, name }, { named: true });
    const { current } = state;
    if (current === undefined) return;
    doneMs ??= clock.monotonicMs();
    set({ current: { ...current, result, doneAt: current.doneAt ?? clock.now() } });
    if (deps.look().kind !== 'works') finish(result);
  }

  return {
    get state() {
      return state;
    },
    get waitsForWorker() {
      return state.current?.result !== undefined;
    },

    onLine(line) {
      switch (line.kind) {
        case 'listening':
          set({ listened: true, updating: false, updatingIdle: false });
          tell({ type: 'runner.listening' });
          return;
        case 'jobStarted':
          onStarted(line.name, line.at);
          return;
        case 'jobCompleted':
          onCompleted(line.name, line.result, line.at);
          return;
        case 'acknowledged':
          // Within a job, only its name could say so.
          if (state.current !== undefined) return;
          set({ acknowledgedAt: clock.now() });
          acknowledgedMs = clock.monotonicMs();
          hangTold = false;
          return;
        case 'skipped':
          acknowledgedMs = undefined;
          forget('acknowledgedAt');
          return;
        case 'disconnected':
          tell({ type: 'runner.disconnected', reason: line.reason, at: line.at });
          return;
        case 'reconnected':
          tell({ type: 'runner.reconnected', at: line.at });
          return;
        case 'updating':
          if (state.current === undefined) set({ updatingIdle: true });
          if (state.updating) return;
          set({ updating: true });
          tell({ type: 'runner.updating', reason: 'GitHub asks for another version of the runner' });
          return;
        case 'exiting':
        case 'registrationDeleted':
        case 'registrationGone':
        case 'sessionConflict':
          set({ lastWords: line.kind });
      }
    },

    onHint({ hook, at, facts, runnerName: name }) {
      // A hook runs after its job's line: it is there now, if it was not when the output was read.
      if (state.current === undefined) deps.readOutput();
      const { current } = state;
      if (current === undefined || (name !== '' && name !== runnerName)) return;
      if (at !== 0 && at < current.job.startedAt - HINT_SLACK_MS) return;
      const job = described(current.job, facts);
      if (hook === 'completed' && current.hookDone !== true) {
        doneMs ??= clock.monotonicMs();
        set({ current: { ...current, doneAt: current.doneAt ?? clock.now(), hookDone: true } });
      }
      if (job !== undefined) describe(job);
    },

    look() {
      let sighting = deps.look();
      if (sighting.kind === 'works' && state.current === undefined) {
        // The line comes before its worker (JobDispatcher.cs): it is there now, if it was not when the output was read.
        deps.readOutput();
        sighting = deps.look();
      }
      const { current } = state;
      if (sighting.kind === 'works') {
        missingMs = undefined;
        if (current === undefined) {
          const { startedAt, pid } = sighting.worker;
          const id = `${runnerName}-${processId}-worker-${startedAt === '' ? pid : startedAt}`;
          deps.onNameless(id);
          begin(newJob(id, UNKNOWN_NAME, clock.now()), false, sighting.worker);
        } else if (current.worker === undefined)
          set({ current: { ...current, workerSeen: true, worker: sighting.worker } });
        else if (isOther(sighting.worker, current.worker)) {
          // Without a line of it that was heard, it may have come and is read before the next look.
          const { heard } = state;
          finish(current.result ?? UNKNOWN_RESULT);
          if (heard !== undefined) beginNamed(heard.name, heard.at, sighting.worker);
          return;
        }
        if (!hangTold && hasPassed(doneMs, deps.workerTimeoutMs)) tellHang('worker_lingers');
        return;
      }
      if (current !== undefined) {
        if (current.result !== undefined) finish(current.result);
        else if (sighting.kind === 'none' && current.workerSeen) {
          missingMs ??= clock.monotonicMs();
          if (hasPassed(missingMs, LINE_PATIENCE_MS)) finish(UNKNOWN_RESULT);
        }
        return;
      }
      if (!hangTold && hasPassed(acknowledgedMs, deps.acknowledgeTimeoutMs))
        tellHang('no_job_after_acknowledge');
    },

    onEnd(result, well = false) {
      const { current, lastWords } = state;
      const known = current?.result ?? result;
      const sighting = deps.look();
      const hasEnded = well && lastWords !== 'exiting' && sighting.kind === 'none';
      if (known !== undefined) finish(known);
      else if (hasEnded && current?.workerSeen === true) finish(UNKNOWN_RESULT);
    },
  };

  function tellHang(hang: 'worker_lingers' | 'no_job_after_acknowledge'): void {
    hangTold = true;
    const { current } = state;
    // Its runner is killed for it now: a result that only a line told is none.
    if (current?.result !== undefined && current.hookDone !== true)
      set({ current: { ...current, result: UNKNOWN_RESULT } });
    const seconds = (timeoutMs: number): string => `${Math.round(timeoutMs / 1000)} s`;
    const reason =
      hang === 'worker_lingers'
        ? `its steps are done, and its worker has not ended in ${seconds(deps.workerTimeoutMs)}`
        : `the runner took a job from GitHub, and has not begun it in ${seconds(deps.acknowledgeTimeoutMs)}`;
    tell({ type: 'runner.hung', hang, reason });
  }
}
