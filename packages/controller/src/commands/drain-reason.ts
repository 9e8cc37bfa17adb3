/** Why a VM of a drain is not done yet, in one line for a person. */
import { isFinal } from '@mig/common/domain/command-state';
import type { CommandRecord } from '@mig/common/domain/command';
import type { DrainVm } from '@mig/common/domain/drain';
import type { JobStatus } from '@mig/common/domain/vm';
import type { VmView } from '../fleet/fleet.js';
import type { LiveDrain } from './drain-book.js';

const MINUTE_MS = 60_000;

/**
 * @param view the VM, as far as it is known
 * @param command the drain or shutdown that was queued for it, as far as it is known
 * @returns undefined if its part has ended
 */
export function reasonOf(
  drain: LiveDrain,
  vm: DrainVm,
  view: VmView | undefined,
  command: CommandRecord | undefined,
  now: number,
): string | undefined {
  if (view === undefined || vm.finishedAt !== undefined) return undefined;
  const { record } = view;
  const away = view.link === 'disconnected' ? `offline since ${clockTime(record.lastSeenAt)}` : undefined;
  if (vm.state === 'waiting') {
    if (away !== undefined) return `${away}: waits for it to return`;
    return `waits for its turn: ${drain.unavailable} of at most ${drain.record.maxUnavailable ?? drain.vms.size} VMs drain now`;
  }
  const job = record.currentJob;
  if (view.liveness === 'lost') {
    return `lost, last heard at ${clockTime(record.lastSeenAt)}${job === undefined ? '' : `: the fate of ${jobName(job)} is not known`}`;
  }
  if (command === undefined) return 'its command could not be stored yet; it is tried again';
  if (away !== undefined) return `${away}${job === undefined ? '' : `; ${jobName(job)} ran then`}`;
  if (!isFinal(command.state) && command.state !== 'received')
    return `the ${command.type} is on its way${command.message === undefined ? '' : `: ${command.message}`}`;
  if (job !== undefined) {
    const ends =
      vm.state === 'draining' && drain.record.deadlineMs > 0 && vm.startedAt !== undefined
        ? `; ended by the drain at ${clockTime(vm.startedAt + drain.record.deadlineMs)}`
        : '';
    return `${jobName(job)} runs for ${duration(now - job.startedAt)}${ends}`;
  }
  return record.stateReason === '' ? `is ${record.state}` : `${record.state}: ${record.stateReason}`;
}

/** As GitHub's pages name it, as far as the VM knows. */
function jobName(job: JobStatus): string {
  const name = job.name === '' ? job.jobId : job.name;
  return `job ${name}${job.repository === '' ? '' : ` of ${job.repository}`}`;
}

/** Time of day in UTC. */
const clockTime = (epochMs: number): string => `${new Date(epochMs).toISOString().slice(11, 19)} UTC`;

function duration(ms: number): string {
  if (ms < MINUTE_MS) return `${Math.max(0, Math.floor(ms / 1_000))} s`;
  if (ms < 120 * MINUTE_MS) return `${Math.floor(ms / MINUTE_MS)} min`;
  return `${Math.floor(ms / (60 * MINUTE_MS))} h`;
}
