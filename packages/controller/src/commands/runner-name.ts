import type { VmRecord } from '@mig/common/domain/vm';

const MAX_VM_ID_LENGTH = 55;
const BOOT_LENGTH = 8;

/** What a VM's runner is called at GitHub: unique per boot, so that two lives of one VM never share a runner; at most 64 characters. */
export function runnerName(vm: Pick<VmRecord, 'vmId' | 'bootId'>): string {
  const boot = vm.bootId.replaceAll('-', '').slice(0, BOOT_LENGTH);
  return boot === '' ? vm.vmId : `${vm.vmId.slice(0, MAX_VM_ID_LENGTH)}-${boot}`;
}

/** Is it a name that this rule gives to the VM, in this boot, or in an earlier one (whose id was a UUID, as ours are)? */
export function isRunnerNameOf(vm: Pick<VmRecord, 'vmId' | 'bootId'>, name: string): boolean {
  const stem = `${vm.vmId.slice(0, MAX_VM_ID_LENGTH)}-`;
  return (
    name === vm.vmId ||
    name === runnerName(vm) ||
    (name.startsWith(stem) && /^[0-9a-f]{8}$/.test(name.slice(stem.length)))
  );
}
