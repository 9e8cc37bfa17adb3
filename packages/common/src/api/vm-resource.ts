/** A VM as JSON: on the operator API, in `vm.json`, and in what `migctl` reads. */
import * as z from 'zod';
import { ID_PATTERN } from '../domain/ids.js';
import {
  LINKS,
  LIVENESS,
  PLATFORM_ARCHITECTURES,
  PLATFORM_SYSTEMS,
  type JobStatus,
  type Link,
  type Liveness,
  type RunnerStatus,
  type VmHealth,
  type VmRecord,
} from '../domain/vm.js';
import { fromOptionalTime, fromTime, timeSchema, toOptionalTime, toTime } from './time.js';

export const idSchema = z
  .string()
  .regex(ID_PATTERN, 'use 1 to 63 of a-z A-Z 0-9 . _ - and begin with a letter or a digit');

export const healthSchema = z.object({
  cpu_usage_percent: z.number(),
  memory_usage_percent: z.number(),
  disk_usage_percent: z.number(),
  memory_total_bytes: z.number(),
  memory_used_bytes: z.number(),
  disk_total_bytes: z.number(),
  disk_used_bytes: z.number(),
});

export const runnerSchema = z.object({
  state: z.enum(['idle', 'running', 'offline']),
  configured: z.boolean(),
  runner_name: z.string(),
  labels: z.array(z.string()),
});

export const jobSchema = z.object({
  job_id: z.string(),
  run_id: z.string(),
  name: z.string(),
  repository: z.string(),
  branch: z.string(),
  commit: z.string(),
  status: z.enum(['running', 'completed', 'failed', 'unknown']).describe('unknown: the VM is lost'),
  started_at: timeSchema,
});

export const cordonSchema = z.object({ reason: z.string(), by: z.string(), at: timeSchema });

/** Body of `POST /api/v1/vms/{vm_id}/cordon`. */
export const cordonBodySchema = z.object({ reason: z.string().max(1_000).default('') });

/** What `vm.json` holds. */
export const vmRecordSchema = z.object({
  vm_id: idSchema,
  pool_id: z.string(),
  org_id: z.string(),
  boot_id: z.string().describe('one life of the VM; empty for a legacy MIGlet'),
  version: z.string(),
  state: z.string().describe("path in the MIGlet's machine, for example ready.idle"),
  state_reason: z
    .string()
    .optional()
    .describe('why it is in this state, where the state does not say it all'),
  health: healthSchema.nullable(),
  runner: runnerSchema.nullable(),
  current_job: jobSchema.nullable(),
  labels: z.array(z.string()).describe('labels that the MIGlet adds at its next registration'),
  first_seen_at: timeSchema,
  last_seen_at: timeSchema.describe('when anything was last heard of it'),
  last_heartbeat_at: timeSchema.nullable(),
  outcome: z.string().optional().describe('how the boot ended, by the word of the VM'),
  cordon: cordonSchema.optional().describe('set by an operator: the VM takes no new jobs until it is lifted'),
  lost_at: timeSchema.optional().describe('since when the VM is lost; there until it is heard again'),
  loss_reported: z.boolean().optional().describe('vm_lost is in its history'),
  fenced_runner: z.string().optional().describe('the runner whose labels were taken at GitHub'),
  runner_names: z.array(z.string()).optional().describe('names that register_runner gave to its runners'),
  platform: z
    .object({ os: z.enum(PLATFORM_SYSTEMS), architecture: z.enum(PLATFORM_ARCHITECTURES) })
    .optional()
    .describe('what its runner runs on, by the word of the VM'),
});

/** What the operator API answers. */
export const vmSchema = vmRecordSchema.omit({ loss_reported: true }).extend({
  link: z.enum(LINKS),
  liveness: z.enum(LIVENESS),
  eligible: z.boolean().describe('may take new jobs: neither cordoned nor draining'),
  drain_id: z.string().optional().describe('the drain that this boot is part of and that has not ended'),
  last_event_id: z
    .string()
    .optional()
    .describe('id of the newest event; use it as `after` to see what comes next'),
});

export const vmListSchema = z.object({ vms: z.array(vmSchema), next_cursor: z.string().optional() });

export type VmRecordResource = z.infer<typeof vmRecordSchema>;
export type VmResource = z.infer<typeof vmSchema>;
export type HealthResource = z.infer<typeof healthSchema>;
export type RunnerResource = z.infer<typeof runnerSchema>;
export type JobResource = z.infer<typeof jobSchema>;

export const toVmRecordResource = (vm: VmRecord): VmRecordResource => ({
  ...toShownRecord(vm),
  ...(vm.loss === undefined ? {} : { loss_reported: vm.loss.reported }),
});

