/** What was promised of drains: never too many VMs at a time, and each comes to an end. */
import type { DrainResource } from '@mig/common/api/drain-resource';
import { violations, type Evidence, type Violation } from '../evidence.js';
import type { VmHistory } from '../vm-history.js';

type DrainEvidence = Pick<Evidence, 'toldDrains' | 'drains' | 'histories' | 'sightings'>;

export function checkDrains({ toldDrains, drains, histories, sightings }: DrainEvidence): Violation[] {
  const records = new Map(drains.map((drain) => [drain.id, drain]));
  const accepted = toldDrains.flatMap((told) => told.accepted.slice(0, 1).map(({ id }) => ({ told, id })));
  const lost = accepted
    .filter(({ id }) => !records.has(id))
    .map(({ told, id }) => `${id} (${told.body.reason}) was answered 202, and is not there any more`);
  const unfinished = drains
    .filter(({ finished_at: finishedAt }) => finishedAt === undefined)
    .map((drain) => `${drain.id} is ${drain.state}: ${describeOpen(drain)}`);
  return [
    ...violations('an accepted drain is never lost', lost),
    ...violations('a drain comes to an end', unfinished),
    ...violations(
      'never more VMs drain at a time than a drain allows (as the API says)',
      sightings.overDrained,
    ),
    ...violations(
      'never more VMs drain at a time than a drain allows (as the VMs say)',
      drains.flatMap((drain) => findOverlaps(drain, histories)),
    ),
  ];
}

const describeOpen = ({ vms }: DrainResource): string =>
  vms
    .filter(({ finished_at: finishedAt }) => finishedAt === undefined)
    .map((vm) => `${vm.vm_id} is ${vm.state} (${vm.reason ?? 'no reason given'})`)
    .join(', ');

/** From the log of each VM: from the moment a drain's command is taken until its end, or the VM's, the VM is under way. */
function findOverlaps(drain: DrainResource, histories: readonly VmHistory[]): string[] {
  const limit = drain.max_unavailable;
  if (limit === undefined) return [];
  const turns: { readonly at: number; readonly change: 1 | -1; readonly vmId: string }[] = [];
  for (const vm of drain.vms) {
    const history = histories.find(({ vmId }) => vmId === vm.vm_id);
    const shutDownAt = history === undefined ? Infinity : endOfBoot(history, vm.boot_id);
    for (const id of [vm.command_id, vm.shutdown_command_id]) {
      const [takenAt] = id === undefined ? [] : (history?.takenAt.get(id) ?? []);
      const endedAt = id === undefined ? undefined : history?.endedAt.get(id);
      // One that was taken by a life that died before it could say so, or is under way, says nothing.
      if (takenAt === undefined || endedAt === undefined || takenAt >= shutDownAt) continue;
      const until = Math.min(endedAt, shutDownAt);
      // In less than a millisecond: one that comes in the same may well come after it.
      if (until === takenAt) continue;
      turns.push({ at: takenAt, change: 1, vmId: vm.vm_id }, { at: until, change: -1, vmId: vm.vm_id });
    }
  }
  turns.sort((a, b) => a.at - b.at || a.change - b.change);
  const underWay = new Set<string>();
  for (const { at, change, vmId } of turns) {
    if (change < 0) underWay.delete(vmId);
    else underWay.add(vmId);
    if (underWay.size > limit)
      return [
        `${drain.id} allows ${limit}; at ${new Date(at).toISOString()} these drained: ${[...underWay].join(', ')}`,
      ];
  }
  return [];
}

/** When the VM said that this life of it ends; Infinity if it did not. */
const endOfBoot = ({ lives }: VmHistory, bootId: string): number =>
  lives
    .filter((life) => life.bootId === bootId)
    .flatMap(({ events }) => events)
    .find(({ type }) => type === 'vm_shutting_down')?.at ?? Infinity;
