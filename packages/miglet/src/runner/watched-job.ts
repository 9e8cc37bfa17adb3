/** A job as its runner's output, its worker and its hooks describe it. */
import type { JobStatus } from '@mig/common/domain/vm';
import type { ProcessIdentity } from '@mig/common/process-identity';
import type { RunnerJob } from '../machine/types.js';
import type { JobFacts } from './job-hints.js';

/** The result of a job of which no line said how it ended. */
export const UNKNOWN_RESULT = 'Unknown';
/** The name of a job whose line was not read. */
export const UNKNOWN_NAME = 'unknown';

/** GitHub does not tell a runner the number of its job: this id names it on this VM, the same however often it is read. */
export const newJob = (jobId: string, name: string, startedAt: number): RunnerJob => ({
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
export function described(job: RunnerJob, facts: JobFacts): RunnerJob | undefined {
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

/** Each job has a worker of its own. False if none of it is known. */
export const isOther = (worker: ProcessIdentity, known: ProcessIdentity | undefined): boolean =>
  known !== undefined && (worker.pid !== known.pid || worker.startedAt !== known.startedAt);

/** As the API shows it, of a result as the runner says it. */
export const statusOf = (result: string): JobStatus['status'] => {
  if (result === UNKNOWN_RESULT) return 'unknown';
  return result.startsWith('Succeeded') ? 'completed' : 'failed';
};
