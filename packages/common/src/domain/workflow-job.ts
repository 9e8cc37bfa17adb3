/**
 * A job of a GitHub workflow, put together from what is heard of it: webhooks, which come late, twice, in any order or not at
 * all, and answers of the REST API.
 *
 *   requested -> pending -> waiting -> queued -> in_progress -> completed
 *
 * Folding is monotonic: a job never goes back, `completed` is final, and what was once known is never erased. The same news,
 * in whatever order and however often, make the same record: nothing is ever counted up or down. A job is known by GitHub's id
 * and the attempt of its run.
 */

/** From the earliest to the last. `pending` waits for other runs, `waiting` for somebody's approval, `queued` for a runner. */
export const WORKFLOW_JOB_STATUSES = [
  'requested',
  'pending',
  'waiting',
  'queued',
  'in_progress',
  'completed',
] as const;
export type WorkflowJobStatus = (typeof WORKFLOW_JOB_STATUSES)[number];

/** The conclusion of a job that GitHub does not know any more: how it ended will never be heard. */
export const UNKNOWN_CONCLUSION = 'unknown';

/** So many webhooks of one job are remembered. A further one that comes twice is folded twice, which changes nothing. */
export const MAX_DELIVERIES = 16;

export interface WorkflowJobKey {
  /** GitHub's number, as text. */
  readonly id: string;
  /** From 1. */
  readonly runAttempt: number;
}

/** Undefined: not known yet. Times are milliseconds since 1970, by GitHub's clock. */
export interface WorkflowJobDetails {
  readonly runId: string;
  readonly name: string;
  readonly workflowName: string | undefined;
  /** `OWNER/REPOSITORY` */
  readonly repository: string;
  /** The organization, or the user whose repository it is. */
  readonly org: string;
  readonly headBranch: string | undefined;
  readonly headSha: string;
  readonly labels: readonly string[];
  /** GitHub's word (`success`, `failure`, `cancelled`, …), or `unknown`. */
  readonly conclusion: string | undefined;
  readonly runnerId: number | undefined;
  readonly runnerName: string | undefined;
  readonly runnerGroupName: string | undefined;
  readonly createdAt: number | undefined;
  readonly startedAt: number | undefined;
  readonly completedAt: number | undefined;
}

export type WorkflowJobDetail = keyof WorkflowJobDetails;

export interface WorkflowJob extends WorkflowJobKey, WorkflowJobDetails {
  readonly status: WorkflowJobStatus;
  /** When it was first and last heard of, by the controller's clock. */
  readonly firstSeenAt: number;
  readonly updatedAt: number;
  /** GUIDs of the webhooks that were folded into it, at most `MAX_DELIVERIES`, sorted. */
  readonly deliveries: readonly string[];
  /** The status that the job had in the news that each detail is from: a later one overrules it. */
  readonly said: Readonly<Partial<Record<WorkflowJobDetail, WorkflowJobStatus>>>;
}

/** What one webhook, or one answer of the REST API, says of a job. What it leaves out, or says as null or empty, is not said. */
export interface WorkflowJobNews extends WorkflowJobKey {
  readonly status: WorkflowJobStatus;
  readonly details: Partial<WorkflowJobDetails>;
  /** When it was heard, by the controller's clock. */
  readonly at: number;
  /** GUID of the webhook. */
  readonly delivery?: string | undefined;
  /** True: the details are a guess, and every other word overrules them. The status counts as any other. */
  readonly guessed?: boolean;
}

/**
 * The status from which on a detail means what it says. Before it starts, GitHub gives as the start of a job the time of its
 * making.
 */
const KNOWN_FROM: Readonly<Record<WorkflowJobDetail, WorkflowJobStatus>> = {
  runId: 'requested',
  name: 'requested',
  workflowName: 'requested',
  repository: 'requested',
  org: 'requested',
  headBranch: 'requested',
  headSha: 'requested',
  labels: 'requested',
  createdAt: 'requested',
  runnerId: 'requested',
  runnerName: 'requested',
  runnerGroupName: 'requested',
  startedAt: 'in_progress',
  completedAt: 'completed',
  conclusion: 'completed',
};
const DETAILS = Object.keys(KNOWN_FROM) as WorkflowJobDetail[];

