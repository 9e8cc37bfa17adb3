/** Which VM has a job: by the name of its runner, which says whose it is. */
import type { VmRecord } from '@mig/common/domain/vm';
import type { WorkflowJob } from '@mig/common/domain/workflow-job';
import type { Ownership } from '../runners/ownership.js';

export interface JobVms {
  /** For many jobs: looks at the fleet once, now. */
  index(): (job: Pick<WorkflowJob, 'runnerName'>) => string | undefined;
  /** Undefined: it has no runner, or none of ours, or its VM is forgotten. */
  vmOf(job: Pick<WorkflowJob, 'runnerName'>): string | undefined;
}

export function createJobVms({
  fleet,
  ownership,
}: {
  readonly fleet: { views(): Iterable<{ readonly record: Pick<VmRecord, 'vmId'> }> };
  readonly ownership: Pick<Ownership, 'stemFor' | 'stemOf'>;
}): JobVms {
  function index() {
    const vms = new Map<string, string>();
    for (const { record } of fleet.views()) vms.set(ownership.stemFor(record.vmId), record.vmId);
    return ({ runnerName }: Pick<WorkflowJob, 'runnerName'>): string | undefined => {
      const stem = runnerName === undefined ? undefined : ownership.stemOf(runnerName);
      return stem === undefined ? undefined : vms.get(stem);
    };
  }
  return {
    index,
    vmOf: (job) =>
      job.runnerName === undefined || ownership.stemOf(job.runnerName) === undefined
        ? undefined
        : index()(job),
  };
}
