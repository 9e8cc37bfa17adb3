import type { Outcome } from '@mig/common/outcome';
import type { Parameters } from '@mig/common/domain/command';
import type { DeregisterOutcome } from '@mig/common/domain/messages';
import type { VmRecord } from '@mig/common/domain/vm';

/** Where the runners of the VMs are registered: GitHub, for the domain. */
export interface RunnerRegistrar {
  /**
   * What `register_runner` carries, minted now (I9: one short-lived token, nothing else of GitHub's reaches a VM).
   * What `wanted` names (`runner_name`, `runner_group`, `labels`, `runner_url`) is taken from there.
   */
  mint(vm: VmRecord, wanted: Parameters): Promise<Outcome<Parameters>>;
  /** Deletes the VM's runner, unless a job runs on it. GitHub's answer is the arbiter (I5). */
  remove(
    vm: VmRecord,
    runnerName: string,
  ): Promise<{ readonly outcome: DeregisterOutcome; readonly message: string }>;
}
