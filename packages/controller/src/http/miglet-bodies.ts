/** Bodies of what a MIGlet says over HTTP: the contract of proto/commands.proto as JSON, read as peers in any language write it. */
import * as z from 'zod';
import { fromHealthResource, idSchema } from '@mig/common/api/vm-resource';
import { isValidEventType } from '@mig/common/domain/event';
import type { JobStatus, VmReport } from '@mig/common/domain/vm';
import { joinProofSchema, sessionFields } from '../auth/join-route.js';

/** Canonical JSON of protobuf writes an int64 as text; both forms are taken. */
const int64 = z.coerce.number().catch(0);
const number = z.coerce.number().catch(0);
/** Peers in other languages write null for what they do not have. */
const text = z
  .string()
  .max(4096)
  .nullish()
  .transform((value) => value ?? '');

const labelList = z
  .array(z.string())
  .nullish()
  .transform((value) => value ?? []);

const identityFields = {
  vm_id: idSchema.optional(),
  pool_id: idSchema,
  org_id: z.union([idSchema, z.literal('')]).default(''),
};

export const eventBody = z.object({
  ...identityFields,
  type: z.string().refine(isValidEventType, 'expected 1 to 63 of a-z A-Z 0-9 . _ -'),
  data: z
    .record(z.string(), z.unknown())
    .nullish()
    .transform((value) => value ?? {}),
  timestamp: z.union([z.number(), z.string()]).optional().describe('unix seconds, or RFC 3339'),
  boot_id: z.union([idSchema, z.literal('')]).default(''),
  sequence: z.int().min(0).default(0),
  previous_sequence: z.int().min(0).default(0),
  join: joinProofSchema
    .optional()
    .describe('with vm_started: the VM joins by this; the answer has its session'),
  earlier_boot: z
    .boolean()
    .optional()
    .describe('boot_id is of an earlier boot of this VM, which could not tell it'),
});

export const acknowledged = z.object({
  status: z.literal('acknowledged'),
  acknowledged: z.literal(true),
  vm_id: z.string(),
  pool_id: z.string(),
  org_id: z.string(),
  message: z.string(),
  grpc_endpoint: z.string().optional(),
  ...sessionFields,
});

export const heartbeatBody = z.object({
  ...identityFields,
  boot_id: text,
  interval_ms: int64,
  miglet_state: text,
  state_reason: text,
  health: z
    .object({
      cpu_usage_percent: number,
      memory_usage_percent: number,
      disk_usage_percent: number,
      memory_total_bytes: int64,
      memory_used_bytes: int64,
      disk_total_bytes: int64,
      disk_used_bytes: int64,
    })
    .nullish(),
  runner_state: z
    .object({
      state: z.enum(['idle', 'running', 'offline']).catch('offline'),
      configured: z.boolean().default(false),
      runner_name: text,
      labels: labelList,
    })
    .nullish(),
  current_job: z
    .object({
      job_id: text,
      run_id: text,
      name: text,
      repository: text,
      branch: text,
      commit: text,
      status: z.enum(['running', 'completed', 'failed']).catch('running'),
      started_at: int64,
    })
    .nullish(),
});

export const ackBody = z.object({
  success: z.boolean(),
  message: text,
  result: z
    .record(z.string(), z.coerce.string())
    .nullish()
    .transform((value) => value ?? {}),
});

export const tokenBody = z.object({
  org_id: z.union([idSchema, z.literal('')]).default(''),
  pool_id: idSchema.optional(),
  runner_group: text,
  labels: labelList,
});

/** A heartbeat in the words of the domain. */
export function toReport(body: z.infer<typeof heartbeatBody>): VmReport {
  const job = body.current_job;
  const currentJob: JobStatus | undefined =
    job && job.job_id !== ''
      ? {
          jobId: job.job_id,
          runId: job.run_id,
          name: job.name,
          repository: job.repository,
          branch: job.branch,
          commit: job.commit,
          status: job.status,
          startedAt: job.started_at * 1000,
        }
      : undefined;
  return {
    state: body.miglet_state,
    stateReason: body.state_reason,
    health: body.health ? fromHealthResource(body.health) : undefined,
    runner: body.runner_state
      ? {
          state: body.runner_state.state,
          configured: body.runner_state.configured,
          name: body.runner_state.runner_name,
          labels: body.runner_state.labels,
        }
      : undefined,
    currentJob,
  };
}
