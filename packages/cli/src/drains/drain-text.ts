/** A drain in words. */
import type { DrainResource, DrainVmResource } from '@mig/common/api/drain-resource';
import { formatDuration } from '@mig/common/config/duration';
import { isValidId } from '@mig/common/domain/ids';
import { UsageError } from '../errors.js';
import type { Session } from '../session.js';
import { count, safe } from '../output/text.js';

const SHOWN_NAMES = 3;

/** Which VMs were asked for: `pool linux`, `labels gpu,large`, `all VMs`, `vm-1, vm-2`. */
export function targetText({ selector }: DrainResource): string {
  const { vm_ids: names, pool_id: pool, labels } = selector;
  if (pool !== undefined) return `pool ${pool}`;
  if (labels !== undefined) return `labels ${labels.join(',')}`;
  if (names === undefined) return 'all VMs';
  const rest = names.length - SHOWN_NAMES;
  return names.slice(0, SHOWN_NAMES).join(', ') + (rest > 0 ? `, and ${rest} more` : '');
}

/** What the deadline does. A job is ended by it and by `force`, and by nothing else (I5). */
export function deadlineText({ deadline_ms, force }: Pick<DrainResource, 'deadline_ms' | 'force'>): string {
  if (force) return 'running jobs are ended at once';
  if (deadline_ms === 0) return 'a running job may take as long as it likes';
  return `a job that still runs ${formatDuration(deadline_ms)} after its VM begins to drain is ended`;
}

/** What is about to happen, in one line. */
export function planText(drain: DrainResource): string {
  const { vms, max_unavailable: most, then } = drain;
  const [first] = vms;
  const who = first !== undefined && vms.length === 1 ? safe(first.vm_id) : count(vms.length, 'VM');
  return [
    `${who}${most === undefined ? '' : `, at most ${most} at a time`}`,
    deadlineText(drain),
    ...(then === 'shutdown' ? [`${vms.length === 1 ? 'it' : 'each VM'} is shut down then`] : []),
  ].join('; ');
}

/** Why a VM is where it is: while it goes on, and when it has ended. */
export const reasonText = ({ reason, message }: DrainVmResource): string => reason ?? message ?? '';

/** `done`, `draining: job 8431 runs for 12 min`. */
export function stateAndReason(vm: DrainVmResource): string {
  const reason = safe(reasonText(vm));
  // What a MIGlet says of a drain that went as it should.
  return reason === '' || (vm.state === 'done' && reason === 'drained') ? vm.state : `${vm.state}: ${reason}`;
}

/** How to see the drain again, and how to take it back. */
export const howToReturn = ({ serverFlag }: Session, drainId: string): string =>
  `return with \`migctl wait drain ${safe(drainId)}${serverFlag}\`, ` +
  `see all with \`migctl get drains${serverFlag}\`, ` +
  `take it back with \`migctl undrain ${safe(drainId)}${serverFlag}\``;

/** @throws UsageError naming the first that cannot be the id of a drain */
export function assertDrainIds(ids: readonly string[]): void {
  const wrong = ids.find((id) => !isValidId(id));
  if (wrong === undefined) return;
  throw new UsageError(`${JSON.stringify(wrong)} cannot be the id of a drain`, 'see `migctl get drains`');
}
