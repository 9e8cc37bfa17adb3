/** Events and heartbeats as JSON: on the operator API, in their files, and in what `migctl` reads. */
import * as z from 'zod';
import { EVENT_SOURCES, type StoredEvent } from '../domain/event.js';
import type { VmIdentity, VmReport } from '../domain/vm.js';
import { fromTime, timeSchema, toTime } from './time.js';
import {
  healthSchema,
  idSchema,
  jobSchema,
  runnerSchema,
  toHealthResource,
  toJobResource,
  toRunnerResource,
} from './vm-resource.js';

export const eventSchema = z.object({
  id: z.string().describe('unique within the VM; sorts by the time of storing; use it as `after`'),
  type: z.string(),
  vm_id: idSchema,
  pool_id: z.string(),
  org_id: z.string(),
  boot_id: z.string(),
  sequence: z.int().describe('counts the events of a boot from 1; 0 from a legacy MIGlet'),
  data: z.record(z.string(), z.string()),
  timestamp: timeSchema.describe('when it happened, by the clock of the VM'),
  received_at: timeSchema,
  via: z.enum(EVENT_SOURCES).describe('how it came; controller = what the controller itself found out'),
});
export const eventListSchema = z.object({ events: z.array(eventSchema) });
export type EventResource = z.infer<typeof eventSchema>;

export const toEventResource = (event: StoredEvent): EventResource => ({
  id: event.id,
  type: event.type,
  vm_id: event.vmId,
  pool_id: event.poolId,
  org_id: event.orgId,
  boot_id: event.bootId,
  sequence: event.sequence,
  data: { ...event.data },
  timestamp: toTime(event.at),
  received_at: toTime(event.receivedAt),
  via: event.via,
});

export const fromEventResource = (resource: EventResource): StoredEvent => ({
  id: resource.id,
  type: resource.type,
  vmId: resource.vm_id,
  poolId: resource.pool_id,
  orgId: resource.org_id,
  bootId: resource.boot_id,
  sequence: resource.sequence,
  data: resource.data,
  at: fromTime(resource.timestamp),
  receivedAt: fromTime(resource.received_at),
  via: resource.via,
});

export const heartbeatSchema = z.object({
  id: z.string(),
  vm_id: idSchema,
  pool_id: z.string(),
  org_id: z.string(),
  miglet_state: z.string(),
  state_reason: z.string().optional(),
  health: healthSchema.nullable(),
  runner_state: runnerSchema.nullable(),
  current_job: jobSchema.nullable(),
  received_at: timeSchema,
});
export const heartbeatListSchema = z.object({ heartbeats: z.array(heartbeatSchema) });
export type HeartbeatResource = z.infer<typeof heartbeatSchema>;

export function toHeartbeatResource(
  id: string,
  vm: VmIdentity,
  report: VmReport,
  receivedAt: number,
): HeartbeatResource {
  return {
    id,
    vm_id: vm.vmId,
    pool_id: vm.poolId,
    org_id: vm.orgId,
    miglet_state: report.state,
    ...(report.stateReason === '' ? {} : { state_reason: report.stateReason }),
    health: report.health ? toHealthResource(report.health) : null,
    runner_state: report.runner ? toRunnerResource(report.runner) : null,
    current_job: report.currentJob ? toJobResource(report.currentJob) : null,
    received_at: toTime(receivedAt),
  };
}
