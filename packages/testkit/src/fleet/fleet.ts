/** Many simulated VMs in one process. */
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
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
  /** What is each VM's own. */
  readonly ofVm?: (vmId: string) => Pick<SimulatedVmOptions, 'stateDirectory' | 'witness'>;
}

export interface SimulatedFleet {
  readonly vms: readonly SimulatedVm[];
  /** How many VMs are in each state. */
  states(): Record<string, number>;
  /** Ends every VM; running jobs are ended too. Resolves when all have. */
  stop(): Promise<void>;
}

export function startFleet(options: FleetOptions): SimulatedFleet {
  const { prefix, first = 1 } = options;
  const vms = Array.from({ length: options.count }, (_, index) => {
    const vmId = `${prefix}-${first + index}`;
    return startSimulatedVm({ ...options, vmId, ...options.ofVm?.(vmId) });
  });
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
