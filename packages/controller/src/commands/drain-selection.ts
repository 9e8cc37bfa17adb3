/** Which VMs a drain is of: chosen once, when it is made. */
import type { DrainSelector } from '@mig/common/domain/drain';
import { hasEnded } from '@mig/common/domain/vm-state';
import type { VmRecord } from '@mig/common/domain/vm';
import type { Fleet } from '../fleet/fleet.js';
import { BadDrainError } from './errors.js';

/**
 * The VMs, by id. Those that have ended are left out, unless they were named.
 *
 * @param poolLabels the labels that a pool gives its runners
 * @throws BadDrainError if a named VM was never seen, or if nothing matches
 */
export function selectVms(
  selector: DrainSelector,
  fleet: Fleet,
  poolLabels: (poolId: string) => readonly string[],
): VmRecord[] {
  const { vmIds, poolId, labels } = selector;
  if (vmIds !== undefined) {
    const unknown = vmIds.filter((vmId) => fleet.get(vmId) === undefined);
    if (unknown.length > 0) throw neverSeen(unknown);
    return [...new Set(vmIds)]
      .sort()
      .map((vmId) => fleet.get(vmId)?.record)
      .filter((vm) => vm !== undefined);
  }
  const labelsOf = (vm: VmRecord): readonly string[] =>
    vm.runner?.configured === true && vm.runner.labels.length > 0
      ? vm.runner.labels
      : [...poolLabels(vm.poolId), ...vm.labels];
  const selected = fleet
    .list()
    .map((view) => view.record)
    .filter((vm) => !hasEnded(vm))
    .filter((vm) => poolId === undefined || vm.poolId === poolId)
    .filter((vm) => labels === undefined || hasAll(labelsOf(vm), labels));
  if (selected.length === 0) {
    const what =
      poolId !== undefined
        ? `pool ${poolId} has no VM`
        : labels !== undefined
          ? `no VM has the labels ${labels.join(', ')}`
          : 'there is no VM';
    throw new BadDrainError(`${what} that could be drained: see "migctl get vms"`);
  }
  return selected;
}

/** Also what somebody is told who may not know that there are such VMs. */
export function neverSeen(vmIds: readonly string[]): BadDrainError {
  const named = vmIds.slice(0, 10).join(', ') + (vmIds.length > 10 ? ', …' : '');
  return new BadDrainError(
    `${vmIds.length === 1 ? '1 VM was' : `${vmIds.length} VMs were`} never seen by this controller: ${named}; check the names with "migctl get vms"`,
  );
}

/** GitHub's labels know no case. */
function hasAll(labels: readonly string[], wanted: readonly string[]): boolean {
  const known = new Set(labels.map((label) => label.toLowerCase()));
  return wanted.every((label) => known.has(label.toLowerCase()));
}
