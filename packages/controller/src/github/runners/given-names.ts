/**
 * Names that operators gave to runners (`register_runner` with `runner_name`), beside those by the rule of ownership.ts: they are
 * in the record of the VM, so that its runner can be taken out of service when the command is long forgotten.
 */
import type { VmRecord } from '@mig/common/domain/vm';
import type { Fleet } from '../../fleet/fleet.js';
import type { Ownership } from './ownership.js';

/** Of each VM; the oldest are forgotten (I12). */
const MAX_NAMES = 10;

export interface GivenNames {
  /** Is it a name that was given to the VM, by the rule or by an operator? GitHub's names are the same in any case. */
  isOf(vm: Pick<VmRecord, 'vmId'>, runnerName: string): boolean;
  /** Resolves when the name is on disk. @throws StoreUnavailableError */
  give(vm: Pick<VmRecord, 'vmId'>, runnerName: string): Promise<void>;
}

export function createGivenNames({
  fleet,
  ownership,
}: {
  readonly fleet: Pick<Fleet, 'get' | 'decide'>;
  readonly ownership: Pick<Ownership, 'isOf'>;
}): GivenNames {
  const namesOf = (vmId: string): readonly string[] => fleet.get(vmId)?.record.runnerNames ?? [];

  function isOf(vm: Pick<VmRecord, 'vmId'>, runnerName: string): boolean {
    const name = runnerName.toLowerCase();
    return ownership.isOf(vm, runnerName) || namesOf(vm.vmId).some((given) => given.toLowerCase() === name);
  }

  return {
    isOf,
    async give(vm, runnerName) {
      if (isOf(vm, runnerName)) return;
      await fleet.decide(vm.vmId, { runnerNames: [...namesOf(vm.vmId), runnerName].slice(-MAX_NAMES) });
    },
  };
}

/** GitHub has a runner of the name that an operator gave, and it is none of this VM: it is not touched. */
export const takenName = ({ vmId }: Pick<VmRecord, 'vmId'>, runnerName: string): string =>
  `GitHub has a runner ${runnerName} already, and it was not registered for VM ${vmId}: choose another name, or none`;
