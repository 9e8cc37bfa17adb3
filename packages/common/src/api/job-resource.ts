/** Jobs and nodes as JSON: on the operator API, in their files, and in what `migctl` reads. */
import * as z from 'zod';
import type { JobEvent, JobRecord } from '../domain/job.js';
import { JOB_STATES } from '../domain/job-state.js';
import { defined } from './defined.js';
import { fromJobSpecResource, jobSpecSchema, toJobSpecResource } from './job-spec.js';
import { fromOptionalTime, fromTime, timeSchema, toOptionalTime, toTime } from './time.js';
import { idSchema } from './vm-resource.js';

const eventSchema = z.object({
  at: timeSchema,
  type: z.string(),
  node_id: z.string(),
  message: z.string(),
});

const shared = {
  id: idSchema,
  state: z.enum(JOB_STATES),
  created_at: timeSchema,
  submitter: z.string(),
  pools: z.array(z.string()).optional().describe('only nodes of these may take it; all, if it is not there'),
  queued_at: timeSchema,
  attempt: z.int(),
  not_before: timeSchema.optional().describe('a retry does not begin before'),
  node_id: z.string().optional().describe('the node that has it, or had it last'),
  claimed_at: timeSchema.optional(),
  started_at: timeSchema.optional(),
  finished_at: timeSchema.optional(),
  exit_code: z.int().optional(),
  message: z.string().optional(),
  parent_id: z.string().optional().describe('the schedule, or the system job, that made it'),
  only_node: z.string().optional(),
  waits_for: z.array(z.string()),
  next_run_at: timeSchema.optional().describe('of a schedule'),
  events: z.array(eventSchema).describe('the newest 100, oldest first'),
};

/** What the job's file holds. The spec is what its submitter wrote, with the defaults. */
export const jobRecordSchema = z.object({
  ...shared,
  spec: jobSpecSchema,
  idempotency_key: z.string().optional(),
});

/** As text and numbers only, so that it can be shown: durations stay as they are written. */
const specShownSchema = z
  .record(z.string(), z.unknown())
  .and(z.object({ name: z.string(), type: z.string() }));

export const jobSchema = z.object({ ...shared, spec: specShownSchema });
export const jobListSchema = z.object({ jobs: z.array(jobSchema), next_cursor: z.string().optional() });

/** What is wrong with a specification; nothing, if it can be submitted. */
export const checkedJobSchema = z.object({
  errors: z.array(z.object({ path: z.string(), message: z.string() })),
});

export type JobResource = z.infer<typeof jobSchema>;
export type JobRecordResource = z.output<typeof jobRecordSchema>;

export const whySchema = z.object({
  job_id: z.string(),
  state: z.enum(JOB_STATES),
  summary: z.string().describe('for a person: 3 nodes lack 8192 MB of memory, 2 are in dc2'),
  fitting_nodes: z.int(),
  reasons: z.array(
    z.object({ reason: z.string(), count: z.int(), nodes: z.array(z.string()).describe('at most 10') }),
  ),
});
export type WhyResource = z.infer<typeof whySchema>;

const resourcesSchema = z.object({ ram_mb: z.number(), cpu_percent: z.number(), disk_mb: z.number() });

export const nodeSchema = z.object({
  node_id: z.string(),
  pool_id: z.string().describe('of its credential, or as the fleet knows it; empty = neither says'),
  state: z.enum(['online', 'draining', 'offline']),
  last_seen_at: timeSchema,
  resources: resourcesSchema,
  used: resourcesSchema,
  metadata: z.record(z.string(), z.string()),
  job_ids: z.array(z.string()),
});
export const nodeListSchema = z.object({ nodes: z.array(nodeSchema), next_cursor: z.string().optional() });
export type NodeResource = z.infer<typeof nodeSchema>;

const toEvent = (event: JobEvent) => ({
  at: toTime(event.at),
  type: event.type,
  node_id: event.nodeId,
  message: event.message,
});

const toShared = (job: JobRecord) => ({
  id: job.id,
  state: job.state,
  created_at: toTime(job.createdAt),
  submitter: job.submitter,
  ...defined({ pools: job.pools === undefined ? undefined : [...job.pools] }),
  queued_at: toTime(job.queuedAt),
  attempt: job.attempt,
  ...defined({
    not_before: toOptionalTime(job.notBefore),
    node_id: job.nodeId,
    claimed_at: toOptionalTime(job.claimedAt),
    started_at: toOptionalTime(job.startedAt),
    finished_at: toOptionalTime(job.finishedAt),
    exit_code: job.exitCode,
    message: job.message,
    parent_id: job.parentId,
    only_node: job.onlyNode,
    next_run_at: toOptionalTime(job.nextRunAt),
  }),
  waits_for: [...job.waitsFor],
  events: job.events.map(toEvent),
  spec: toJobSpecResource(job.spec),
});

/** The values of the environment are left out: they may be secrets (I8). */
export function toJobResource(job: JobRecord): JobResource {
  const { spec, ...rest } = toShared(job);
  const tasks = spec.tasks.map((task) => ({
    ...task,
    env: Object.fromEntries(Object.keys(task.env ?? {}).map((key) => [key, '[redacted]'])),
  }));
  return { ...rest, spec: { ...spec, type: job.spec.type, tasks } };
}

export const toJobRecordResource = (job: JobRecord): JobRecordResource =>
  ({ ...toShared(job), ...defined({ idempotency_key: job.idempotencyKey }) }) as never;

export const fromJobRecordResource = (resource: JobRecordResource): JobRecord => ({
  id: resource.id,
  spec: fromJobSpecResource(resource.spec),
  state: resource.state,
  createdAt: fromTime(resource.created_at),
  submitter: resource.submitter,
  pools: resource.pools,
  queuedAt: fromTime(resource.queued_at),
  attempt: resource.attempt,
  notBefore: fromOptionalTime(resource.not_before),
  nodeId: resource.node_id,
  claimedAt: fromOptionalTime(resource.claimed_at),
  startedAt: fromOptionalTime(resource.started_at),
  finishedAt: fromOptionalTime(resource.finished_at),
  exitCode: resource.exit_code,
  message: resource.message,
  parentId: resource.parent_id,
  onlyNode: resource.only_node,
  waitsFor: resource.waits_for,
  nextRunAt: fromOptionalTime(resource.next_run_at),
  events: resource.events.map(({ at, type, node_id: nodeId, message }) => ({
    at: fromTime(at),
    type,
    nodeId,
    message,
  })),
  idempotencyKey: resource.idempotency_key,
});
