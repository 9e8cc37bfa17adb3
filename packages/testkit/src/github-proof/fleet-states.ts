/** Waiting for the VMs of a proof, by the word of the controller. */
import type { VmResource } from '@mig/common/api/vm-resource';
import type { Ground } from '../reliability/ground.js';
import { waitUntil } from '../system/wait.js';
import type { ProofControl } from './control.js';

export interface AwaitedState {
  readonly what: string;
  readonly vmIds: readonly string[];
  readonly isThere: (vm: VmResource) => boolean;
  readonly deadlineMs: number;
}

/** Resolves when all are there. @throws Error that names who is not, with their states */
export async function waitForFleet(
  ground: Ground,
  control: ProofControl,
  { what, vmIds, isThere, deadlineMs }: AwaitedState,
): Promise<void> {
  let missing: string[] = [];
  let saidAt = performance.now();
  const wanted = new Set(vmIds);
  try {
    await waitUntil(
      what,
      async () => {
        const vms = (await control.api.vms()).filter((vm) => wanted.has(vm.vm_id));
        const there = new Set(vms.filter(isThere).map((vm) => vm.vm_id));
        missing = [...wanted]
          .filter((vmId) => !there.has(vmId))
          .map((vmId) => {
            const vm = vms.find((each) => each.vm_id === vmId);
            return `${vmId} is ${vm?.state ?? 'not known'} (${vm?.link ?? ''}) ${vm?.state_reason ?? ''}`.trim();
          });
        if (performance.now() - saidAt > 10_000) {
          saidAt = performance.now();
          ground.say(`${what}: ${wanted.size - missing.length} of ${wanted.size}`);
        }
        return missing.length === 0;
      },
      { deadlineMs, everyMs: 250, signal: ground.signal },
    );
  } catch (error) {
    throw new Error(`${what}: not so within ${deadlineMs / 1_000} s; ${missing.slice(0, 8).join('; ')}`, {
      cause: error,
    });
  }
}

export const isReady = (vm: VmResource): boolean => vm.link === 'connected' && vm.state === 'ready.idle';
export const isDone = (vm: VmResource): boolean => vm.state === 'shutdown.done' && vm.link === 'disconnected';