/** The record without what is the controller's own affair. */
function toShownRecord(vm: VmRecord): Omit<VmRecordResource, 'loss_reported'> {
  return {
    vm_id: vm.vmId,
    pool_id: vm.poolId,
    org_id: vm.orgId,
    boot_id: vm.bootId,
    version: vm.version,
    state: vm.state,
    ...(vm.stateReason === '' ? {} : { state_reason: vm.stateReason }),
    health: vm.health ? toHealthResource(vm.health) : null,
    runner: vm.runner ? toRunnerResource(vm.runner) : null,
    current_job: vm.currentJob ? toJobResource(vm.currentJob) : null,
    labels: [...vm.labels],
    first_seen_at: toTime(vm.firstSeenAt),
    last_seen_at: toTime(vm.lastSeenAt),
    last_heartbeat_at: toOptionalTime(vm.lastHeartbeatAt) ?? null,
    ...(vm.outcome === undefined ? {} : { outcome: vm.outcome }),
    ...(vm.cordon === undefined
      ? {}
      : { cordon: { reason: vm.cordon.reason, by: vm.cordon.by, at: toTime(vm.cordon.at) } }),
    ...(vm.loss === undefined ? {} : { lost_at: toTime(vm.loss.at) }),
    ...(vm.fencedRunner === undefined ? {} : { fenced_runner: vm.fencedRunner }),
    ...(vm.runnerNames.length === 0 ? {} : { runner_names: [...vm.runnerNames] }),
    ...(vm.platform === undefined ? {} : { platform: vm.platform }),
  };
}

export interface VmFacts {
  readonly link: Link;
  readonly liveness: Liveness;
  readonly eligible: boolean;
  readonly drainId: string | undefined;
  readonly lastEventId: string | undefined;
}

export function toVmResource(
  vm: VmRecord,
  { link, liveness, eligible, drainId, lastEventId }: VmFacts,
): VmResource {
  return {
    ...toShownRecord(vm),
    link,
    liveness,
    eligible,
    ...(drainId === undefined ? {} : { drain_id: drainId }),
    ...(lastEventId === undefined ? {} : { last_event_id: lastEventId }),
  };
}

export function fromVmRecordResource(resource: VmRecordResource): VmRecord {
  return {
    vmId: resource.vm_id,
    poolId: resource.pool_id,
    orgId: resource.org_id,
    bootId: resource.boot_id,
    version: resource.version,
    state: resource.state,
    stateReason: resource.state_reason ?? '',
    health: resource.health ? fromHealthResource(resource.health) : undefined,
    runner: resource.runner ? fromRunnerResource(resource.runner) : undefined,
    currentJob: resource.current_job ? fromJobResource(resource.current_job) : undefined,
    labels: resource.labels,
    firstSeenAt: fromTime(resource.first_seen_at),
    lastSeenAt: fromTime(resource.last_seen_at),
    lastHeartbeatAt: fromOptionalTime(resource.last_heartbeat_at),
    outcome: resource.outcome,
    cordon: resource.cordon && { ...resource.cordon, at: fromTime(resource.cordon.at) },
    loss:
      resource.lost_at === undefined
        ? undefined
        : { at: fromTime(resource.lost_at), reported: resource.loss_reported ?? false },
    fencedRunner: resource.fenced_runner,
    runnerNames: resource.runner_names ?? [],
    platform: resource.platform,
  };
}

export const toHealthResource = (health: VmHealth): HealthResource => ({
  cpu_usage_percent: health.cpuUsagePercent,
  memory_usage_percent: health.memoryUsagePercent,
  disk_usage_percent: health.diskUsagePercent,
  memory_total_bytes: health.memoryTotalBytes,
  memory_used_bytes: health.memoryUsedBytes,
  disk_total_bytes: health.diskTotalBytes,
  disk_used_bytes: health.diskUsedBytes,
});

export const fromHealthResource = (resource: HealthResource): VmHealth => ({
  cpuUsagePercent: resource.cpu_usage_percent,
  memoryUsagePercent: resource.memory_usage_percent,
  diskUsagePercent: resource.disk_usage_percent,
  memoryTotalBytes: resource.memory_total_bytes,
  memoryUsedBytes: resource.memory_used_bytes,
  diskTotalBytes: resource.disk_total_bytes,
  diskUsedBytes: resource.disk_used_bytes,
});

export const toRunnerResource = (runner: RunnerStatus): RunnerResource => ({
  state: runner.state,
  configured: runner.configured,
  runner_name: runner.name,
  labels: [...runner.labels],
});

export const fromRunnerResource = (resource: RunnerResource): RunnerStatus => ({
  state: resource.state,
  configured: resource.configured,
  name: resource.runner_name,
  labels: resource.labels,
});

export const toJobResource = (job: JobStatus): JobResource => ({
  job_id: job.jobId,
  run_id: job.runId,
  name: job.name,
  repository: job.repository,
  branch: job.branch,
  commit: job.commit,
  status: job.status,
  started_at: toTime(job.startedAt),
});

export const fromJobResource = (resource: JobResource): JobStatus => ({
  jobId: resource.job_id,
  runId: resource.run_id,
  name: resource.name,
  repository: resource.repository,
  branch: resource.branch,
  commit: resource.commit,
  status: resource.status,
  startedAt: fromTime(resource.started_at),
});
