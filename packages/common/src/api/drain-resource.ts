/** A drain as JSON: on the operator API, in its file, and in what `migctl` reads. */
import * as z from 'zod';
import { MAX_DEADLINE_MS } from '../domain/command-types.js';
import {
  DRAIN_STATES,
  DRAIN_THEN,
  DRAIN_VM_STATES,
  type DrainRecord,
  type DrainSelector,
  type DrainVm,
  type DrainVmState,
} from '../domain/drain.js';
import { defined } from './defined.js';
import { fromOptionalTime, fromTime, timeSchema, toOptionalTime, toTime } from './time.js';
import { idSchema } from './vm-resource.js';

export const drainSelectorSchema = z
  .strictObject({
    vm_ids: z.array(idSchema).min(1).max(10_000).optional(),
    pool_id: idSchema.optional(),
    labels: z.array(z.string().min(1).max(256)).min(1).max(100).optional(),
    all: z.literal(true).optional(),
  })
  .refine(
    (selector) => Object.values(selector).filter((value) => value !== undefined).length === 1,
    'name exactly one of vm_ids, pool_id, labels, all',
  );

/** Body of `POST /api/v1/drains`. */
export const createDrainSchema = z.strictObject({
  selector: drainSelectorSchema,
  reason: z.string().max(1_000).default(''),
  deadline_ms: z
    .int()
    .min(0)
    .max(MAX_DEADLINE_MS)
    .optional()
    .describe('from the moment a VM begins to drain until its job is ended; 0 = never; default: 1 hour'),
  force: z.boolean().default(false).describe('end running jobs at once'),
  max_unavailable: z
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .describe('most VMs that drain at a time; default: all at once'),
  then: z
    .enum(DRAIN_THEN)
    .default('keep')
    .describe('what follows: end the MIGlet, or keep the VM without a runner'),
});

const drainVmRecordSchema = z.object({
  vm_id: idSchema,
  boot_id: z.string(),
  state: z.enum(DRAIN_VM_STATES),
  command_id: z.string().optional(),
  shutdown_command_id: z.string().optional(),
  started_at: timeSchema.optional(),
  finished_at: timeSchema.optional(),
  message: z.string().optional().describe('why it ended as it did'),
});

const shared = {
  id: idSchema,
  selector: drainSelectorSchema,
  reason: z.string(),
  created_by: z.string(),
  created_at: timeSchema,
  deadline_ms: z.int(),
  force: z.boolean(),
  max_unavailable: z.int().optional(),
  then: z.enum(DRAIN_THEN),
  state: z.enum(DRAIN_STATES),
  finished_at: timeSchema.optional(),
};

/** What the drain's file holds. */
export const drainRecordSchema = z.object({
  ...shared,
  idempotency_key: z.string().optional(),
  vms: z.array(drainVmRecordSchema),
});

/** What the operator API answers: with why each VM is not done yet. */
export const drainVmSchema = drainVmRecordSchema.extend({
  reason: z
    .string()
    .optional()
    .describe('why it is not done yet, for example: job 8431 of org/app runs for 12 min'),
});

export const drainSchema = z.object({
  ...shared,
  counts: z.record(z.enum(DRAIN_VM_STATES), z.int()).describe('VMs in each state'),
  vms: z.array(drainVmSchema),
});

export const drainListSchema = z.object({ drains: z.array(drainSchema), next_cursor: z.string().optional() });

export type DrainResource = z.infer<typeof drainSchema>;
export type DrainVmResource = z.infer<typeof drainVmSchema>;
export type DrainRecordResource = z.infer<typeof drainRecordSchema>;
export type CreateDrainBody = z.input<typeof createDrainSchema>;

export const fromSelectorResource = (selector: z.infer<typeof drainSelectorSchema>): DrainSelector => ({
  vmIds: selector.vm_ids,
  poolId: selector.pool_id,
  labels: selector.labels,
  all: selector.all,
});

const toSelectorResource = (selector: DrainSelector): z.infer<typeof drainSelectorSchema> =>
  defined({
    vm_ids: selector.vmIds && [...selector.vmIds],
    pool_id: selector.poolId,
    labels: selector.labels && [...selector.labels],
    all: selector.all,
  });

const toShared = (drain: DrainRecord) => ({
  id: drain.id,
  selector: toSelectorResource(drain.selector),
  reason: drain.reason,
  created_by: drain.createdBy,
  created_at: toTime(drain.createdAt),
  deadline_ms: drain.deadlineMs,
  force: drain.force,
  ...defined({ max_unavailable: drain.maxUnavailable }),
  then: drain.then,
  state: drain.state,
  ...defined({ finished_at: toOptionalTime(drain.finishedAt) }),
});

/** Field by field: a drain has thousands. */
function toDrainVm(vm: DrainVm): z.infer<typeof drainVmRecordSchema> {
  const resource: z.infer<typeof drainVmRecordSchema> = {
    vm_id: vm.vmId,
    boot_id: vm.bootId,
    state: vm.state,
  };
  if (vm.commandId !== undefined) resource.command_id = vm.commandId;
  if (vm.shutdownCommandId !== undefined) resource.shutdown_command_id = vm.shutdownCommandId;
  if (vm.startedAt !== undefined) resource.started_at = toTime(vm.startedAt);
  if (vm.finishedAt !== undefined) resource.finished_at = toTime(vm.finishedAt);
  if (vm.message !== undefined) resource.message = vm.message;
  return resource;
}

/** @param reasonOf why a VM is not done yet; undefined if it is, or if there is nothing to say */
export function toDrainResource(
  drain: DrainRecord,
  reasonOf: (vm: DrainVm) => string | undefined,
): DrainResource {
  const counts = Object.fromEntries(DRAIN_VM_STATES.map((state) => [state, 0])) as Record<
    DrainVmState,
    number
  >;
  for (const vm of drain.vms) counts[vm.state] += 1;
  return {
    ...toShared(drain),
    counts,
    vms: drain.vms.map((vm) => {
      const reason = reasonOf(vm);
      return reason === undefined ? toDrainVm(vm) : { ...toDrainVm(vm), reason };
    }),
  };
}

export const toDrainRecordResource = (drain: DrainRecord): DrainRecordResource => ({
  ...toShared(drain),
  ...defined({ idempotency_key: drain.idempotencyKey }),
  vms: drain.vms.map(toDrainVm),
});

export const fromDrainRecordResource = (resource: DrainRecordResource): DrainRecord => ({
  id: resource.id,
  selector: fromSelectorResource(resource.selector),
  reason: resource.reason,
  createdBy: resource.created_by,
  createdAt: fromTime(resource.created_at),
  deadlineMs: resource.deadline_ms,
  force: resource.force,
  maxUnavailable: resource.max_unavailable,
  then: resource.then,
  state: resource.state,
  finishedAt: fromOptionalTime(resource.finished_at),
  idempotencyKey: resource.idempotency_key,
  vms: resource.vms.map((vm) => ({
    vmId: vm.vm_id,
    bootId: vm.boot_id,
    state: vm.state,
    commandId: vm.command_id,
    shutdownCommandId: vm.shutdown_command_id,
    startedAt: fromOptionalTime(vm.started_at),
    finishedAt: fromOptionalTime(vm.finished_at),
    message: vm.message,
  })),
});
