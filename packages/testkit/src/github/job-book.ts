/** Every job that was queued, oldest first, with its history. Who gets which job is the dispatcher's business. */
import { toRfc3339, type Clock } from '@mig/common/clock';
import type { EmitEvent } from './events.js';
import type { Job, JobRequest } from './job.js';
import type { AcquiredJob, JobStep } from './runner-protocol.js';
import type { Runner } from './runner-registry.js';

/** Ended jobs that are remembered; the oldest are forgotten first. */
const MAX_ENDED_JOBS = 10_000;

/** Inside the stand-in a job's history is written; outside it is read (`Job`). */
export interface JobRecord extends Mutable<Job> {
  steps: readonly JobStep[];
  plannedResult: 'Succeeded' | 'Failed';
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export interface JobBook {
  queue(request: JobRequest): JobRecord;
  get(id: number): JobRecord | undefined;
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
  deps: { clock: Clock; emit: EmitEvent },
  options: { defaultOwner: string },
): JobBook {
  const { clock, emit } = deps;
  const jobs = new Map<number, JobRecord>();
  /** Ids in the order in which the jobs ended. */
  const ended: number[] = [];
  let lastId = 0;

  const timestamp = () => toRfc3339(clock.now());
  const facts = (job: JobRecord) => ({ job_id: job.id, job_name: job.name, repository: job.repository });

  return {
    queue(request) {
      lastId += 1;
      const job: JobRecord = {
        id: lastId,
        name: request.name ?? `job ${lastId}`,
        repository: request.repository ?? `${options.defaultOwner}/app`,
        labels: request.labels ?? ['self-hosted'],
        duration_ms: request.durationMs ?? 1_000,
        run_id: 1_000_000 + lastId,
        run_attempt: 1,
        status: 'queued',
        queued_at: timestamp(),
        started_at: null,
        completed_at: null,
        runner_id: null,
        runner_name: null,
        result: null,
        conclusion: null,
        ended_by: null,
        steps: request.steps ?? [],
        plannedResult: request.result ?? 'Succeeded',
      };
      jobs.set(job.id, job);
      emit({ event: 'job_queued', ...facts(job) });
      return job;
    },
    get: (id) => jobs.get(id),
    queued: () => [...jobs.values()].filter((job) => job.status === 'queued'),
    assign(job, runner) {
      job.status = 'assigned';
      job.runner_id = runner.id;
      job.runner_name = runner.name;
    },
    requeue(job) {
      job.status = 'queued';
      job.runner_id = null;
      job.runner_name = null;
    },
    start(job) {
      job.status = 'in_progress';
      job.started_at = timestamp();
      emit({ event: 'job_started', runner_name: job.runner_name ?? '', ...facts(job) });
    },
    end(job, result, endedBy) {
      job.status = 'completed';
      job.completed_at = timestamp();
      job.result = result;
      job.conclusion = result === 'Succeeded' ? 'success' : 'failure';
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
    },
    list: () => [...jobs.values()].map(toJob),
  };
}

/** What the outside sees of a job: a copy without what only the worker needs. */
export function toJob(record: JobRecord): Job {
  const job: Partial<JobRecord> & Job = { ...record, labels: [...record.labels] };
  delete job.steps;
  delete job.plannedResult;
  return job;
}

/** What the runner is given when it acquires the job. */
export function toAcquiredJob(job: JobRecord, renewEveryMs: number): AcquiredJob {
  return {
    id: job.id,
    name: job.name,
    key: job.name.toLowerCase().replace(/[^a-z0-9_-]+/g, '-') || 'job',
    workflow: 'stand-in',
    repository: job.repository,
    repository_id: 1,
    run_id: job.run_id,
    run_number: job.id,
    run_attempt: job.run_attempt,
    sha: job.id.toString(16).padStart(40, '0'),
    ref: 'refs/heads/main',
    actor: 'stand-in',
    event_name: 'push',
    duration_ms: job.duration_ms,
    steps: job.steps,
    result: job.plannedResult,
    renew_every_ms: renewEveryMs,
  };
}
