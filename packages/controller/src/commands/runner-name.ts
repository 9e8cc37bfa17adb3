/** The names that runners had before they said whose they are: VMs from before an upgrade still have such runners. */
import type { VmRecord } from '@mig/common/domain/vm';

const MAX_VM_ID_LENGTH = 55;

/** Is it a name that the earlier rule gave to the VM, in some boot (whose id was a UUID, as ours are), or without one? */
export function isEarlierRunnerName({ vmId }: Pick<VmRecord, 'vmId'>, name: string): boolean {
  const stem = `${vmId.slice(0, MAX_VM_ID_LENGTH)}-`;
  return name === vmId || (name.startsWith(stem) && /^[0-9a-f]{8}$/.test(name.slice(stem.length)));
}
