/** Tasks on VMs: submit, follow, cancel. */
import * as z from 'zod';
import {
  createTaskSchema,
  fromWorkResource,
  taskListSchema,
  taskSchema,
  toTaskResource,
} from '@mig/common/api/task-resource';
import { idSchema } from '@mig/common/api/vm-resource';
import { TASK_STATES } from '@mig/common/domain/task-state';
import { callerName, maySee } from '../auth/http-guard.js';
import type { TaskManager } from '../tasks/task-manager.js';
import type { App } from './app.js';
import { lastEventId, openEventStream } from './event-stream.js';
import { outputQuery, sendOutput } from './output-events.js';
import { cursorSchema, limitSchema, page } from './paging.js';
import { query } from './query.js';
import { BadRequestError } from './problems.js';

export interface TaskRoutesDeps {
  readonly tasks: TaskManager;
  readonly stopping: AbortSignal;
}

const taskParams = z.object({ id: idSchema });
const MAX_OFFSET_DIGITS = 15;

/** @throws BadRequestError */
export function parseOffset(text: string | undefined): number {
  if (text === undefined || text === '') return 0;
  if (!/^\d+$/.test(text) || text.length > MAX_OFFSET_DIGITS)
    throw new BadRequestError('Last-Event-ID (or after) is not valid: take it from the id of an event');
  return Number(text);
}

export function taskRoutes(app: App, { tasks, stopping }: TaskRoutesDeps): void {
  app.post(
    '/api/v1/tasks',
    {
      schema: {
        summary: 'Run a shell command or a Docker operation on a VM; the task is durable when this answers',
        headers: z.object({
          'idempotency-key': z
            .string()
            .min(1)
            .max(200)
            .optional()
            .describe('the same key again gives the same task'),
        }),
        body: createTaskSchema,
        response: { 202: taskSchema },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const task = await tasks.submit({
        vmId: body.vm_id,
        poolId: tasks.poolOf(body.vm_id) ?? '',
        work: fromWorkResource(body),
        createdBy: callerName(request),
        timeoutMs: body.timeout_ms,
        deliveryTimeoutMs: body.delivery_timeout_ms,
        resume: body.resume,
        holdOutput: body.hold_output,
        idempotencyKey: request.headers['idempotency-key'],
      });
      return reply.code(202).header('location', `/api/v1/tasks/${task.id}`).send(toTaskResource(task));
    },
  );

  app.get(
    '/api/v1/tasks',
    {
      schema: {
        summary: 'List tasks, in the order of their submission',
        querystring: query({
          vm_id: idSchema.optional(),
          state: z.enum(TASK_STATES).optional(),
          limit: limitSchema(500),
          cursor: cursorSchema,
        }),
        response: { 200: taskListSchema },
      },
    },
    (request) => {
      const { vm_id, state, limit, cursor } = request.query;
      const visible = tasks.list({ vmId: vm_id, state }).filter(({ poolId }) => maySee(request, poolId));
      const { items, nextCursor } = page(visible, ({ id }) => id, limit, cursor);
      return {
        tasks: items.map(toTaskResource),
        ...(nextCursor === undefined ? {} : { next_cursor: nextCursor }),
      };
    },
  );

  app.get(
    '/api/v1/tasks/:id',
    { schema: { summary: 'One task', params: taskParams, response: { 200: taskSchema } } },
    (request) => toTaskResource(tasks.get(request.params.id)),
  );

  app.get(
    '/api/v1/tasks/:id/output',
    {
      schema: {
        summary: 'The output of a task as server-sent events, until its end',
        description:
          'Events: `output` {stream, text or base64}, `gap` {cut_bytes}, `end` with the task. `Last-Event-ID` resumes.',
        params: taskParams,
        querystring: outputQuery,
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const from = parseOffset(lastEventId(request, request.query.after));
      const reader = await tasks.readOutput(id, from);
      await sendOutput(
        openEventStream(request, reply, stopping),
        reader,
        () => toTaskResource(tasks.get(id)),
        request.query.follow,
      );
    },
  );

  app.delete(
    '/api/v1/tasks/:id',
    {
      schema: {
        summary: 'Cancel a task: what it started is ended',
        params: taskParams,
        response: { 200: taskSchema },
      },
    },
    async (request) => toTaskResource(await tasks.cancel(request.params.id)),
  );
}
