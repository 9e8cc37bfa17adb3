import type { WorkflowJob } from '@mig/common/domain/workflow-job';
import type { JobEnd } from './findings.js';

/** When the newest job of each runner ended, from the workflow jobs that are known now. */
export function jobEndsOf(
  jobs: Iterable<Pick<WorkflowJob, 'runnerName' | 'status' | 'startedAt' | 'completedAt'>>,
): JobEnd {
  const newest = new Map<string, { readonly startedAt: number; readonly endedAt: number | undefined }>();
  for (const { runnerName, status, startedAt = 0, completedAt } of jobs) {
    if (runnerName === undefined || (newest.get(runnerName)?.startedAt ?? -Infinity) > startedAt) continue;
    newest.set(runnerName, { startedAt, endedAt: status === 'completed' ? completedAt : undefined });
  }
  return (runnerName) => newest.get(runnerName)?.endedAt;
}
