/** A job of a GitHub workflow as JSON: on the operator API, in its file, and in what `migctl` reads. */
import * as z from 'zod';
import { queueTimeMs, WORKFLOW_JOB_STATUSES, type WorkflowJob } from '../domain/workflow-job.js';
import { fromOptionalTime, fromTime, timeSchema, toOptionalTime, toTime } from './time.js';
import { idSchema } from './vm-resource.js';

/** GitHub's number of a job, as text: safe as the name of a file (I10). */
export const workflowJobIdSchema = z
  .string()
  .regex(/^[1-9][0-9]{0,18}$/, 'expected the number of a job at GitHub');

const shared = {
  id: workflowJobIdSchema,
  run_attempt: z.int().min(1),
  run_id: z.string(),
  name: z.string(),
  workflow_name: z.string().optional(),
  repository: z.string().describe('OWNER/REPOSITORY'),
  org: z.string().describe('the organization, or the user whose repository it is'),
  head_branch: z.string().optional(),
  head_sha: z.string(),
  labels: z.array(z.string()),
  status: z.enum(WORKFLOW_JOB_STATUSES),
  conclusion: z
    .string()
    .optional()
    .describe("GitHub's word; unknown: GitHub does not know the job any more, and its end was never heard"),
  runner_id: z.int().optional(),
  runner_name: z.string().optional(),
  runner_group_name: z.string().optional(),
  created_at: timeSchema.optional(),
  started_at: timeSchema.optional(),
  completed_at: timeSchema.optional(),
  first_seen_at: timeSchema.describe('when the controller first heard of it'),
  updated_at: timeSchema.describe('when the controller last heard something new of it'),
};

/** What the job's file holds. */
export const workflowJobRecordSchema = z.object({
  ...shared,
  deliveries: z.array(z.string()),
  said: z.partialRecord(z.string(), z.enum(WORKFLOW_JOB_STATUSES)),
});

export const workflowJobSchema = z.object({
  ...shared,
  vm_id: idSchema.optional().describe('the VM whose runner has it; missing: no runner yet, or none of ours'),
  queued_ms: z
    .int()
    .describe('from its making until a runner took it, or until now; for one that never ran, until its end'),
});

export const workflowJobListSchema = z.object({
  workflow_jobs: z.array(workflowJobSchema),
  next_cursor: z.string().optional(),
});

export type WorkflowJobResource = z.infer<typeof workflowJobSchema>;
export type WorkflowJobRecordResource = z.infer<typeof workflowJobRecordSchema>;

/** The fields that are set: a missing field and one that is undefined are not the same to a reader of JSON. */
function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

const toShared = (job: WorkflowJob) => ({
  id: job.id,
  run_attempt: job.runAttempt,
  run_id: job.runId,
  name: job.name,
  ...defined({ workflow_name: job.workflowName }),
  repository: job.repository,
  org: job.org,
  ...defined({ head_branch: job.headBranch }),
  head_sha: job.headSha,
  labels: [...job.labels],
  status: job.status,
  ...defined({
    conclusion: job.conclusion,
    runner_id: job.runnerId,
    runner_name: job.runnerName,
    runner_group_name: job.runnerGroupName,
    created_at: toOptionalTime(job.createdAt),
    started_at: toOptionalTime(job.startedAt),
    completed_at: toOptionalTime(job.completedAt),
  }),
  first_seen_at: toTime(job.firstSeenAt),
  updated_at: toTime(job.updatedAt),
});

/** @param vmId the VM whose runner has it */
export const toWorkflowJobResource = (
  job: WorkflowJob,
  vmId: string | undefined,
  nowMs: number,
): WorkflowJobResource => ({
  ...toShared(job),
  ...defined({ vm_id: vmId }),
  queued_ms: Math.round(queueTimeMs(job, nowMs)),
});

export const toWorkflowJobRecordResource = (job: WorkflowJob): WorkflowJobRecordResource => ({
  ...toShared(job),
  deliveries: [...job.deliveries],
  said: job.said,
});

export const fromWorkflowJobRecordResource = (resource: WorkflowJobRecordResource): WorkflowJob => ({
  id: resource.id,
  runAttempt: resource.run_attempt,
  runId: resource.run_id,
  name: resource.name,
  workflowName: resource.workflow_name,
  repository: resource.repository,
  org: resource.org,
  headBranch: resource.head_branch,
  headSha: resource.head_sha,
  labels: resource.labels,
  status: resource.status,
  conclusion: resource.conclusion,
  runnerId: resource.runner_id,
  runnerName: resource.runner_name,
  runnerGroupName: resource.runner_group_name,
  createdAt: fromOptionalTime(resource.created_at),
  startedAt: fromOptionalTime(resource.started_at),
  completedAt: fromOptionalTime(resource.completed_at),
  firstSeenAt: fromTime(resource.first_seen_at),
  updatedAt: fromTime(resource.updated_at),
  deliveries: resource.deliveries,
  said: resource.said,
});
