/** Drains as objects: make one, follow it, take it back. */
import type { FastifyRequest } from 'fastify';
import * as z from 'zod';
import {
  createDrainSchema,
  drainListSchema,
  drainSchema,
  fromSelectorResource,
  toDrainResource,
  type DrainResource,
} from '@mig/common/api/drain-resource';
import { DRAIN_STATES, type DrainRecord } from '@mig/common/domain/drain';
import { idSchema } from '@mig/common/api/vm-resource';
import { callerName } from '../auth/http-guard.js';
import type { Drains } from '../commands/drains.js';
import type { App } from './app.js';
import { cursorSchema, limitSchema, page } from './paging.js';
import { plainJson } from './plain-json.js';
import { query } from './query.js';

export interface DrainRoutesDeps {
  readonly drains: Drains;
  /** May whoever calls see all its VMs? */
  readonly maySeeDrain: (request: FastifyRequest, drain: DrainRecord) => boolean;
}

const drainParams = z.object({ id: idSchema });

export function drainRoutes(app: App, { drains, maySeeDrain }: DrainRoutesDeps): void {
  const resource = (drain: DrainRecord): DrainResource =>
    toDrainResource(drain, (vm) => drains.reason(drain, vm));

  app.post(
    '/api/v1/drains',
    {
      serializerCompiler: plainJson,
      schema: {
        summary: 'Drain VMs; the drain is durable when this answers, and goes on by itself',
        headers: z.object({
          'idempotency-key': z
            .string()
            .min(1)
            .max(200)
            .optional()
            .describe('the same key again gives the same drain'),
        }),
        body: createDrainSchema,
        response: { 202: drainSchema },
      },
    },
    async (request, reply) => {
      const { selector, reason, deadline_ms, force, max_unavailable, then } = request.body;
      const drain = await drains.create({
        selector: fromSelectorResource(selector),
        reason,
        createdBy: callerName(request),
        deadlineMs: deadline_ms,
        force,
        maxUnavailable: max_unavailable,
        then,
        idempotencyKey: request.headers['idempotency-key'],
      });
      return reply.code(202).header('location', `/api/v1/drains/${drain.id}`).send(resource(drain));
    },
  );

  app.get(
    '/api/v1/drains',
    {
      serializerCompiler: plainJson,
      schema: {
        summary: 'List drains, in the order in which they were made',
        querystring: query({
          state: z.enum(DRAIN_STATES).optional(),
          limit: limitSchema(100),
          cursor: cursorSchema,
        }),
        response: { 200: drainListSchema },
      },
    },
    (request) => {
      const { state, limit, cursor } = request.query;
      const all = drains
        .list()
        .filter((drain) => (state === undefined || drain.state === state) && maySeeDrain(request, drain));
      const { items, nextCursor } = page(all, (drain) => drain.id, limit, cursor);
      return {
        drains: items.map(resource),
        ...(nextCursor === undefined ? {} : { next_cursor: nextCursor }),
      };
    },
  );

  app.get(
    '/api/v1/drains/:id',
    {
      serializerCompiler: plainJson,
      schema: {
        summary: 'One drain, with its progress',
        params: drainParams,
        response: { 200: drainSchema },
      },
    },
    (request) => resource(drains.get(request.params.id)),
  );

  app.delete(
    '/api/v1/drains/:id',
    {
      serializerCompiler: plainJson,
      schema: {
        summary: 'Undrain: take back what has not yet ended',
        description:
          'VMs that wait for their turn are left alone, VMs that drain are registered again when their job has ended. A VM that shuts down already goes on to do so.',
        params: drainParams,
        response: { 200: drainSchema },
      },
    },
    async (request) => resource(await drains.undrain(request.params.id)),
  );
}
