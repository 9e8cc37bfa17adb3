/** What a caller may hear of jobs that cannot be. */
import { MigError } from '@mig/common/errors';
import type { JobRecord } from '@mig/common/domain/job';

export class UnknownJobError extends MigError {
  constructor(readonly jobId: string) {
    super('unknown-job', `job ${jobId} is not known; it may be older than the retention of ended jobs`);
  }
}

export class JobEndedError extends MigError {
  constructor(readonly job: JobRecord) {
    super('job-ended', `job ${job.id} is ${job.state}: there is nothing to cancel`);
  }
}

export class TooManyJobsError extends MigError {
  constructor(limit: number) {
    super('too-many-jobs', `${limit} jobs have not ended, the most that there may be: cancel some, or wait`);
  }
}

/** The specification is wrong; each fault names its path, and its line if it came as text. */
export class BadJobError extends MigError {
  constructor(readonly faults: readonly { readonly path: string; readonly message: string }[]) {
    super(
      'bad-job',
      faults.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; '),
    );
  }
}
