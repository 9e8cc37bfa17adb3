/** Looks at many commands and their VMs with few requests. */
import type { CommandResource } from '@mig/common/api/command-resource';
import type { VmResource } from '@mig/common/api/vm-resource';
import { isFinal } from '@mig/common/domain/command-state';
import type { Client } from '../api/client.js';
import { mapConcurrently } from '../concurrency.js';
import { RefusedError } from '../errors.js';
import { takeIn, type Followed } from './followed.js';

/** Up to here each VM is asked for by itself; above it, lists are cheaper for the controller. */
const FEW = 50;

/** Brings every `followed` up to date. @throws CliError if the controller cannot be asked */
export async function look(client: Client, followed: readonly Followed[], endsVm: boolean): Promise<void> {
  // The VM before its command: a command that is not final then says that the VM was in the life that it is for.
  const vms =
    followed.length <= FEW ? await eachVm(client, followed) : await goneVms(client, followed, endsVm);
  const stillOpen = followed.length <= FEW ? undefined : await openCommands(client);
  await mapConcurrently(followed, async (one) => {
    const vm = vms.get(one.vmId);
    if (isFinal(one.command.state)) {
      takeIn(one, vm, one.command);
      return;
    }
    const open = stillOpen?.get(one.command.id);
    try {
      takeIn(one, vm, open ?? (await client.getCommand(one.command.id)));
    } catch (error) {
      if (!(error instanceof RefusedError && error.status === 404)) throw error;
      one.forgotten = true;
    }
  });
}

async function eachVm(
  client: Client,
  followed: readonly Followed[],
): Promise<ReadonlyMap<string, VmResource>> {
  const vms = new Map<string, VmResource>();
  await mapConcurrently(followed, async ({ vmId }) => {
    try {
      vms.set(vmId, await client.getVm(vmId));
    } catch (error) {
      if (!(error instanceof RefusedError && error.status === 404)) throw error;
    }
  });
  return vms;
}

/** Of many VMs only the end is of interest, and only once a command has ended. */
async function goneVms(
  client: Client,
  followed: readonly Followed[],
  endsVm: boolean,
): Promise<ReadonlyMap<string, VmResource>> {
  if (!endsVm || !followed.some(({ command }) => command.state === 'completed')) return new Map();
  const vms = await client.listVms({ state: 'shutdown' });
  return new Map(vms.map((vm) => [vm.vm_id, vm]));
}

/** In the order in which a command moves on, so that one that moves meanwhile is still found. */
async function openCommands(client: Client): Promise<ReadonlyMap<string, CommandResource>> {
  const commands: CommandResource[] = [];
  for (const state of ['queued', 'sent', 'received'] as const)
    commands.push(...(await client.listCommands({ state })));
  return new Map(commands.map((command) => [command.id, command]));
}
