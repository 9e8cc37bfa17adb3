/**
 * Which runner at GitHub is ours, and of which VM: by its name, and by nothing else. No other runner is ever touched.
 *
 *   mig-k3x9f2-runner-vm-7-0f3c9a1e       {prefix}-{controller id}-{vm id}-{first 8 of the boot id}
 *   mig-k3x9f2-runner-vm-7-0f3c9a1e-2     the second try, after GitHub had a runner of the first name
 *
 * At most 64 characters, as GitHub allows; the id of a VM that does not fit is cut, and ends with 6 digits of its hash.
 */
import { createHash } from 'node:crypto';
import type { VmRecord } from '@mig/common/domain/vm';

const MAX_NAME_LENGTH = 64;
const BOOT_LENGTH = 8;
const HASH_LENGTH = 6;
/** Room for `-99`. */
const SUFFIX_LENGTH = 3;
/** Of a VM whose boot has no id (a legacy MIGlet). */
const NO_BOOT = '0'.repeat(BOOT_LENGTH);

type Named = Pick<VmRecord, 'vmId' | 'bootId'>;

export interface Ownership {
  /** @param attempt from 1 to 99 */
  runnerName(vm: Named, attempt?: number): string;
  /** Does the name begin as those of this controller do? */
  isOurs(runnerName: string): boolean;
  /** Is it a name that was given to the VM, in this boot or another? */
  isOf(vm: Pick<VmRecord, 'vmId'>, runnerName: string): boolean;
  /** Is it a name of this boot of the VM? */
  isOfBoot(vm: Named, runnerName: string): boolean;
  /**
   * What the names of a VM's runners have in common after the prefix; the same for no two VMs. For looking a VM up by the name
   * of its runner: `stemOf(name) === stemFor(vmId)`.
   */
  stemFor(vmId: string): string;
  /** Undefined if the name is not ours. */
  stemOf(runnerName: string): string | undefined;
}

/**
 * @param prefix `github.runner_prefix`
 * @param controllerId 4 to 8 of a-z 0-9
 */
export function createOwnership(prefix: string, controllerId: string): Ownership {
  const beginning = `${prefix}-${controllerId}-`;
  const stemLength = MAX_NAME_LENGTH - beginning.length - 1 - BOOT_LENGTH - SUFFIX_LENGTH;
  const ending = new RegExp(`-([0-9a-z]{${BOOT_LENGTH}})(-[1-9][0-9]?)?$`);

  function stemFor(vmId: string): string {
    if (vmId.length <= stemLength) return vmId;
    const hash = createHash('sha256').update(vmId).digest('hex').slice(0, HASH_LENGTH);
    return `${vmId.slice(0, stemLength - HASH_LENGTH - 1)}.${hash}`;
  }

  function stemOf(runnerName: string): string | undefined {
    if (!runnerName.startsWith(beginning)) return undefined;
    const rest = runnerName.slice(beginning.length);
    const match = ending.exec(rest);
    return match === null || match.index === 0 ? undefined : rest.slice(0, match.index);
  }

  const runnerName = (vm: Named, attempt = 1): string =>
    `${beginning}${stemFor(vm.vmId)}-${bootPart(vm.bootId)}${attempt === 1 ? '' : `-${attempt}`}`;

  return {
    runnerName,
    isOurs: (name) => stemOf(name) !== undefined,
    isOf: (vm, name) => stemOf(name) === stemFor(vm.vmId),
    isOfBoot(vm, name) {
      const first = runnerName(vm);
      return (
        name === first || (name.startsWith(`${first}-`) && /^[1-9][0-9]?$/.test(name.slice(first.length + 1)))
      );
    },
    stemFor,
    stemOf,
  };
}

const bootPart = (bootId: string): string =>
  bootId === ''
    ? NO_BOOT
    : bootId
        .toLowerCase()
        .replaceAll(/[^0-9a-z]/g, '')
        .slice(0, BOOT_LENGTH)
        .padEnd(BOOT_LENGTH, '0');
