/** A task as JSON: on the operator API, in its file, and in what `migctl` reads. */
import * as z from 'zod';
import {
  DEFAULT_TASK_TIMEOUT_MS,
  MAX_COMMAND_LENGTH,
  MAX_TASK_TIMEOUT_MS,
  type TaskRecord,
  type TaskWork,
} from '../domain/task.js';
import { TASK_STATES } from '../domain/task-state.js';
import { defined } from './defined.js';
import { dockerWorkSchema, envEntry, fromDockerWork, toDockerWork } from './docker-work.js';
import { fromOptionalTime, fromTime, timeSchema, toOptionalTime, toTime } from './time.js';
import { idSchema } from './vm-resource.js';

const shellSchema = z.strictObject({
  cmd: z.string().min(1).max(MAX_COMMAND_LENGTH).describe('for /bin/sh -c'),
  env: z.array(envEntry).max(1_000).default([]).describe('NAME=value; only the names are kept'),
  working_dir: z.string().max(4_096).default('').describe('empty = as the agent is configured'),
});

const workFields = { shell: shellSchema.optional(), docker: dockerWorkSchema.optional() };

/** A task waits this long for its agent to take it: 10 s. */
const DEFAULT_DELIVERY_TIMEOUT_MS = 10_000;
/** A message on the stream has 1 MiB. */
const MAX_WORK_BYTES = 768 * 1024;

/** Body of `POST /api/v1/tasks`. */
export const createTaskSchema = z
  .strictObject({
    vm_id: idSchema,
    ...workFields,
    timeout_ms: z
      .int()
      .min(0)
      .max(MAX_TASK_TIMEOUT_MS)
      .default(DEFAULT_TASK_TIMEOUT_MS)
      .describe('from its start until it is ended; 0 = never; default: 5 minutes'),
    delivery_timeout_ms: z
      .int()
      .min(0)
      .max(86_400_000)
      .default(DEFAULT_DELIVERY_TIMEOUT_MS)
      .describe('how long it waits for its VM to connect; default: 10 seconds'),
    resume: z
      .boolean()
      .default(false)
      .describe('if its VM disconnects, it goes on when the VM is back within the grace time'),
    hold_output: z
      .boolean()
      .default(false)
      .describe('the task waits for the reader of its output, instead of losing the middle of much output'),
  })
  .refine(
    ({ shell, docker }) => (shell === undefined) !== (docker === undefined),
    'name exactly one of shell, docker',
  )
  .refine(
    ({ shell, docker }) => Buffer.byteLength(JSON.stringify(shell ?? docker)) <= MAX_WORK_BYTES,
    `the work is larger than ${MAX_WORK_BYTES} bytes`,
  );

const containerSchema = z.object({
  id: z.string(),
  names: z.array(z.string()),
  image: z.string(),
  state: z.string(),
  status: z.string(),
  created: z.number(),
});

/** What is kept of a task's output. */
const taskOutputSchema = z.object({
  bytes: z.int().describe('all that the task wrote'),
  cut_bytes: z.int().describe('of these, from the middle, are gone'),
});

const shared = {
  id: idSchema,
  vm_id: idSchema,
  pool_id: z.string().describe('of the VM; empty = it is in none that is known'),
  ...workFields,
  state: z.enum(TASK_STATES),
  created_at: timeSchema,
  created_by: z.string(),
  timeout_ms: z.int(),
  delivery_timeout_ms: z.int(),
  resume: z.boolean(),
  hold_output: z.boolean(),
  sent_at: timeSchema.optional(),
  finished_at: timeSchema.optional(),
  cancel_requested_at: timeSchema.optional(),
  exit_code: z.int().optional().describe('128 and the number of the signal for a process that one ended'),
  signal: z.string().optional(),
  message: z.string().optional().describe('why it ended as it did'),
  container_id: z.string().optional(),
  containers: z.array(containerSchema).optional().describe('what `docker list` found'),
  output: taskOutputSchema,
};

