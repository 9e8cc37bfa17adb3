/** What an operator reads of VMs (records, events, heartbeats), and may they take new jobs. */
import * as z from 'zod';
import { eventListSchema, heartbeatListSchema, toEventResource } from '@mig/common/api/history-resource';
import {
  cordonBodySchema,
  idSchema,
  toVmResource,
  vmListSchema,
  vmSchema,
  type VmResource,
} from '@mig/common/api/vm-resource';
import { phaseOf, stateMatches } from '@mig/common/domain/vm-state';
import { LIVENESS, type VmRecord } from '@mig/common/domain/vm';
import { callerName, maySee } from '../auth/http-guard.js';
import type { Cordons } from '../fleet/cordon.js';
import type { Fleet, VmView } from '../fleet/fleet.js';
import type { Store } from '../store/store.js';
import { cursorSchema, limitSchema, page } from './paging.js';
import { UnknownVmError } from './problems.js';
import type { App } from './app.js';
import { query } from './query.js';

export interface VmRoutesDeps {
  readonly fleet: Fleet;
  readonly store: Store;
  readonly cordons: Cordons;
  /** The drain by which the VM is out of service, or on its way there. */
  readonly drainIdOf: (vmId: string) => string | undefined;
}

export const vmParams = z.object({ vm_id: idSchema });

/** @throws UnknownVmError */
export function requireVm(fleet: Fleet, vmId: string): VmView {
  const view = fleet.get(vmId);
  if (view === undefined) throw new UnknownVmError(vmId);
  return view;
}

export function vmRoutes(app: App, { fleet, store, cordons, drainIdOf }: VmRoutesDeps): void {
  /** May it take new jobs, if it has a runner? */
  function isEligible({ vmId, state, cordon }: VmRecord): boolean {
    const phase = phaseOf(state);
    return (
      cordon === undefined && phase !== 'draining' && phase !== 'shutdown' && drainIdOf(vmId) === undefined
    );
  }

  const resource = ({ record, link, liveness }: VmView): VmResource =>
    toVmResource(record, {
      link,
      liveness,
      eligible: isEligible(record),
      drainId: drainIdOf(record.vmId),
      lastEventId: store.eventPosition(record.vmId).lastEventId,
    });

  app.get(
    '/api/v1/vms',
    {
      schema: {
        summary: 'List VMs, by id',
        querystring: query({
          pool_id: idSchema.optional(),
          state: z
            .string()
            .max(100)
            .optional()
            .describe('a state, or a phase for all states in it: ready, ready.idle'),
          liveness: z.enum(LIVENESS).optional(),
          eligible: z
            .enum(['true', 'false'])
            .optional()
            .describe(
              'true: only VMs that may take new jobs; false: only those that are cordoned, drain or end',
            ),
          limit: limitSchema(500),
          cursor: cursorSchema,
        }),
        response: { 200: vmListSchema },
      },
    },
    (request) => {
      const { pool_id, state, liveness, eligible, limit, cursor } = request.query;
      const wanted = fleet
        .list()
        .filter(
          (vm) =>
            maySee(request, vm.record.poolId) &&
            (pool_id === undefined || vm.record.poolId === pool_id) &&
            (state === undefined || stateMatches(vm.record.state, state)) &&
            (liveness === undefined || vm.liveness === liveness) &&
            (eligible === undefined || isEligible(vm.record) === (eligible === 'true')),
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

  app.post(
    '/api/v1/vms/:vm_id/cordon',
    {
      schema: {
        summary: 'Keep a VM from new jobs until that is lifted; what runs goes on. Durable when this answers',
        params: vmParams,
        body: cordonBodySchema.nullish(),
        response: { 200: vmSchema },
      },
    },
    async (request) => {
      const { vmId } = requireVm(fleet, request.params.vm_id).record;
      await cordons.cordon(vmId, request.body?.reason ?? '', callerName(request));
      return resource(requireVm(fleet, vmId));
    },
  );

  app.post(
    '/api/v1/vms/:vm_id/uncordon',
    {
      schema: {
        summary: 'Let a VM have new jobs again. Durable when this answers',
        params: vmParams,
        response: { 200: vmSchema },
      },
    },
    async (request) => {
      const { vmId } = requireVm(fleet, request.params.vm_id).record;
      await cordons.uncordon(vmId, callerName(request));
      return resource(requireVm(fleet, vmId));
    },
  );

  app.get(
    '/api/v1/vms/:vm_id/events',
    {
      schema: {
        summary: 'Events of a VM, newest last',
        params: vmParams,
        querystring: query({
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
        querystring: query({ limit: limitSchema(20) }),
        response: { 200: heartbeatListSchema },
      },
    },
    async (request) => {
      requireVm(fleet, request.params.vm_id);
      return { heartbeats: await store.heartbeats(request.params.vm_id, request.query.limit) };
    },
  );
}
