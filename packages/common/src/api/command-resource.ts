/** A command as JSON: on the operator API, in `commands/{id}.json`, and in what `migctl` reads. */
import * as z from 'zod';
import { COMMAND_STATES } from '../domain/command-state.js';
import { COMMAND_TYPES, MAX_DEADLINE_MS } from '../domain/command-types.js';
import type { CommandRecord } from '../domain/command.js';
import { fromOptionalTime, fromTime, timeSchema, toTime } from './time.js';
import { idSchema } from './vm-resource.js';

export const parametersSchema = z.record(
  z.string(),
  z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]),
);

export const commandSchema = z.object({
  id: idSchema,
  vm_id: idSchema,
  type: z.enum(COMMAND_TYPES),
  parameters: parametersSchema.describe('secrets are never among them'),
  state: z.enum(COMMAND_STATES),
  attempts: z.int().describe('how often it was sent'),
  created_at: timeSchema,
  created_by: z.string(),
  boot_id: z.string().optional().describe('the one boot of the VM that it is for; missing = whichever comes'),
  delivery_deadline_at: timeSchema.describe('not sent for the first time after this'),
  execution_deadline_at: timeSchema.describe('not started after this'),
  sent_at: timeSchema.optional(),
  received_at: timeSchema.optional(),
  finished_at: timeSchema.optional(),
  superseded_by: idSchema.optional().describe('the newer command that took its place before it went out'),
  message: z.string().optional(),
  result: z.record(z.string(), z.string()).optional(),
});

/** What `commands/{id}.json` holds: the resource, and what only the controller needs. */
export const commandRecordSchema = commandSchema.extend({
  sequence: z.int(),
  idempotency_key: z.string().optional(),
  sent_to_boot: z.string().optional(),
});

/** Body of `POST /api/v1/vms/{vm_id}/commands`. */
export const submitCommandSchema = z.object({
  type: z.string().describe(`one of ${COMMAND_TYPES.join(', ')}`),
  parameters: parametersSchema.default({}),
  delivery_deadline_ms: z.int().min(1).max(MAX_DEADLINE_MS).optional().describe('default: 1 hour'),
  execution_deadline_ms: z.int().min(1).max(MAX_DEADLINE_MS).optional().describe('default: by type'),
});

export const commandListSchema = z.object({
  commands: z.array(commandSchema),
  next_cursor: z.string().optional(),
});

export type CommandResource = z.infer<typeof commandSchema>;
export type CommandRecordResource = z.infer<typeof commandRecordSchema>;
export type SubmitCommandBody = z.infer<typeof submitCommandSchema>;

export function toCommandResource(command: CommandRecord): CommandResource {
  const { forBoot, sentAt, receivedAt, finishedAt, supersededBy, message, result } = command;
  // Field by field: it is made at every move of every command, and a copy for each field that may be missing costs twice as much.
  const resource: CommandResource = {
    id: command.id,
    vm_id: command.vmId,
    type: command.type,
    parameters: command.parameters as CommandResource['parameters'],
    state: command.state,
    attempts: command.attempts,
    created_at: toTime(command.createdAt),
    created_by: command.createdBy,
    delivery_deadline_at: toTime(command.deliveryDeadlineAt),
    execution_deadline_at: toTime(command.executionDeadlineAt),
  };
  if (forBoot !== undefined) resource.boot_id = forBoot;
  if (sentAt !== undefined) resource.sent_at = toTime(sentAt);
  if (receivedAt !== undefined) resource.received_at = toTime(receivedAt);
  if (finishedAt !== undefined) resource.finished_at = toTime(finishedAt);
  if (supersededBy !== undefined) resource.superseded_by = supersededBy;
  if (message !== undefined) resource.message = message;
  if (result !== undefined) resource.result = result;
  return resource;
}

export function toCommandRecordResource(command: CommandRecord): CommandRecordResource {
  const resource: CommandRecordResource = { ...toCommandResource(command), sequence: command.sequence };
  if (command.idempotencyKey !== undefined) resource.idempotency_key = command.idempotencyKey;
  if (command.sentToBoot !== undefined) resource.sent_to_boot = command.sentToBoot;
  return resource;
}

export function fromCommandRecordResource(resource: CommandRecordResource): CommandRecord {
  return {
    id: resource.id,
    vmId: resource.vm_id,
    type: resource.type,
    parameters: resource.parameters,
    state: resource.state,
    sequence: resource.sequence,
    attempts: resource.attempts,
    createdAt: fromTime(resource.created_at),
    createdBy: resource.created_by,
    forBoot: resource.boot_id,
    deliveryDeadlineAt: fromTime(resource.delivery_deadline_at),
    executionDeadlineAt: fromTime(resource.execution_deadline_at),
    idempotencyKey: resource.idempotency_key,
    sentAt: fromOptionalTime(resource.sent_at),
    sentToBoot: resource.sent_to_boot,
    receivedAt: fromOptionalTime(resource.received_at),
    finishedAt: fromOptionalTime(resource.finished_at),
    supersededBy: resource.superseded_by,
    message: resource.message,
    result: resource.result,
  };
}
