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
 * Hooks describe a job that is known (job-hints.ts), and say that its steps are done. `job.started` does not wait for them: the
 * started hook runs when the job's actions are downloaded, which may take minutes. What they say comes with the heartbeat that
 * follows, and with `job.finished`.
 *
 * All that is known is in `state`, plain data, so that the next process of the MIGlet goes on from it.
 */
import type { Clock } from '@mig/common/clock';
import type { JobStatus } from '@mig/common/domain/vm';
import type { MigletEvent, RunnerJob } from '../machine/types.js';
import type { JobFacts, JobHint } from './job-hints.js';
import type { RunnerLine } from './output.js';
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
  /** By its line; it ends when its worker does. */
  readonly result?: string;
  /** When it was first heard that its steps are done, milliseconds since 1970. */
  readonly doneAt?: number;
}

export interface WatchState {
  readonly listened: boolean;
  /** It took a job and has neither begun nor skipped it; milliseconds since 1970. */
  readonly acknowledgedAt?: number;
  readonly current?: WatchedJob;
  /** Jobs that have ended since its process began. */
  readonly jobsDone: number;
  /** Two jobs that begin in one second are told apart by their count. */
  readonly lastStart?: { readonly second: number; readonly count: number };
  readonly updating: boolean;
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
  /** The process has ended, and its worker with it. @param result of its job, if the exit says it */
  onEnd(result: string | undefined): void;
}

export interface JobWatchDeps {
  readonly runnerName: string;
  readonly look: () => WorkerSighting;
  readonly clock: Clock;
  readonly acknowledgeTimeoutMs: number;
  readonly workerTimeoutMs: number;
  readonly tell: (news: RunnerNews) => void;
  /** A worker was seen, and no line names its job. Told before `job.started`. */
  readonly onNameless: (jobId: string) => void;
}

/** A worker that was seen and is gone, without a line that says that its job has ended, is believed after this. */
const LINE_PATIENCE_MS = 30_000;
/** The result of a job of which no line said how it ended. */
const UNKNOWN_RESULT = 'Unknown';
/** A hint may be this much older than its job by the clock: both are of one VM, in whole seconds. */
const HINT_SLACK_MS = 2_000;
/** The name of a job whose line was not read. */
const UNKNOWN_NAME = 'unknown';

export function createJobWatch(deps: JobWatchDeps, initial: WatchState = NEW_WATCH): JobWatch {
  const { clock, tell, runnerName } = deps;
  let state = initial;
  /** By the monotonic clock; of this process only. */
  let acknowledgedMs = sinceMs(initial.acknowledgedAt);
  let doneMs = sinceMs(initial.current?.doneAt);
  let missingMs: number | undefined;
  let hangTold = false;

  /** When it was, by the monotonic clock, of a moment that the wall clock names. */
  function sinceMs(at: number | undefined): number | undefined {
    return at === undefined ? undefined : clock.monotonicMs() - Math.max(0, clock.now() - at);
  }
  const hasPassed = (sinceMs: number | undefined, timeoutMs: number): boolean =>
    sinceMs !== undefined && clock.monotonicMs() - sinceMs >= timeoutMs;

  function set(change: Partial<WatchState>): void {
    state = { ...state, ...change };
  }
  function forget(...keys: ('acknowledgedAt' | 'current')[]): void {
    const { ...next }: { -readonly [K in keyof WatchState]: WatchState[K] } = state;
    for (const key of keys) delete next[key];
    state = next;
  }

  function begin(job: RunnerJob, named: boolean, workerSeen: boolean): void {
    acknowledgedMs = undefined;
    doneMs = undefined;
    missingMs = undefined;
    hangTold = false;
    forget('acknowledgedAt');
    set({ current: { job, named, workerSeen } });
    tell({ type: 'job.started', job });
  }

  function finish(result: string): void {
    const { current } = state;
    if (current === undefined) return;
    forget('current');
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
    if (current !== undefined && !current.named) {
      // Its worker was seen first.
      describe({ ...current.job, name }, { named: true });
      return;
    }
    // The listener begins one job after the other: the line of the earlier one's end was lost, or its worker has just gone.
    finish(current?.result ?? UNKNOWN_RESULT);
    const second = Math.floor(at / 1000);
    const count = state.lastStart?.second === second ? state.lastStart.count + 1 : 1;
    set({ lastStart: { second, count } });
    begin(newJob(`${runnerName}-${second}-${count}`, name, at), true, false);
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
          set({ listened: true, updating: false });
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
          set({ acknowledgedAt: line.at });
          acknowledgedMs = sinceMs(line.at);
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
      const { current } = state;
      if (current === undefined || (name !== '' && name !== runnerName)) return;
      if (at !== 0 && at < current.job.startedAt - HINT_SLACK_MS) return;
      const job = described(current.job, facts);
      const done = hook === 'completed' && current.doneAt === undefined;
      if (done) doneMs = clock.monotonicMs();
      if (done) set({ current: { ...current, doneAt: clock.now() } });
      if (job !== undefined) describe(job);
    },

    look() {
      const sighting = deps.look();
      const { current } = state;
      if (sighting.kind === 'works') {
        missingMs = undefined;
        if (current === undefined) {
          const { startedAt, pid } = sighting.worker;
          const id = `${runnerName}-worker-${startedAt === '' ? pid : startedAt}`;
          deps.onNameless(id);
          begin(newJob(id, UNKNOWN_NAME, clock.now()), false, true);
        } else if (!current.workerSeen) set({ current: { ...current, workerSeen: true } });
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

    onEnd(result) {
      const known = state.current?.result ?? result;
      if (known !== undefined) finish(known);
    },
  };

  function tellHang(hang: 'worker_lingers' | 'no_job_after_acknowledge'): void {
    hangTold = true;
    const seconds = (timeoutMs: number): string => `${Math.round(timeoutMs / 1000)} s`;
    const reason =
      hang === 'worker_lingers'
        ? `its steps are done, and its worker has not ended in ${seconds(deps.workerTimeoutMs)}`
        : `the runner took a job from GitHub, and has not begun it in ${seconds(deps.acknowledgeTimeoutMs)}`;
    tell({ type: 'runner.hung', hang, reason });
  }
}

/** GitHub does not tell a runner the number of its job: this id names it on this VM, the same however often it is read. */
const newJob = (jobId: string, name: string, startedAt: number): RunnerJob => ({
  jobId,
  runId: '',
  name,
  repository: '',
  branch: '',
  commit: '',
  status: 'running',
  startedAt,
});

/** With what a hook knows; undefined if that is nothing new. */
function described(job: RunnerJob, facts: JobFacts): RunnerJob | undefined {
  const next: RunnerJob = {
    ...job,
    repository: facts.repository || job.repository,
    runId: facts.runId || job.runId,
    commit: facts.commit || job.commit,
    branch: facts.branch || job.branch,
    ...(facts.runAttempt === '' ? {} : { runAttempt: facts.runAttempt }),
  };
  const keys = ['repository', 'runId', 'commit', 'branch', 'runAttempt'] as const;
  return keys.some((key) => next[key] !== job[key]) ? next : undefined;
}

const statusOf = (result: string): JobStatus['status'] => {
  if (result === UNKNOWN_RESULT) return 'unknown';
  return result.startsWith('Succeeded') ? 'completed' : 'failed';
};
