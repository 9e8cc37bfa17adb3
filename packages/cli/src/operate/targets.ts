/** Which VMs a command goes to. */
import type { VmResource } from '@mig/common/api/vm-resource';
import { isValidId } from '@mig/common/domain/ids';
import { stateMatches } from '@mig/common/domain/vm-state';
import type { Client } from '../api/client.js';
import { CliError, EXIT, UsageError } from '../errors.js';

export interface Selection {
  readonly names: readonly string[];
  readonly pool?: string | undefined;
  readonly all?: boolean | undefined;
}

export interface Targets {
  readonly vmIds: readonly string[];
  /** What the controller said of them, as far as it was asked. */
  readonly known: ReadonlyMap<string, VmResource>;
  /** VMs of the selection that have shut down already. */
  readonly skippedCount: number;
}

/** @throws UsageError unless exactly one of names, pool and all is given, and every name can be one */
export function assertSelection({ names, pool, all }: Selection): void {
  const given = [names.length > 0, pool !== undefined, all === true].filter(Boolean).length;
  if (given === 0) throw new UsageError('no VM is named', 'name VMs, or give --pool POOL, or --all');
  if (given > 1) {
    throw new UsageError(
      'VM names, --pool and --all exclude each other',
      'name VMs, or give --pool POOL, or --all',
    );
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
 * A pool, or all, is looked up; named VMs are taken as they are, but for those that have shut down.
 *
 * @param skipShutDown leave out VMs that have shut down
 * @throws CliError if the pool has no VM at all: a pool that is misspelt must not pass for one that is done
 */
export async function findTargets(
  client: Client,
  selection: Selection,
  skipShutDown: boolean,
): Promise<Targets> {
  const { names, pool } = selection;
  if (names.length > 0) return takeNamed(client, [...new Set(names)], skipShutDown);
  const vms = await client.listVms({ pool });
  if (vms.length === 0 && pool !== undefined) {
    throw new CliError(
      'empty-pool',
      `no VM is in pool ${pool}`,
      EXIT.failed,
      'see `migctl get vms` for the pools that there are',
    );
  }
  const wanted = skipShutDown ? vms.filter((vm) => !stateMatches(vm.state, 'shutdown')) : vms;
  return {
    vmIds: wanted.map((vm) => vm.vm_id),
    known: new Map(wanted.map((vm) => [vm.vm_id, vm])),
    skippedCount: vms.length - wanted.length,
  };
}
