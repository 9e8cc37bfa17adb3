/** A job in GitHub's words, in a webhook and in the REST API, and what of it is kept. */
import * as z from 'zod';
import {
  WORKFLOW_JOB_STATUSES,
  type WorkflowJobDetails,
  type WorkflowJobStatus,
} from '@mig/common/domain/workflow-job';

/** Longest text that is kept of a payload, in characters; the rest is cut off. */
const MAX_TEXT = 500;
/** Most labels that are kept; GitHub takes 100. */
const MAX_LABELS = 100;

const text = z.string();
const time = z.iso.datetime({ offset: true, error: 'expected a time (RFC 3339)' }).nullish();

/** A job as GitHub says it, in a webhook and in the REST API. */
export const gitHubJobSchema = z.object({
  id: z.int().min(1),
  run_id: z.int().min(1),
  run_attempt: z.int().min(1).nullish(),
  name: text,
  workflow_name: text.nullish(),
  head_branch: text.nullish(),
  head_sha: text,
  status: text,
  conclusion: text.nullish(),
  labels: z.array(text),
  runner_id: z.number().nullish(),
  runner_name: text.nullish(),
  runner_group_name: text.nullish(),
  created_at: time,
  started_at: time,
  completed_at: time,
});

export type GitHubJob = z.infer<typeof gitHubJobSchema>;

/** What the REST API answers of one job; undefined: it is not a job. */
export function toJobAnswer(
  json: unknown,
): { readonly status: WorkflowJobStatus; readonly details: Partial<WorkflowJobDetails> } | undefined {
  const parsed = gitHubJobSchema.safeParse(json);
  if (!parsed.success) return undefined;
  return { status: statusOf(parsed.data.status, 'requested'), details: toDetails(parsed.data) };
}

/** A status that GitHub may have one day counts as `otherwise`. */
export const statusOf = (status: string, otherwise: WorkflowJobStatus): WorkflowJobStatus =>
  WORKFLOW_JOB_STATUSES.find((known) => known === status) ?? otherwise;

export function toDetails(job: GitHubJob): Partial<WorkflowJobDetails> {
  return {
    runId: String(job.run_id),
    name: cut(job.name),
    workflowName: cutOptional(job.workflow_name),
    headBranch: cutOptional(job.head_branch),
    headSha: cut(job.head_sha),
    labels: job.labels.slice(0, MAX_LABELS).map(cut),
    conclusion: cutOptional(job.conclusion),
    runnerId: Number.isSafeInteger(job.runner_id) ? (job.runner_id ?? undefined) : undefined,
    runnerName: cutOptional(job.runner_name),
    runnerGroupName: cutOptional(job.runner_group_name),
    createdAt: toTime(job.created_at),
    startedAt: toTime(job.started_at),
    completedAt: toTime(job.completed_at),
  };
}

/** At most `MAX_TEXT` characters. */
export const cut = (value: string): string =>
  value.length <= MAX_TEXT ? value : `${value.slice(0, MAX_TEXT - 1)}…`;
const cutOptional = (value: string | null | undefined): string | undefined =>
  value === null || value === undefined ? undefined : cut(value);
const toTime = (value: string | null | undefined): number | undefined =>
  value === null || value === undefined ? undefined : Date.parse(value);
