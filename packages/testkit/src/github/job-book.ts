/** Every job that was queued, oldest first, with its history. Who gets which job is the dispatcher's business. */
import { toRfc3339, type Clock } from '@mig/common/clock';
import type { EmitEvent } from './events.js';
import type { Job, JobRequest } from './job.js';
import type { AcquiredJob, JobStep } from './runner-protocol.js';
import type { Runner } from './runner-registry.js';
import { toSha, WORKFLOW } from './resources/job-resource.js';
import type { WorkflowJobAction } from './description/workflow-job-schemas.js';

/** Ended jobs that are remembered; the oldest are forgotten first. */
const MAX_ENDED_JOBS = 10_000;

/** Inside the stand-in a job's history is written; outside it is read (`Job`). */
export interface JobRecord extends Mutable<Job> {
  steps: readonly JobStep[];
  plannedResult: 'Succeeded' | 'Failed';
  /** Its run is to be cancelled; its runner hears of it when it renews the lease. */
  cancelRequested: boolean;
}

/** What GitHub tells its webhooks of a job; called when the job has changed. */
export type AnnounceJob = (action: WorkflowJobAction, job: JobRecord) => void;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export interface JobBook {
  queue(request: JobRequest): JobRecord;
  /** The next attempt of a job's run: another job, in the same run. */
  queueAgain(job: JobRecord): JobRecord;
  /** A job that waits for approval is queued. */
  approve(job: JobRecord): void;
  get(id: number): JobRecord | undefined;
  /** The jobs of a repository, oldest first; of a run, one for each attempt. */
  find(repository: string, runId?: number): JobRecord[];
  /** Jobs that wait for a runner, oldest first. */
  queued(): JobRecord[];
  assign(job: JobRecord, runner: Runner): void;
  requeue(job: JobRecord): void;
  start(job: JobRecord): void;
  end(job: JobRecord, result: NonNullable<Job['result']>, endedBy: NonNullable<Job['ended_by']>): void;
  /** Copies, oldest first. */
  list(): Job[];
}

export function createJobBook(
  deps: { clock: Clock; emit: EmitEvent; announce: AnnounceJob },
  options: { defaultOwner: string },
): JobBook {
  const { clock, emit, announce } = deps;
  const jobs = new Map<number, JobRecord>();
  /** Ids in the order in which the jobs ended. */
  const ended: number[] = [];
  let lastId = 0;

  const timestamp = () => toRfc3339(clock.now());
  const facts = (job: JobRecord) => ({ job_id: job.id, job_name: job.name, repository: job.repository });

  function add(request: JobRequest, earlier?: JobRecord): JobRecord {
    lastId += 1;
    const job: JobRecord = {
      id: lastId,
      name: request.name ?? `job ${lastId}`,
      repository: request.repository ?? `${options.defaultOwner}/app`,
      labels: request.labels ?? ['self-hosted'],
      duration_ms: request.durationMs ?? 1_000,
      run_id: earlier?.run_id ?? 1_000_000 + lastId,
      run_attempt: (earlier?.run_attempt ?? 0) + 1,
      environment: request.environment ?? null,
      status: request.environment === undefined ? 'queued' : 'waiting',
      queued_at: timestamp(),
      started_at: null,
      completed_at: null,
      runner_id: null,
      runner_name: null,
      runner_group_id: null,
      runner_group_name: null,
      result: null,
      conclusion: null,
      ended_by: null,
      steps: request.steps ?? [],
      plannedResult: request.result ?? 'Succeeded',
      cancelRequested: false,
    };
    jobs.set(job.id, job);
    if (job.status === 'queued') emit({ event: 'job_queued', ...facts(job) });
    else emit({ event: 'job_waiting', ...facts(job) });
    announce('queued', job); // also of a job that waits: GitHub's own example has action queued, status waiting
    if (job.status === 'waiting') announce('waiting', job);
    return job;
  }

  return {
    queue: (request) => add(request),
    queueAgain: (job) =>
      add(
        {
          name: job.name,
          repository: job.repository,
          labels: job.labels,
          durationMs: job.duration_ms,
          steps: job.steps,
          result: job.plannedResult,
        },
        job,
      ),
    approve(job) {
      job.status = 'queued';
      emit({ event: 'job_queued', ...facts(job) });
      announce('queued', job);
    },
    find: (repository, runId) =>
      [...jobs.values()].filter(
        (job) =>
          job.repository.toLowerCase() === repository.toLowerCase() &&
          (runId === undefined || job.run_id === runId),
      ),
    get: (id) => jobs.get(id),
    queued: () => [...jobs.values()].filter((job) => job.status === 'queued'),
    assign(job, runner) {
      job.status = 'assigned';
      job.runner_id = runner.id;
      job.runner_name = runner.name;
      job.runner_group_id = runner.group.id;
      job.runner_group_name = runner.group.name;
    },
    requeue(job) {
      job.status = 'queued';
      job.runner_id = null;
      job.runner_name = null;
      job.runner_group_id = null;
      job.runner_group_name = null;
    },
    start(job) {
      job.status = 'in_progress';
      job.started_at = timestamp();
      emit({ event: 'job_started', runner_name: job.runner_name ?? '', ...facts(job) });
      announce('in_progress', job);
    },
    end(job, result, endedBy) {
      job.status = 'completed';
      job.completed_at = timestamp();
      job.result = result;
      job.conclusion = endedBy === 'cancelled' ? 'cancelled' : result === 'Succeeded' ? 'success' : 'failure';
      job.ended_by = endedBy;
      ended.push(job.id);
      if (ended.length > MAX_ENDED_JOBS) jobs.delete(ended.shift() ?? 0);
      emit({
        event: 'job_completed',
        runner_name: job.runner_name,
        result,
        ended_by: endedBy,
        ...facts(job),
      });
      announce('completed', job);
    },
    list: () => [...jobs.values()].map(toJob),
  };
}

/** What the outside sees of a job: a copy without what only the worker needs. */
export function toJob(record: JobRecord): Job {
  const job: Partial<JobRecord> & Job = { ...record, labels: [...record.labels] };
  delete job.steps;
  delete job.plannedResult;
  delete job.cancelRequested;
  return job;
}

/** What the runner is given when it acquires the job. */
export function toAcquiredJob(job: JobRecord, repositoryId: number, renewEveryMs: number): AcquiredJob {
  return {
    id: job.id,
    name: job.name,
    key: job.name.toLowerCase().replace(/[^a-z0-9_-]+/g, '-') || 'job',
    workflow: WORKFLOW,
    repository: job.repository,
    repository_id: repositoryId,
    run_id: job.run_id,
    run_number: job.id,
    run_attempt: job.run_attempt,
    sha: toSha(job),
    ref: 'refs/heads/main',
    actor: 'stand-in',
    event_name: 'push',
    duration_ms: job.duration_ms,
    steps: job.steps,
    result: job.plannedResult,
    renew_every_ms: renewEveryMs,
  };
}
