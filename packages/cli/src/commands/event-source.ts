/** Reads the events of one, several or all VMs, with as few requests as it can. */
import type { EventResource } from '@mig/common/api/history-resource';
import type { VmResource } from '@mig/common/api/vm-resource';
import type { Client } from '../api/client.js';
import { mapConcurrently } from '../concurrency.js';
import { RefusedError } from '../errors.js';

export interface EventScope {
  /** Only these VMs; empty = all. */
  readonly names: readonly string[];
  readonly pool?: string | undefined;
}

/** Most events that are asked for at once. */
const PAGE_SIZE = 1_000;

/**
 * Where each VM's events have been read to. A VM that is not among them has had no event, or has not been seen.
 * The place is an event id; ids sort by the time of storing.
 */
export type Places = Map<string, string>;

/** The newest `tail` events of the scope, oldest first, and where they end. @throws CliError */
export async function recentEvents(
  client: Client,
  scope: EventScope,
  tail: number,
): Promise<{ readonly events: EventResource[]; readonly places: Places }> {
  const vms = await vmsOf(client, scope);
  const places: Places = new Map(
    vms.flatMap(({ vm_id, last_event_id: last }) => (last === undefined ? [] : [[vm_id, last]])),
  );
  if (tail === 0) return { events: [], places };
  // The newest `tail` events can only be of the `tail` VMs whose newest event is the newest.
  const active = vms
    .filter(({ vm_id }) => places.has(vm_id))
    .sort((a, b) => compare(places.get(b.vm_id) ?? '', places.get(a.vm_id) ?? ''))
    .slice(0, tail);
  const lists = await mapConcurrently(active, ({ vm_id }) => client.listEvents(vm_id, { limit: tail }));
  const events = lists.flat();
  // Between the list of VMs and their events more may have come: those have been read as well.
  for (const { vm_id, id } of events) if (id > (places.get(vm_id) ?? '')) places.set(vm_id, id);
  return { events: inOrder(events).slice(-tail), places };
}

/**
 * What came after `places`, oldest first. Moves `places` along. A VM that the controller has forgotten has no events.
 *
 * @throws CliError
 */
export async function newEvents(client: Client, scope: EventScope, places: Places): Promise<EventResource[]> {
  const changed = scope.names.length > 0 ? scope.names : await changedVms(client, scope, places);
  const lists = await mapConcurrently(changed, (vmId) =>
    eventsOrNone(eventsAfter(client, vmId, places.get(vmId))),
  );
  const events = lists.flat();
  for (const { vm_id, id } of events) if (id > (places.get(vm_id) ?? '')) places.set(vm_id, id);
  return inOrder(events);
}

const vmsOf = (client: Client, { names, pool }: EventScope): Promise<VmResource[]> =>
  names.length > 0 ? mapConcurrently(names, (name) => client.getVm(name)) : client.listVms({ pool });

async function changedVms(client: Client, scope: EventScope, places: Places): Promise<string[]> {
  const vms = await client.listVms({ pool: scope.pool });
  return vms
    .filter(({ vm_id, last_event_id: last }) => last !== undefined && last > (places.get(vm_id) ?? ''))
    .map(({ vm_id }) => vm_id);
}

async function eventsOrNone(events: Promise<EventResource[]>): Promise<EventResource[]> {
  try {
    return await events;
  } catch (error) {
    if (error instanceof RefusedError && error.status === 404) return [];
    throw error;
  }
}

async function eventsAfter(
  client: Client,
  vmId: string,
  place: string | undefined,
): Promise<EventResource[]> {
  const events: EventResource[] = [];
  // Without an id the controller gives the newest; an id that sorts before all others gives the first.
  let after = place ?? '0';
  for (;;) {
    const page = await client.listEvents(vmId, { after, limit: PAGE_SIZE });
    events.push(...page);
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE_SIZE || last.id === after) return events;
    after = last.id;
  }
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const inOrder = (events: readonly EventResource[]): EventResource[] =>
  [...events].sort((a, b) => compare(a.id, b.id) || compare(a.vm_id, b.vm_id));
