/** One VM whose command is waited for: what is known of it, and what it waits for. */
import type { CommandResource } from '@mig/common/api/command-resource';
import type { VmResource } from '@mig/common/api/vm-resource';
import { isFinal } from '@mig/common/domain/command-state';
import { stateMatches } from '@mig/common/domain/vm-state';
import { safe } from '../output/text.js';
import { formatAge } from '../output/time.js';

export interface Followed {
  readonly vmId: string;
  command: CommandResource;
  vm: VmResource | undefined;
  /** The life of the VM that the command ends; undefined until it is known. */
  bootId: string | undefined;
  /** The controller does not know the command any more. */
  forgotten: boolean;
}

/** Takes in a new look at a VM and its command; the look at the VM must be the older one. */
export function takeIn(followed: Followed, vm: VmResource | undefined, command: CommandResource): void {
  followed.command = command;
  if (vm === undefined) return;
  followed.vm = vm;
  // Once the command has ended, another life means that the one it was for is over.
  if (!isFinal(command.state) || followed.bootId === undefined) followed.bootId = vm.boot_id;
}

/** Nothing more is to come. */
export function isSettled(followed: Followed, endsVm: boolean): boolean {
  if (followed.forgotten) return true;
  if (!isFinal(followed.command.state)) return false;
  return !endsVm || followed.command.state !== 'completed' || hasGone(followed);
}

export const hasSucceeded = (followed: Followed): boolean =>
  !followed.forgotten && followed.command.state === 'completed';

function hasGone({ vm, bootId }: Followed): boolean {
  if (vm === undefined) return false;
  if (bootId !== undefined && vm.boot_id !== bootId) return true;
  return stateMatches(vm.state, 'shutdown') && vm.link === 'disconnected';
}

/** What a VM waits for. `key` changes with what happens; `text` also with the time that passes. */
export interface Waiting {
  readonly key: string;
  readonly text: string;
}

export function describeWaiting({ command, vm }: Followed, nowMs: number): Waiting {
  switch (command.state) {
    case 'queued':
      return waitsInQueue(command, vm);
    case 'sent':
      return same('sent, not yet taken by the VM');
    case 'received':
      return vm === undefined ? same('taken by the VM') : vmState(vm, nowMs);
    case 'completed':
      return vm === undefined ? same('done; the VM ends') : leaving(vm);
    case 'failed':
    case 'expired':
    case 'cancelled':
    case 'superseded':
      return same(command.state);
  }
}

const same = (text: string): Waiting => ({ key: text, text });

function waitsInQueue(command: CommandResource, vm: VmResource | undefined): Waiting {
  if (vm?.link === 'disconnected') {
    const seen = vm.liveness === 'lost' ? ' and lost' : '';
    return same(`queued: the VM is disconnected${seen}, and gets it when it returns`);
  }
  return same(command.message === undefined ? 'queued' : `queued: ${safe(command.message)}`);
}

function vmState(vm: VmResource, nowMs: number): Waiting {
  const link = vm.link === 'disconnected' ? ', disconnected' : '';
  const job = vm.current_job;
  if (job?.status !== 'running') {
    const reason =
      vm.state_reason === undefined || vm.state_reason === '' ? '' : ` (${safe(vm.state_reason)})`;
    return same(`${safe(vm.state)}${reason}${link}`);
  }
  // The job, and for how long it runs, is the better reason.
  const base = `${safe(vm.state)}${link}`;
  const named = `${base}: job ${safe(job.name)}`;
  return {
    key: `${named}#${job.job_id}`,
    text: `${named} runs for ${formatAge(nowMs - Date.parse(job.started_at))}`,
  };
}

const leaving = (vm: VmResource): Waiting =>
  same(
    vm.link === 'connected'
      ? `${safe(vm.state)}: waits for its connection to end`
      : `${safe(vm.state)}: waits for the VM to end`,
  );
