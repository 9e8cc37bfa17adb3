/**
 * A VM asks to have its runner deleted, before it stops it (I5).
 *
 * Only its own (I10): a runner of a name that was given to this VM, by the rule for names or by a registration of its.
 * One request of a VM at a time (I12): each is up to three calls to GitHub.
 */
import { printable } from '@mig/common/errors';
import type { DeregisterOutcome } from '@mig/common/domain/messages';
import type { VmRecord } from '@mig/common/domain/vm';
import type { Fleet } from '../fleet/fleet.js';
import type { CommandQueue } from './command-queue.js';

export interface Deregistration {
  /** Never rejects. */
  remove(
    vmId: string,
    runnerName: string,
  ): Promise<{ readonly outcome: DeregisterOutcome; readonly message: string }>;
}

export function createDeregistration(deps: {
  readonly fleet: Fleet;
  readonly queue: CommandQueue;
  /** Does the name say that the runner is of the VM? */
  readonly isRunnerOf: (vm: VmRecord, runnerName: string) => boolean;
  readonly registrar: {
    remove(
      vm: VmRecord,
      runnerName: string,
    ): Promise<{ readonly outcome: DeregisterOutcome; readonly message: string }>;
  };
}): Deregistration {
  const underWay = new Set<string>();

  /** By its name, or because a registration under it went out to this VM. */
  const isOwn = (vm: VmRecord, name: string): boolean =>
    deps.isRunnerOf(vm, name) ||
    deps.queue
      .list({ vmId: vm.vmId })
      .some(
        ({ type, attempts, parameters }) =>
          type === 'register_runner' && attempts > 0 && parameters['runner_name'] === name,
      );

  return {
    async remove(vmId, runnerName) {
      const vm = deps.fleet.get(vmId)?.record;
      if (vm === undefined) return { outcome: 'unavailable', message: `VM ${vmId} is not known` };
      if (runnerName !== '' && !isOwn(vm, runnerName)) {
        return {
          outcome: 'unavailable',
          message: `runner ${JSON.stringify(printable(runnerName))} was never given to VM ${vmId}: it is not deleted for it`,
        };
      }
      if (underWay.has(vmId))
        return { outcome: 'unavailable', message: 'an earlier request is still under way' };
      underWay.add(vmId);
      try {
        return await deps.registrar.remove(vm, runnerName);
      } finally {
        underWay.delete(vmId);
      }
    },
  };
}
