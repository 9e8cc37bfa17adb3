/** In which pools the things of the API are: what a role in one pool reaches, and what is hidden from it. */
import { EVERY_POOL } from '@mig/common/domain/roles';
import { hasEnded } from '@mig/common/domain/vm-state';
import type { CommandQueue } from '../commands/command-queue.js';
import type { Drains } from '../commands/drains.js';
import { UnknownCommandError, UnknownDrainError } from '../commands/errors.js';
import type { Fleet } from '../fleet/fleet.js';
import { UnknownVmError } from '../http/problems.js';
import { UnknownJobError } from '../jobs/errors.js';
import type { JobManager } from '../jobs/job-manager.js';
import { UnknownAgentError, UnknownTaskError } from '../tasks/errors.js';
import type { TaskManager } from '../tasks/task-manager.js';
import type { KnownBoot } from './claims.js';
import type { HttpGuardDeps, Reach } from './http-guard.js';
import type { Scope } from './route-rights.js';

export interface FleetReach extends Omit<Reach, 'vm' | 'token'> {
  knownVm(vmId: string): KnownBoot | undefined;
  /** VMs of the pool that have not ended and are not lost. */
  countVms(poolId: string): number;
  readonly absent: HttpGuardDeps['absent'];
}

export function createReach({
  fleet,
  queue,
  drains,
  work,
}: {
  readonly fleet: Pick<Fleet, 'get' | 'views'>;
  readonly queue: Pick<CommandQueue, 'get'>;
  readonly drains: Pick<Drains, 'get'>;
  readonly work: {
    readonly tasks: Pick<TaskManager, 'get' | 'poolOf'>;
    readonly jobs: Pick<JobManager, 'get'>;
  };
}): FleetReach {
  /** Of a VM that was forgotten only those see anything who see everything: no pool has the empty name. */
  const poolOf = (vmId: string): string => fleet.get(vmId)?.record.poolId ?? '';

  return {
    command: (id) => ifKnown(() => [poolOf(queue.get(id).vmId)]),
    drain: (id) => ifKnown(() => [...new Set(drains.get(id).vms.map(({ vmId }) => poolOf(vmId)))]),
    task: (id) => ifKnown(() => [work.tasks.get(id).poolId]),
    // A job that may run in every pool is everybody's who reaches all of them.
    job: (id) => ifKnown(() => work.jobs.get(id).pools ?? [EVERY_POOL]),
    agent(vmId) {
      const poolId = work.tasks.poolOf(vmId);
      return poolId === undefined ? undefined : [poolId];
    },
    knownVm(vmId) {
      const view = fleet.get(vmId);
      if (view === undefined) return undefined;
      const { record, liveness } = view;
      return {
        bootId: record.bootId,
        poolId: record.poolId,
        ended: hasEnded(record),
        lost: liveness === 'lost',
        done: record.state === 'shutdown.done',
        seenAt: record.lastSeenAt,
      };
    },
    countVms(poolId) {
      let count = 0;
      for (const { record, liveness } of fleet.views())
        if (record.poolId === poolId && !hasEnded(record) && liveness !== 'lost') count += 1;
      return count;
    },
    absent(over, id) {
      const Unknown = ABSENT[over] ?? UnknownVmError;
      return new Unknown(id);
    },
  };
}

const ABSENT: { readonly [Over in Scope]?: new (id: string) => Error } = {
  command: UnknownCommandError,
  drain: UnknownDrainError,
  task: UnknownTaskError,
  job: UnknownJobError,
  agent: UnknownAgentError,
};
const UNKNOWN = [UnknownCommandError, UnknownDrainError, UnknownTaskError, UnknownJobError];

function ifKnown<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (UNKNOWN.some((kind) => error instanceof kind)) return undefined;
    throw error;
  }
}
