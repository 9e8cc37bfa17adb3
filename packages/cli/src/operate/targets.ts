/** Which VMs are meant. */
import type { VmResource } from '@mig/common/api/vm-resource';
import { isValidId } from '@mig/common/domain/ids';
import { stateMatches } from '@mig/common/domain/vm-state';
import type { Client } from '../api/client.js';
import { CliError, EXIT, UsageError } from '../errors.js';

export interface Selection {
  readonly names: readonly string[];
  readonly pool?: string | undefined;
  /** Undefined where VMs cannot be chosen by labels, too. */
  readonly labels?: readonly string[] | undefined;
  readonly all?: boolean | undefined;
}

export interface Targets {
  readonly vmIds: readonly string[];
  /** What the controller said of them, as far as it was asked. */
  readonly known: ReadonlyMap<string, VmResource>;
  /** VMs of the selection that have shut down already. */
  readonly skippedCount: number;
}

/** @throws UsageError unless exactly one of names, pool, labels and all is given, and every name can be one */
export function assertSelection(selection: Selection): void {
  const { names, pool, labels, all } = selection;
  const given = [names.length > 0, pool !== undefined, labels !== undefined, all === true].filter(
    Boolean,
  ).length;
  const byLabels = 'labels' in selection;
  const hint = `name VMs, or give --pool POOL, ${byLabels ? '--labels A,B, ' : ''}or --all`;
  if (given === 0) throw new UsageError('no VM is named', hint);
  if (given > 1) {
    const ways = byLabels ? 'VM names, --pool, --labels and --all' : 'VM names, --pool and --all';
    throw new UsageError(`${ways} exclude each other`, hint);
  }
  assertVmNames(names);
}

/** @throws UsageError naming the first that cannot be the name of a VM */
export function assertVmNames(names: readonly string[]): void {
  const wrong = names.find((name) => !isValidId(name));
  if (wrong === undefined) return;
  throw new UsageError(
    `${JSON.stringify(wrong)} cannot be the name of a VM`,
    'a name has 1 to 63 of a-z A-Z 0-9 . _ - and begins with a letter or a digit; see `migctl get vms`',
  );
}

/** More named VMs than these are not looked up first. */
const MAX_LOOKED_UP = 50;

/**
 * A VM that has shut down needs no drain or shutdown: it would wait for the VM's next life, and end that. A VM that cannot be
 * looked up is taken as it is: the controller refuses what it does not know.
 */
async function takeNamed(client: Client, vmIds: readonly string[], skipShutDown: boolean): Promise<Targets> {
  if (!skipShutDown || vmIds.length > MAX_LOOKED_UP) return { vmIds, known: new Map(), skippedCount: 0 };
  const looked = await Promise.all(vmIds.map((vmId) => client.getVm(vmId).catch(() => undefined)));
  const vms = looked.filter((vm) => vm !== undefined);
  const ended = new Set(vms.filter((vm) => vm.state === 'shutdown.done').map((vm) => vm.vm_id));
  return {
    vmIds: vmIds.filter((vmId) => !ended.has(vmId)),
    known: new Map(vms.filter((vm) => !ended.has(vm.vm_id)).map((vm) => [vm.vm_id, vm])),
    skippedCount: ended.size,
  };
}

/**
 * A pool, labels, or all are looked up; named VMs are taken as they are, but for those that have shut down.
 *
 * @param skipShutDown leave out VMs that have shut down
 * @throws CliError if the pool, or the labels, have no VM at all: what is misspelt must not pass for what is done
 */
export async function findTargets(
  client: Client,
  selection: Selection,
  skipShutDown: boolean,
): Promise<Targets> {
  const { names, pool, labels } = selection;
  if (names.length > 0) return takeNamed(client, [...new Set(names)], skipShutDown);
  const listed = await client.listVms({ pool });
  const vms = labels === undefined ? listed : listed.filter((vm) => hasLabels(vm, labels));
  if (vms.length === 0 && pool !== undefined) {
    throw new CliError(
      'empty-pool',
      `no VM is in pool ${pool}`,
      EXIT.failed,
      'see `migctl get vms` for the pools that there are',
    );
  }
  if (vms.length === 0 && labels !== undefined) {
    throw new CliError(
      'no-such-labels',
      `no VM has a runner with the labels ${labels.join(', ')}`,
      EXIT.failed,
      'see `migctl describe vm NAME` for the labels of a VM',
    );
  }
  const wanted = skipShutDown ? vms.filter((vm) => !stateMatches(vm.state, 'shutdown')) : vms;
  return {
    vmIds: wanted.map((vm) => vm.vm_id),
    known: new Map(wanted.map((vm) => [vm.vm_id, vm])),
    skippedCount: vms.length - wanted.length,
  };
}

/** Of its runner; before it has one, those that it adds at its registration. */
function hasLabels(vm: VmResource, labels: readonly string[]): boolean {
  const own = vm.runner?.configured === true && vm.runner.labels.length > 0 ? vm.runner.labels : vm.labels;
  return labels.every((label) => own.includes(label));
}
