/** What an operator asks of VMs: submit, follow and cancel commands. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as z from 'zod';
import {
  commandListSchema,
  commandSchema,
  submitCommandSchema,
  toCommandResource,
} from '@mig/common/api/command-resource';
import { COMMAND_STATES } from '@mig/common/domain/command-state';
import { idSchema } from '@mig/common/api/vm-resource';
import { callerName, maySee } from '../auth/http-guard.js';
import { bootFor } from '../commands/boot-binding.js';
import type { CommandQueue } from '../commands/command-queue.js';
import type { Delivery } from '../commands/delivery.js';
import type { Fleet } from '../fleet/fleet.js';
import { cursorSchema, limitSchema, page } from './paging.js';
import type { App } from './app.js';
import { requireVm, vmParams } from './vm-routes.js';
import { query } from './query.js';

export interface CommandRoutesDeps {
  readonly fleet: Fleet;
  readonly queue: CommandQueue;
  readonly delivery: Delivery;
}

const commandParams = z.object({ id: idSchema });
/** A sequence as text that sorts like the number. */
const sortable = (sequence: number): string => String(sequence).padStart(16, '0');

export function commandRoutes(app: App, { fleet, queue, delivery }: CommandRoutesDeps): void {
  app.post(
    '/api/v1/vms/:vm_id/commands',
    {
      schema: {
        summary: 'Submit a command; it is durable when this answers',
        params: vmParams,
        headers: z.object({
          'idempotency-key': z
            .string()
            .min(1)
            .max(200)
            .optional()
            .describe('the same key for the same VM again gives the same command'),
        }),
        body: submitCommandSchema,
        response: { 202: commandSchema },
      },
    },
    async (request, reply) => {
      const { vm_id: vmId } = request.params;
      const { record } = requireVm(fleet, vmId);
      const { type, parameters, delivery_deadline_ms, execution_deadline_ms } = request.body;
      const command = await queue.submit({
        vmId,
        type,
        parameters,
        createdBy: callerName(request),
        forBoot: bootFor(type, record),
        deliveryDeadlineMs: delivery_deadline_ms,
        executionDeadlineMs: execution_deadline_ms,
        idempotencyKey: request.headers['idempotency-key'],
      });
      delivery.kick(vmId);
      // What is written in one turn of the event loop leaves at its end: the VM waits neither for this answer nor for its entry in
      // the audit log.
      await nextTurn();
      return reply
        .code(202)
        .header('location', `/api/v1/commands/${command.id}`)
        .send(toCommandResource(command));
    },
  );

  app.get(
    '/api/v1/commands',
    {
      schema: {
        summary: 'List commands, in the order of their submission',
        querystring: query({
          vm_id: idSchema.optional(),
          state: z.enum(COMMAND_STATES).optional(),
          limit: limitSchema(500),
          cursor: cursorSchema,
        }),
        response: { 200: commandListSchema },
      },
    },
    (request) => {
      const { vm_id, state, limit, cursor } = request.query;
      const commands = queue
        .list({ vmId: vm_id })
        .map(queue.stored)
        .filter((command) => state === undefined || command.state === state)
        .filter((command) => maySee(request, fleet.get(command.vmId)?.record.poolId ?? ''));
      const { items, nextCursor } = page(commands, (command) => sortable(command.sequence), limit, cursor);
      return {
        commands: items.map(toCommandResource),
        ...(nextCursor === undefined ? {} : { next_cursor: nextCursor }),
      };
    },
  );

  app.get(
    '/api/v1/commands/:id',
    { schema: { summary: 'One command', params: commandParams, response: { 200: commandSchema } } },
    (request) => toCommandResource(queue.stored(queue.get(request.params.id))),
  );

  app.delete(
    '/api/v1/commands/:id',
    {
      schema: {
        summary: 'Cancel a command that its VM has not yet taken',
        params: commandParams,
        response: { 200: commandSchema },
      },
    },
    async (request) => toCommandResource(await queue.cancel(request.params.id)),
  );
}
