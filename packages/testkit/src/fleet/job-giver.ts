/** Gives jobs of random length to VMs that wait for one, as a busy organization does. */
import type { Clock } from '@mig/common/clock';
import type { SimulatedVm } from './simulated-vm.js';

export interface JobGiverOptions {
  readonly minMs: number;
  readonly maxMs: number;
  /** The longest a VM waits for its next job. Default 500 ms. */
  readonly pauseMs?: number;
}

/** How often it is looked who waits. */
const LOOK_MS = 100;

/** Begins at once. @returns gives no more jobs; those that run go on */
export function giveJobs(
  vms: readonly SimulatedVm[],
  deps: { readonly clock: Clock; readonly random: () => number },
  options: JobGiverOptions,
): () => void {
  const { clock, random } = deps;
  const pauseMs = options.pauseMs ?? 500;
  const dueAt = new Map<string, number>();
  let count = 0;
  let timer: unknown;

  function look(): void {
    for (const vm of vms) {
      if (vm.status().state !== 'ready.idle') {
        dueAt.delete(vm.vmId);
        continue;
      }
      const due = dueAt.get(vm.vmId);
      if (due === undefined) dueAt.set(vm.vmId, clock.now() + random() * pauseMs);
      else if (due <= clock.now()) {
        count += 1;
        vm.startJob(`job ${count}`, Math.round(options.minMs + random() * (options.maxMs - options.minMs)));
      }
    }
    timer = clock.setTimer(look, LOOK_MS);
  }

  look();
  return () => clock.clearTimer(timer);
}