/** What the task's file holds. */
export const taskRecordSchema = z.object({ ...shared, idempotency_key: z.string().optional() });

export const taskSchema = z.object(shared);
export const taskListSchema = z.object({ tasks: z.array(taskSchema), next_cursor: z.string().optional() });

export type TaskResource = z.infer<typeof taskSchema>;
export type TaskRecordResource = z.infer<typeof taskRecordSchema>;
export type CreateTaskBody = z.input<typeof createTaskSchema>;

/** The data of an `output` event of `GET /api/v1/tasks/{id}/output`: text, or base64 where it is no valid UTF-8. */
export const outputEventSchema = z.object({
  stream: z.enum(['stdout', 'stderr']),
  text: z.string().optional(),
  base64: z.string().optional(),
});
/** The data of a `gap` event: so much is missing here. */
export const gapEventSchema = z.object({ cut_bytes: z.int() });

type WorkResource = Pick<TaskRecordResource, 'shell' | 'docker'>;

export function fromWorkResource({ shell, docker }: WorkResource): TaskWork {
  if (docker !== undefined) return { kind: 'docker', operation: fromDockerWork(docker) };
  return {
    kind: 'shell',
    cmd: shell?.cmd ?? '',
    env: shell?.env ?? [],
    workingDir: shell?.working_dir ?? '',
  };
}

function toWorkResource(work: TaskWork): WorkResource {
  if (work.kind === 'docker') return { docker: toDockerWork(work.operation) };
  return { shell: { cmd: work.cmd, env: [...work.env], working_dir: work.workingDir } };
}

const toShared = (task: TaskRecord) => ({
  id: task.id,
  vm_id: task.vmId,
  pool_id: task.poolId,
  ...toWorkResource(task.work),
  state: task.state,
  created_at: toTime(task.createdAt),
  created_by: task.createdBy,
  timeout_ms: task.timeoutMs,
  delivery_timeout_ms: task.deliveryTimeoutMs,
  resume: task.resume,
  output: { bytes: task.outputBytes, cut_bytes: task.outputCutBytes },
  hold_output: task.holdOutput,
  ...defined({
    sent_at: toOptionalTime(task.sentAt),
    finished_at: toOptionalTime(task.finishedAt),
    cancel_requested_at: toOptionalTime(task.cancelRequestedAt),
    exit_code: task.exitCode,
    signal: task.signal,
    message: task.message,
    container_id: task.containerId,
    containers: task.containers?.map((container) => ({ ...container, names: [...container.names] })),
  }),
});

export const toTaskResource = (task: TaskRecord): TaskResource => toShared(task);

export const toTaskRecordResource = (task: TaskRecord): TaskRecordResource => ({
  ...toShared(task),
  ...defined({ idempotency_key: task.idempotencyKey }),
});

export const fromTaskRecordResource = (resource: TaskRecordResource): TaskRecord => ({
  id: resource.id,
  vmId: resource.vm_id,
  poolId: resource.pool_id,
  work: fromWorkResource(resource),
  state: resource.state,
  createdAt: fromTime(resource.created_at),
  createdBy: resource.created_by,
  timeoutMs: resource.timeout_ms,
  deliveryTimeoutMs: resource.delivery_timeout_ms,
  resume: resource.resume,
  holdOutput: resource.hold_output,
  sentAt: fromOptionalTime(resource.sent_at),
  finishedAt: fromOptionalTime(resource.finished_at),
  cancelRequestedAt: fromOptionalTime(resource.cancel_requested_at),
  exitCode: resource.exit_code,
  signal: resource.signal,
  message: resource.message,
  containerId: resource.container_id,
  containers: resource.containers,
  outputBytes: resource.output.bytes,
  outputCutBytes: resource.output.cut_bytes,
  idempotencyKey: resource.idempotency_key,
});
