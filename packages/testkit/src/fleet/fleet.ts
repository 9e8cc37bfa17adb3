/** Many simulated VMs in one process. */
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import type { Ending } from '@mig/miglet/machine/types';
import { startSimulatedVm, type SimulatedVm, type SimulatedVmOptions } from './simulated-vm.js';

export interface FleetOptions {
  readonly count: number;
  /** VMs are called PREFIX-1, PREFIX-2, … */
  readonly prefix: string;
  /** Number of the first one. Default 1. */
  readonly first?: number;
  readonly poolId: string;
  readonly orgId: string;
  readonly endpoint: string;
  readonly heartbeatInterval: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  /** Default: as a simulated VM has it. */
  readonly reconnect?: SimulatedVmOptions['reconnect'];
  /** Default: as a simulated VM has it. */
  readonly registration?: SimulatedVmOptions['registration'];
  /** What is each VM's own, in each of its boots. */
  readonly ofVm?: (
    vmId: string,
  ) => Pick<SimulatedVmOptions, 'stateDirectory' | 'witness' | 'labels' | 'runner'>;
  /** Is told at the moment at which a VM has ended. */
  readonly onEnded?: (vmId: string, ending: Ending) => void;
  /** A VM that has ended begins another boot after so long. Default: it does not. */
  readonly restartAfterMs?: { readonly min: number; readonly max: number } | undefined;
}

export interface SimulatedFleet {
  /** Those that run, or have ended for good. */
  readonly vms: readonly SimulatedVm[];
  /** How many VMs are in each state. */
  states(): Record<string, number>;
  /** From here on a VM that ends stays so. */
  stopRestarting(): void;
  /** Resolves when every VM has ended for good. */
  readonly ended: Promise<void>;
  /** Ends every VM; running jobs are ended too. Resolves when all have. */
  stop(): Promise<void>;
}

export function startFleet(options: FleetOptions): SimulatedFleet {
  const { prefix, first = 1, restartAfterMs, random, clock } = options;
  let restarts = restartAfterMs !== undefined;
  const vmIds = Array.from({ length: options.count }, (_, index) => `${prefix}-${first + index}`);
  const start = (vmId: string): SimulatedVm =>
    startSimulatedVm({ ...options, vmId, ...options.ofVm?.(vmId) });
  const vms = vmIds.map(start);

  async function live(index: number): Promise<void> {
    for (;;) {
      const vm = vms[index];
      if (vm === undefined) return;
      options.onEnded?.(vm.vmId, await vm.ended);
      if (!restarts || restartAfterMs === undefined) return;
      const { min, max } = restartAfterMs;
      await new Promise<void>((resolve) => clock.setTimer(resolve, min + random() * (max - min)));
      if (!restarts) return;
      vms[index] = start(vm.vmId);
    }
  }

  const ended = Promise.all(vms.map((_, index) => live(index))).then(() => undefined);
  return {
    vms,
    ended,
    states() {
      const counts: Record<string, number> = {};
      for (const vm of vms) {
        const { state } = vm.status();
        counts[state] = (counts[state] ?? 0) + 1;
      }
      return counts;
    },
    stopRestarting() {
      restarts = false;
    },
    async stop() {
      restarts = false;
      for (const vm of vms) vm.shutdown('the fleet is stopped', true);
      await Promise.all(vms.map((vm) => vm.ended));
    },
  };
}
