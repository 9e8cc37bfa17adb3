/** What an operator reads of VMs: records, events, heartbeats. */
import * as z from 'zod';
import { eventListSchema, heartbeatListSchema, toEventResource } from '@mig/common/api/history-resource';
import { idSchema, toVmResource, vmListSchema, vmSchema, type VmResource } from '@mig/common/api/vm-resource';
import { stateMatches } from '@mig/common/domain/vm-state';
import { LIVENESS } from '@mig/common/domain/vm';
import type { Fleet, VmView } from '../fleet/fleet.js';
import type { Store } from '../store/store.js';
import { cursorSchema, limitSchema, page } from './paging.js';
import { UnknownVmError } from './problems.js';
import type { App } from './app.js';

export interface VmRoutesDeps {
  readonly fleet: Fleet;
  readonly store: Store;
}

export const vmParams = z.object({ vm_id: idSchema });

/** @throws UnknownVmError */
export function requireVm(fleet: Fleet, vmId: string): VmView {
  const view = fleet.get(vmId);
  if (view === undefined) throw new UnknownVmError(vmId);
  return view;
}

export function vmRoutes(app: App, { fleet, store }: VmRoutesDeps): void {
  const resource = ({ record, link, liveness }: VmView): VmResource =>
    toVmResource(record, link, liveness, store.eventPosition(record.vmId).lastEventId);

  app.get(
    '/api/v1/vms',
    {
      schema: {
        summary: 'List VMs, by id',
        querystring: z.object({
          pool_id: idSchema.optional(),
          state: z
            .string()
            .max(100)
            .optional()
            .describe('a state, or a phase for all states in it: ready, ready.idle'),
          liveness: z.enum(LIVENESS).optional(),
          limit: limitSchema(500),
          cursor: cursorSchema,
        }),
        response: { 200: vmListSchema },
      },
    },
    (request) => {
      const { pool_id, state, liveness, limit, cursor } = request.query;
      const wanted = fleet
        .list()
        .filter(
          (vm) =>
            (pool_id === undefined || vm.record.poolId === pool_id) &&
            (state === undefined || stateMatches(vm.record.state, state)) &&
            (liveness === undefined || vm.liveness === liveness),
        );
      const { items, nextCursor } = page(wanted, (vm) => vm.record.vmId, limit, cursor);
      return { vms: items.map(resource), ...(nextCursor === undefined ? {} : { next_cursor: nextCursor }) };
    },
  );

  app.get(
    '/api/v1/vms/:vm_id',
    { schema: { summary: 'One VM', params: vmParams, response: { 200: vmSchema } } },
    (request) => resource(requireVm(fleet, request.params.vm_id)),
  );

  app.get(
    '/api/v1/vms/:vm_id/events',
    {
      schema: {
        summary: 'Events of a VM, newest last',
        params: vmParams,
        querystring: z.object({
          after: z.string().max(100).optional().describe('id of an event: only what came after it'),
          limit: limitSchema(100),
        }),
        response: { 200: eventListSchema },
      },
    },
    async (request) => {
      requireVm(fleet, request.params.vm_id);
      const { after, limit } = request.query;
      const events = await store.events(request.params.vm_id, {
        limit,
        ...(after === undefined ? {} : { after }),
      });
      return { events: events.map(toEventResource) };
    },
  );

  app.get(
    '/api/v1/vms/:vm_id/heartbeats',
    {
      schema: {
        summary: 'Heartbeats of a VM, newest last',
        params: vmParams,
        querystring: z.object({ limit: limitSchema(20) }),
        response: { 200: heartbeatListSchema },
      },
    },
    async (request) => {
      requireVm(fleet, request.params.vm_id);
      return { heartbeats: await store.heartbeats(request.params.vm_id, request.query.limit) };
    },
  );
}
