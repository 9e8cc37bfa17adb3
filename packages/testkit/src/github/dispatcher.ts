/**
 * Sessions of runners, and the jobs that go to them.
 *
 * A job is offered to the runners whose poll waits, in the order in which the jobs were queued. The moment it is handed
 * over, the runner has it (`runner.jobId`), and DELETE is refused from then on; all of this happens in one turn of the
 * event loop, so that a job and a DELETE can never both win. The runner then acquires the job and renews its lease while
 * it works; what happens if it does not:
 *
 *   assigned --not acquired in time, answer not delivered, session closed--> queued again, at its old place
 *   in_progress --lease not renewed for `jobLostAfterMs`--> completed, Lost
 *   in_progress --its run is cancelled--> the next renewal is refused, its runner ends it: completed, Canceled
 *
 * (actions/runner src/Runner.Listener/JobDispatcher.cs; github-facts 1.6, 2.3.)
 */
import { randomUUID } from 'node:crypto';
import type { Clock, Timer } from '@mig/common/clock';
import type { EmitEvent, RemovalReason } from './events.js';
import type { DeleteLag } from './faults.js';
import type { JobBook, JobRecord } from './job-book.js';
import type { JobCompletion } from './runner-protocol.js';
import type { Runner, RunnerRegistry } from './runner-registry.js';
import { scopeCovers } from './scope.js';

export interface DispatcherConfig {
  /** How long a poll waits for a job. */
  readonly pollMs: number;
  /** A session that nothing was heard of for this long is closed: its runner is offline. */
  readonly sessionTimeoutMs: number;
  /** A job that was handed over and not acquired goes back to the queue after this. */
  readonly acquireWithinMs: number;
  /** A job whose lease was not renewed for this long has lost its runner. */
  readonly jobLostAfterMs: number;
}

interface RunnerSession {
  readonly id: string;
  readonly runnerId: number;
  /** Ends the poll that waits, with a job or without. */
  wake: ((job: JobRecord | undefined) => void) | undefined;
  silence: Timer;
}

export type PollOutcome =
  | { readonly kind: 'job'; readonly job: JobRecord }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'expired' };

export interface Dispatcher {
  /** The session's id, or undefined if the runner has one that is open. */
  openSession(runner: Runner): string | undefined;
  /** Whether the session was open and is the runner's. */
  closeSession(runner: Runner, sessionId: string): boolean;
  /** Waits for a job. When `signal` aborts, the poll ends with `nothing`, and no job is handed to it any more. */
  poll(runner: Runner, sessionId: string, signal: AbortSignal): Promise<PollOutcome>;
  /** The answer that carried the job did not reach the runner: the job goes back to its place in the queue. */
  takeBack(job: JobRecord): void;
  /** False if the job is not waiting for this runner (any more). */
  acquire(runner: Runner, job: JobRecord): boolean;
  renew(runner: Runner, job: JobRecord): boolean;
  complete(runner: Runner, job: JobRecord, completion: JobCompletion): boolean;
  /** Ends a job that has no runner at work, and any with `force`; otherwise asks its runner. False: it is over. */
  cancel(job: JobRecord, force: boolean): boolean;
  /** What DELETE does: `busy` if it has a job, by the truth and the lag of DELETE; then nothing was done. */
  removeUnlessBusy(runner: Runner, reason: RemovalReason): 'removed' | 'busy';
  /** Offers the queued jobs to the polls that wait. To be called whenever either changed. */
  dispatch(): void;
  /** Ends all polls and timers. */
  stop(): void;
}

export interface DispatcherDeps {
  readonly registry: RunnerRegistry;
  readonly jobs: JobBook;
  readonly clock: Clock;
  readonly emit: EmitEvent;
  /** Called after a runner came, went, got a job or was free again. */
  readonly onRunnerChange: (runner: Runner) => void;
  readonly deleteLag: () => DeleteLag;
  readonly removalLagMs: () => number;
}

