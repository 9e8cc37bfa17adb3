import type { Outcome } from '@mig/common/outcome';
import type { Parameters } from '@mig/common/domain/command';
import type { VmRecord } from '@mig/common/domain/vm';
import type { RunnerLabels } from '../fleet/runner-fence.js';

/** Where the runners of the VMs are registered: GitHub, for the domain. */
export interface RunnerRegistrar extends RunnerLabels {
  /**
   * What `register_runner` carries, minted now (I9: one JIT configuration or one short-lived token, nothing else of GitHub's
   * reaches a VM). What `wanted` names (`runner_name`, `runner_group`, `labels`, `runner_url`) is taken from there. Never rejects.
   */
  mint(vm: VmRecord, wanted: Parameters): Promise<Outcome<Parameters>>;
  /** As `mint`, but always with a registration token: for a VM that asks for one by name. */
  mintToken(vm: VmRecord, wanted: Parameters): Promise<Outcome<Parameters>>;
}
