/** In which pools the things of the API are: what a role in one pool reaches, and what is hidden from it. */
import { hasEnded } from '@mig/common/domain/vm-state';
import type { CommandQueue } from '../commands/command-queue.js';
import type { Drains } from '../commands/drains.js';
import { UnknownCommandError, UnknownDrainError } from '../commands/errors.js';
import type { Fleet } from '../fleet/fleet.js';
import { UnknownVmError } from '../http/problems.js';
import type { KnownBoot } from './claims.js';
import type { HttpGuardDeps, Reach } from './http-guard.js';

export interface FleetReach extends Pick<Reach, 'command' | 'drain'> {
  knownVm(vmId: string): KnownBoot | undefined;
  /** VMs of the pool that have not ended and are not lost. */
  countVms(poolId: string): number;
  readonly absent: HttpGuardDeps['absent'];
}

export function createReach({
  fleet,
  queue,
  drains,
}: {
  readonly fleet: Pick<Fleet, 'get' | 'views'>;
  readonly queue: Pick<CommandQueue, 'get'>;
  readonly drains: Pick<Drains, 'get'>;
}): FleetReach {
  /** Of a VM that was forgotten only those see anything who see everything: no pool has the empty name. */
  const poolOf = (vmId: string): string => fleet.get(vmId)?.record.poolId ?? '';

  return {
    command: (id) => ifKnown(() => [poolOf(queue.get(id).vmId)]),
    drain: (id) => ifKnown(() => [...new Set(drains.get(id).vms.map(({ vmId }) => poolOf(vmId)))]),
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
      if (over === 'command') return new UnknownCommandError(id);
      return over === 'drain' ? new UnknownDrainError(id) : new UnknownVmError(id);
    },
  };
}

function ifKnown<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof UnknownCommandError || error instanceof UnknownDrainError) return undefined;
    throw error;
  }
}
