/** What the machine says of itself, from a snapshot: for heartbeats, announcements and logs. */
import type { SnapshotFrom } from 'xstate';
import type { JobStatus, RunnerStatus } from '@mig/common/domain/vm';
import type { MigletMachine } from './miglet-machine.js';

export type MigletSnapshot = SnapshotFrom<MigletMachine>;

export interface MigletStatus {
  /** The path of the lifecycle region: `ready.idle`. */
  readonly state: string;
  /** Why it is there, for a person; empty where the state says it all. */
  readonly reason: string;
  readonly runner: RunnerStatus;
  readonly job: JobStatus | undefined;
}

export function statusOf(snapshot: MigletSnapshot): MigletStatus {
  const { context } = snapshot;
  const state = pathOf((snapshot.value as { lifecycle: StateValue }).lifecycle);
  const listening = context.processAlive && context.paused === undefined && !state.startsWith('registering');
  return {
    state,
    reason: reasonOf(snapshot, state),
    runner: {
      state: context.job !== undefined ? 'running' : listening ? 'idle' : 'offline',
      configured: context.runner !== undefined,
      name: context.runner?.name ?? '',
      labels: context.runner?.labels ?? [],
    },
    job: context.job,
  };
}

type StateValue = string | { readonly [key: string]: StateValue };

export function pathOf(value: StateValue): string {
  if (typeof value === 'string') return value;
  const [entry] = Object.entries(value);
  return entry === undefined ? '' : `${entry[0]}.${pathOf(entry[1])}`;
}

function reasonOf({ context }: MigletSnapshot, state: string): string {
  const { job } = context;
  if (context.undrained) {
    const after = job === undefined ? 'its runner is replaced' : `job ${job.name} has ended`;
    const note = state.endsWith('waitingToAsk') && context.note !== '' ? ` (${context.note})` : '';
    return `undrained: registers again when ${after}${note}`;
  }
  if (state.endsWith('finishingJob') && job !== undefined) return `waits for job ${job.name} to end`;
  if (state.endsWith('lingering') && job !== undefined)
    return `job ${job.name} is done, and its process does not end: waits until GitHub says so, too`;
  if (state.endsWith('waitingToAsk') || state.endsWith('backingOff')) return context.note;
  if (state.startsWith('booting') && context.announceFailures > 0) return context.note;
  if (state.startsWith('draining') && context.drain !== undefined) return context.drain.reason;
  if (state.startsWith('shutdown')) return context.ending?.reason ?? '';
  if (context.paused === 'update') return 'the runner updates itself';
  if (context.paused === 'retry') return 'the runner is started again';
  return '';
}
