/** What the controller says of jobs, compared with what GitHub says: each by its number and attempt. */
import type { WorkflowJobResource } from '@mig/common/api/workflow-job-resource';
import { isKilled, type Job } from '../github/job.js';
import type { Verdict } from '../reliability/part.js';
import { verdict } from '../reliability/part.js';
import { vmOfRunner } from '../system/runner-name.js';

const keyOf = (id: number | string, attempt: number): string => `${id}, attempt ${attempt}`;

/** Jobs that GitHub has completed, and the controller does not know so. */
export function findUnknownEnds(jobs: readonly Job[], known: readonly WorkflowJobResource[]): string[] {
  const byKey = new Map(known.map((job) => [keyOf(job.id, job.run_attempt), job]));
  return jobs
    .filter(({ status }) => status === 'completed')
    .flatMap((job) => {
      const key = keyOf(job.id, job.run_attempt);
      const resource = byKey.get(key);
      if (resource === undefined)
        return [`job ${key} is completed, and the controller has never heard of it`];
      return resource.status === 'completed'
        ? []
        : [`job ${key} is completed, and the controller says that it is ${resource.status}`];
    });
}

/** Jobs of which the two tell different stories. To be asked when all have ended. */
export function findContradictions(jobs: readonly Job[], known: readonly WorkflowJobResource[]): string[] {
  const byKey = new Map(known.map((job) => [keyOf(job.id, job.run_attempt), job]));
  const faults = jobs.flatMap((job) => {
    const key = keyOf(job.id, job.run_attempt);
    const resource = byKey.get(key);
    byKey.delete(key);
    if (resource === undefined) return [`the controller does not know job ${key}`];
    const pairs: readonly (readonly [string, unknown, unknown])[] = [
      ['conclusion', resource.conclusion, job.conclusion],
      ['runner', resource.runner_name, job.runner_name ?? undefined],
      ['run', resource.run_id, String(job.run_id)],
      ['name', resource.name, job.name],
      ['repository', resource.repository, job.repository],
      ['VM', resource.vm_id, vmOfRunner(job.runner_name ?? '')],
    ];
    return pairs
      .filter(([, said, is]) => said !== is)
      .map(
        ([what, said, is]) => `job ${key}: its ${what} is ${String(is)}, the controller says ${String(said)}`,
      );
  });
  return [...faults, ...[...byKey.keys()].map((key) => `the controller has made up job ${key}`)];
}

export const noJobKilled = (jobs: readonly Job[]): Verdict =>
  verdict(
    'no job was killed',
    jobs
      .filter(isKilled)
      .map(
        (job) =>
          `${job.name} on ${job.runner_name ?? 'no runner'} was ended by ${job.ended_by ?? ''} (${job.result ?? ''}) at ${job.completed_at ?? ''}`,
      ),
  );

/** The planned result is Succeeded. */
export const allJobsDone = (jobs: readonly Job[]): Verdict =>
  verdict(
    'every job that was queued was run to its end',
    jobs
      .filter(({ status, result }) => status !== 'completed' || result !== 'Succeeded')
      .map((job) => `${job.name} (${job.id}) is ${job.status} ${job.result ?? ''}`),
  );
