/** Many simulated VMs in one process. */
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import { startSimulatedVm, type SimulatedVm } from './simulated-vm.js';

export interface FleetOptions {
  readonly count: number;
  /** VMs are called PREFIX-1, PREFIX-2, … */
  readonly prefix: string;
  readonly poolId: string;
  readonly orgId: string;
  readonly endpoint: string;
  readonly heartbeatInterval: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

export interface SimulatedFleet {
  readonly vms: readonly SimulatedVm[];
  /** How many VMs are in each state. */
  states(): Record<string, number>;
  /** Ends every VM; running jobs are ended too. Resolves when all have. */
  stop(): Promise<void>;
}

export function startFleet(options: FleetOptions): SimulatedFleet {
  const vms = Array.from({ length: options.count }, (_, index) =>
    startSimulatedVm({ ...options, vmId: `${options.prefix}-${index + 1}` }),
  );
  return {
    vms,
    states() {
      const counts: Record<string, number> = {};
      for (const vm of vms) {
        const { state } = vm.status();
        counts[state] = (counts[state] ?? 0) + 1;
      }
      return counts;
    },
    async stop() {
      for (const vm of vms) vm.shutdown('the fleet is stopped', true);
      await Promise.all(vms.map((vm) => vm.ended));
    },
  };
}