const NOTHING_KNOWN: WorkflowJobDetails = {
  runId: '',
  name: '',
  workflowName: undefined,
  repository: '',
  org: '',
  headBranch: undefined,
  headSha: '',
  labels: [],
  conclusion: undefined,
  runnerId: undefined,
  runnerName: undefined,
  runnerGroupName: undefined,
  createdAt: undefined,
  startedAt: undefined,
  completedAt: undefined,
};

/** The rank of a status: a job only ever moves to a higher one. */
export const rankOf = (status: WorkflowJobStatus): number => WORKFLOW_JOB_STATUSES.indexOf(status);

const later = (a: WorkflowJobStatus, b: WorkflowJobStatus): WorkflowJobStatus =>
  rankOf(a) >= rankOf(b) ? a : b;

/** `ID-ATTEMPT`: no two jobs share it; safe as the name of a file (I10). */
export const workflowJobKey = ({ id, runAttempt }: WorkflowJobKey): string => `${id}-${runAttempt}`;

export const isOpen = ({ status }: Pick<WorkflowJob, 'status'>): boolean => status !== 'completed';

/** The record with the news in it; `before` undefined: the first that is heard of the job. */
export function foldWorkflowJob(before: WorkflowJob | undefined, news: WorkflowJobNews): WorkflowJob {
  const details: Record<string, unknown> = {};
  const said: Partial<Record<WorkflowJobDetail, WorkflowJobStatus>> = { ...before?.said };
  const standing = news.guessed === true ? 'requested' : news.status;
  for (const detail of DETAILS) {
    const known = before?.[detail];
    const value = news.details[detail];
    const isNew =
      isSaid(value) &&
      rankOf(news.status) >= rankOf(KNOWN_FROM[detail]) &&
      overrules({ value, status: standing }, { value: known, status: said[detail] });
    details[detail] = isNew ? value : (known ?? NOTHING_KNOWN[detail]);
    if (isNew) said[detail] = standing;
  }
  return {
    id: news.id,
    runAttempt: news.runAttempt,
    ...(details as unknown as WorkflowJobDetails),
    status: before === undefined ? news.status : later(before.status, news.status),
    firstSeenAt: Math.min(before?.firstSeenAt ?? news.at, news.at),
    updatedAt: Math.max(before?.updatedAt ?? news.at, news.at),
    deliveries: withDelivery(before?.deliveries ?? [], news.delivery),
    said,
  };
}

/** GitHub says `""`, `0` and `[]` for what it does not know, or not any more. */
const isSaid = (value: unknown): boolean =>
  value !== undefined && value !== '' && value !== 0 && !(Array.isArray(value) && value.length === 0);

interface Said {
  readonly value: unknown;
  readonly status: WorkflowJobStatus | undefined;
}

/** The word of a later status counts; of two from the same the greater does, so that their order does not matter. */
function overrules(news: Said, known: Said): boolean {
  if (known.status === undefined || news.status === undefined) return known.status === undefined;
  const difference = rankOf(news.status) - rankOf(known.status);
  return difference > 0 || (difference === 0 && isGreater(news.value, known.value));
}

const isGreater = (a: unknown, b: unknown): boolean =>
  typeof a === 'number' && typeof b === 'number' ? a > b : JSON.stringify(a) > JSON.stringify(b);

function withDelivery(known: readonly string[], delivery: string | undefined): readonly string[] {
  if (delivery === undefined || known.includes(delivery)) return known;
  return [...known, delivery].sort().slice(-MAX_DELIVERIES);
}

/** How long the job waited until a runner took it, or has waited until now; for one that never ran, until its end. */
export function queueTimeMs(job: WorkflowJob, nowMs: number): number {
  const end = job.startedAt ?? job.completedAt ?? (isOpen(job) ? nowMs : job.updatedAt);
  return Math.max(0, end - (job.createdAt ?? job.firstSeenAt));
}
