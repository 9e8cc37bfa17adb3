/**
 * For which life of a VM a command is. What takes a VM out of service, or back, is for the boot that its submitter saw, not
 * for whatever comes under the VM's name.
 */
import type { CommandRecord } from '@mig/common/domain/command';
import { hasEnded } from '@mig/common/domain/vm-state';
import type { VmRecord } from '@mig/common/domain/vm';

const BOUND: readonly string[] = ['drain', 'undrain', 'shutdown'];

/** Does it end what the VM does? */
export const endsLife = (type: string): boolean => type === 'drain' || type === 'shutdown';

/**
 * The one boot that a command of this type is for, if it is submitted now; undefined = whichever comes. A VM that has ended
 * has no boot to bind to: the command is for its next. A legacy MIGlet has none at all.
 */
export const bootFor = (type: string, vm: VmRecord): string | undefined =>
  BOUND.includes(type) && vm.bootId !== '' && !hasEnded(vm) ? vm.bootId : undefined;

/**
 * Must this boot not carry the command out? It was submitted for another; or it went out to another, which it ended, as far
 * as anyone knows.
 */
export const isForAnotherBoot = (command: CommandRecord, bootId: string): boolean =>
  (command.forBoot !== undefined && command.forBoot !== bootId) ||
  (endsLife(command.type) && command.attempts > 0 && bootId !== '' && command.sentToBoot !== bootId);