export function createDispatcher(deps: DispatcherDeps, config: DispatcherConfig): Dispatcher {
  const { registry, jobs, clock, emit } = deps;
  const sessions = new Map<string, RunnerSession>();
  /** One per job that is assigned or in progress: takes it back, or declares it lost. */
  const jobTimers = new Map<number, Timer>();
  /** One per ephemeral runner that had its job and is still shown. */
  const removals = new Set<Timer>();

  function watchJob(job: JobRecord, delayMs: number, then: () => void): void {
    clock.clearTimer(jobTimers.get(job.id));
    jobTimers.set(job.id, clock.setTimer(then, delayMs));
  }

  function forgetJob(job: JobRecord): void {
    clock.clearTimer(jobTimers.get(job.id));
    jobTimers.delete(job.id);
  }

  function setJob(runner: Runner, jobId: number | undefined): void {
    runner.jobId = jobId;
    runner.busyChanges.push({ at: clock.now(), busy: jobId !== undefined });
    if (runner.busyChanges.length > 1_000) runner.busyChanges.shift();
    changed(runner);
  }

  function changed(runner: Runner): void {
    runner.changedAtMs = clock.monotonicMs();
    deps.onRunnerChange(runner);
  }

  function runnerOf(job: JobRecord): Runner | undefined {
    return job.runner_id === null ? undefined : registry.get(job.runner_id);
  }

  function touch(session: RunnerSession): void {
    clock.clearTimer(session.silence);
    session.silence = clock.setTimer(() => drop(session), config.sessionTimeoutMs);
  }

  function drop(session: RunnerSession): void {
    clock.clearTimer(session.silence);
    sessions.delete(session.id);
    session.wake?.(undefined);
    const runner = registry.get(session.runnerId);
    if (runner === undefined) return;
    runner.online = false;
    emit({ event: 'runner_offline', runner_id: runner.id, runner_name: runner.name });
    changed(runner);
    const job = runner.jobId === undefined ? undefined : jobs.get(runner.jobId);
    if (job !== undefined) takeBack(job);
  }

  function takeBack(job: JobRecord): void {
    if (job.status !== 'assigned') return;
    release(job);
    dispatch();
  }

  /** Nobody has it any more. */
  function release(job: JobRecord): void {
    const runner = runnerOf(job);
    forgetJob(job);
    jobs.requeue(job);
    if (runner !== undefined) setJob(runner, undefined);
  }

  function end(
    job: JobRecord,
    result: JobCompletion['result'] | 'Lost',
    endedBy: Parameters<JobBook['end']>[2],
  ): void {
    const runner = runnerOf(job);
    forgetJob(job);
    if (runner !== undefined) setJob(runner, undefined);
    jobs.end(job, result, endedBy);
    if (runner?.ephemeral === true) retire(runner);
    dispatch();
  }

  function retire(runner: Runner): void {
    const lagMs = deps.removalLagMs();
    if (lagMs <= 0) return registry.remove(runner.id, 'job_done');
    runner.isSpent = true;
    runner.online = false;
    const timer = clock.setTimer(() => {
      removals.delete(timer);
      registry.remove(runner.id, 'job_done');
    }, lagMs);
    removals.add(timer);
  }

  const lose = (job: JobRecord) => end(job, 'Lost', 'runner-lost');

  function handOver(job: JobRecord, session: RunnerSession, runner: Runner): void {
    jobs.assign(job, runner);
    setJob(runner, job.id);
    watchJob(job, config.acquireWithinMs, () => takeBack(job));
    session.wake?.(job);
  }

  function dispatch(): void {
    for (const job of jobs.queued()) {
      for (const session of sessions.values()) {
        if (session.wake === undefined) continue;
        const runner = registry.get(session.runnerId);
        if (runner === undefined || !mayRun(runner, job)) continue;
        handOver(job, session, runner);
        break;
      }
    }
  }

  return {
    openSession(runner) {
      for (const session of sessions.values()) if (session.runnerId === runner.id) return undefined;
      const session: RunnerSession = {
        id: randomUUID(),
        runnerId: runner.id,
        wake: undefined,
        silence: undefined,
      };
      sessions.set(session.id, session);
      touch(session);
      runner.online = true;
      runner.hasConnected = true;
      emit({ event: 'runner_online', runner_id: runner.id, runner_name: runner.name });
      changed(runner);
      return session.id;
    },
    closeSession(runner, sessionId) {
      const session = sessions.get(sessionId);
      if (session?.runnerId !== runner.id) return false;
      drop(session);
      return true;
    },
    poll(runner, sessionId, signal) {
      const session = sessions.get(sessionId);
      if (session?.runnerId !== runner.id) return Promise.resolve({ kind: 'expired' });
      session.wake?.(undefined); // a second poll of a session takes the place of the first
      clock.clearTimer(session.silence); // a poll that waits is a sign of life
      return new Promise((resolve) => {
        const wake = (job: JobRecord | undefined) => {
          session.wake = undefined;
          clock.clearTimer(timer);
          signal.removeEventListener('abort', onAbort);
          if (sessions.has(session.id)) touch(session);
          resolve(job === undefined ? { kind: 'nothing' } : { kind: 'job', job });
        };
        const onAbort = () => wake(undefined);
        const timer = clock.setTimer(onAbort, config.pollMs);
        session.wake = wake;
        if (signal.aborted) wake(undefined);
        else signal.addEventListener('abort', onAbort);
        dispatch();
      });
    },
    takeBack,
    acquire(runner, job) {
      if (job.status !== 'assigned' || job.runner_id !== runner.id) return false;
      jobs.start(job);
      watchJob(job, config.jobLostAfterMs, () => lose(job));
      return true;
    },
    renew(runner, job) {
      if (job.status !== 'in_progress' || job.runner_id !== runner.id || job.cancelRequested) return false;
      watchJob(job, config.jobLostAfterMs, () => lose(job));
      return true;
    },
    complete(runner, job, completion) {
      if (job.status !== 'in_progress' || job.runner_id !== runner.id) return false;
      const isCancelled = job.cancelRequested && completion.result === 'Canceled';
      end(job, completion.result, isCancelled ? 'cancelled' : completion.ended_by);
      return true;
    },
    cancel(job, force) {
      if (job.status === 'completed') return false;
      job.cancelRequested = true;
      if (job.status === 'in_progress' && !force) return true;
      // the runner that it was handed to is refused it, and stays
      if (job.status === 'assigned') release(job);
      end(job, 'Canceled', 'cancelled');
      return true;
    },
    removeUnlessBusy(runner, reason) {
      const { handOverMs, jobEndMs } = deps.deleteLag();
      const job = runner.jobId === undefined ? undefined : jobs.get(runner.jobId);
      const changeAt = runner.busyChanges.at(-1)?.at;
      const sinceChangeMs = changeAt === undefined ? Infinity : clock.now() - changeAt;
      if (job !== undefined && !(job.status === 'assigned' && sinceChangeMs < handOverMs)) return 'busy';
      if (job === undefined && sinceChangeMs < jobEndMs) return 'busy';
      registry.remove(runner.id, reason);
      if (job !== undefined) takeBack(job);
      return 'removed';
    },
    dispatch,
    stop() {
      for (const timer of jobTimers.values()) clock.clearTimer(timer);
      jobTimers.clear();
      for (const timer of removals) clock.clearTimer(timer);
      for (const session of [...sessions.values()]) {
        sessions.delete(session.id);
        session.wake?.(undefined);
        clock.clearTimer(session.silence);
      }
    },
  };
}

/** A runner takes one job at a time, of a repository that it serves, if it has every label that the job asks for. */
function mayRun(runner: Runner, job: JobRecord): boolean {
  if (runner.jobId !== undefined || runner.isSpent || !scopeCovers(runner.scope, job.repository))
    return false;
  const has = new Set(runner.labels.map((label) => label.name.toLowerCase()));
  return job.labels.every((label) => has.has(label.toLowerCase()));
}
