/**
 * The VM as a node: says what it has, asks for jobs when it may, runs them, and reports.
 *
 * The runner comes first: with `when: idle` no job is begun while it has one, and none at all while the VM drains. A job that
 * runs is ended by `force`, by the deadline of its drain, and by the controller alone; a drain waits for it (I5).
 */
import type { Clock } from '@mig/common/clock';
import type { OfferedJob } from '@mig/common/domain/node-messages';
import type { Resources } from '@mig/common/domain/job';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { Executors } from '../tasks/tasks.js';
import { createJobReport } from './job-report.js';
import { toWork } from './job-work.js';
import type { NodeClient } from './node-client.js';

/** What the VM lets the node do now. */
export type NodeMood = 'open' | 'busy' | 'draining';

export interface JobNodeDeps {
  readonly client: NodeClient;
  readonly run: Executors['run'];
  readonly mood: () => NodeMood;
  readonly resources: () => Promise<Resources>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

export interface JobNodeOptions {
  readonly nodeId: string;
  readonly metadata: () => Readonly<Record<string, string>>;
  /** Also while the runner has a job. */
  readonly beside: boolean;
  readonly maxJobs: number;
  readonly pollMs: number;
  readonly heartbeatMs: number;
  readonly graceMs: number;
}

export interface JobNode {
  readonly runningCount: number;
  /** Resolves when no job runs. */
  idle(): Promise<void>;
  /** Ends the jobs that run; the controller hears that they failed, and why. */
  abort(reason: string): void;
  /** Takes no more; ends what runs, and reports it for at most 5 s. */
  stop(reason: string): Promise<void>;
}

const STOP_MS = 5_000;

interface Running {
  readonly job: OfferedJob;
  readonly abort: AbortController;
  /** Why it is ended; nothing is reported of a job that is not this node's. */
  reason: string | undefined;
}

export function startJobNode(deps: JobNodeDeps, options: JobNodeOptions): JobNode {
  const { client, clock, logger } = deps;
  const { nodeId } = options;
  const running = new Map<string, Running>();
  const listeners = new Set<() => void>();
  let stopped = false;
  let timers: { beat: unknown; poll: unknown } = { beat: undefined, poll: undefined };
  let polling = false;
  let reachable = true;

  function noteReachable(now: boolean, reason = ''): void {
    if (now !== reachable) {
      if (now) logger.info({ event: 'queue_reached' }, 'the job queue answers again');
      else logger.warn({ event: 'queue_away', reason }, 'the job queue does not answer');
    }
    reachable = now;
  }

  async function beat(): Promise<void> {
    try {
      const answer = await client.heartbeat({
        nodeId,
        timestamp: Math.floor(clock.now() / 1_000),
        ...(await deps.resources()),
        metadata: options.metadata(),
        listsJobs: true,
        jobIds: [...running.keys()],
        draining: deps.mood() === 'draining',
      });
      noteReachable(true);
      for (const id of answer.endJobIds) end(id, 'the controller says that it is to be ended');
    } catch (error) {
      noteReachable(false, errorMessage(error));
    }
  }

  const mayTake = (): boolean => {
    if (stopped || running.size >= options.maxJobs) return false;
    const mood = deps.mood();
    return mood === 'open' || (mood === 'busy' && options.beside);
  };

  async function poll(): Promise<void> {
    if (polling) return;
    polling = true;
    try {
      while (mayTake()) {
        const { hasJob, job } = await client.getJob();
        if (!hasJob || job === undefined || !mayTake()) break;
        const { ok, message } = await client.claimJob(job.jobId);
        if (!ok) {
          logger.debug({ jobId: job.jobId, reason: message }, 'a job was not to be had');
          break;
        }
        void perform(job);
      }
      noteReachable(true);
    } catch (error) {
      noteReachable(false, errorMessage(error));
    } finally {
      polling = false;
    }
  }

  async function perform(job: OfferedJob): Promise<void> {
    const one: Running = { job, abort: new AbortController(), reason: undefined };
    const { jobId } = job;
    running.set(jobId, one);
    logger.info(
      { event: 'node_job_started', jobId, name: job.name, attempt: job.attempt },
      'a job of the queue starts',
    );
    const report = createJobReport(
      {
        send: (update) => client.updateStatus(update),
        clock,
        random: deps.random,
        onRefused: (message) => end(jobId, message),
      },
      { nodeId, jobId, attempt: job.attempt },
    );
    const timer =
      job.deadlineMs === 0
        ? undefined
        : clock.setTimer(() => end(jobId, 'its deadline has passed'), job.deadlineMs);
    let status: 'completed' | 'failed' = 'completed';
    let detail = '';
    let exitCode = 0;
    await report.begin();
    for (const task of job.tasks) {
      if (one.abort.signal.aborted) break;
      const work = toWork(task);
      if (work === undefined) {
        status = 'failed';
        detail = `task ${task.name}: this node does not know the driver ${task.driver}`;
        break;
      }
      const result = await deps.run(
        {
          kind: 'start',
          agentId: nodeId,
          taskId: jobId,
          work,
          timeoutMs: 0,
          graceMs: options.graceMs,
          resumeMs: 0,
          rawOutput: false,
          windowBytes: 0,
        },
        { graceMs: options.graceMs, output: report.outputOf(task.name), signal: one.abort.signal },
      );
      if (result.success) continue;
      status = 'failed';
      exitCode = result.exitCode;
      const why = result.signal === '' ? `exit code ${exitCode}` : result.signal;
      detail = `task ${task.name}: ${result.message || why}`;
      break;
    }
    clock.clearTimer(timer);
    if (one.reason !== undefined) {
      status = 'failed';
      detail = one.reason;
    }
    logger.info({ event: 'node_job_ended', jobId, status, reason: detail }, 'a job of the queue has ended');
    await report.end(status, detail, exitCode);
    running.delete(jobId);
    for (const listener of [...listeners]) listener();
    void poll();
  }

  function end(jobId: string, reason: string): void {
    const one = running.get(jobId);
    if (one === undefined || one.reason !== undefined) return;
    one.reason = reason;
    one.abort.abort();
  }

  function schedule(): void {
    const again = (name: 'beat' | 'poll', delayMs: number, task: () => Promise<void>): void => {
      timers[name] = clock.setTimer(() => {
        if (stopped) return;
        void task().finally(() => again(name, delayMs, task));
      }, delayMs);
    };
    void beat().then(poll);
    again('beat', options.heartbeatMs, beat);
    again('poll', options.pollMs, poll);
  }
  schedule();

  const idle = (): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (running.size > 0) return;
        listeners.delete(check);
        resolve();
      };
      listeners.add(check);
      check();
    });
  const abort = (reason: string): void => {
    for (const id of running.keys()) end(id, reason);
  };
  return {
    get runningCount() {
      return running.size;
    },
    idle,
    abort,
    async stop(reason) {
      stopped = true;
      clock.clearTimer(timers.beat);
      clock.clearTimer(timers.poll);
      timers = { beat: undefined, poll: undefined };
      abort(reason);
      let patience: unknown;
      await Promise.race([
        idle(),
        new Promise<void>((resolve) => (patience = clock.setTimer(resolve, options.graceMs + STOP_MS))),
      ]);
      clock.clearTimer(patience);
      client.close();
    },
  };
}
