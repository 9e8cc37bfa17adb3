/**
 * Runners that were made at GitHub for a VM, and that it will never start: they are deleted at once.
 *
 * A JIT configuration registers its runner when it is minted. The VM may refuse it (a job runs, it drains), be gone before it comes,
 * or come back as another boot; then GitHub would have a runner of a VM that has stopped. Of what a VM may have used only the VM
 * knows, and deletes it itself (the MIGlet remembers each name). What is missed here (the controller died, GitHub was away for long)
 * is found by reconciliation.
 *
 * Limit (I12): `MAX_NOTED` that may still be used; the oldest is left to reconciliation.
 */
import { backoffDelayMs } from '@mig/common/backoff';
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import { isFinal } from '@mig/common/domain/command-state';
import { RESULT_INTERRUPTED, type CommandRecord, type Parameters } from '@mig/common/domain/command';
import { hasEnded } from '@mig/common/domain/vm-state';
import type { VmRecord } from '@mig/common/domain/vm';
import type { Change } from '../fleet/feed.js';
import type { Fleet } from '../fleet/fleet.js';
import type { RemovalAnswer } from '../fleet/runner-fence.js';

export interface UnusedRegistrations {
  /** This was minted for the command, and may go out now. */
  onMinted(command: CommandRecord, vm: VmRecord, minted: Parameters): void;
  /** Something happened in the fleet. */
  onChange(change: Change): void;
  /** Begins nothing more. */
  stop(): void;
}

export interface UnusedRegistrationsDeps {
  readonly fleet: Pick<Fleet, 'get'>;
  readonly queue: { get(commandId: string): CommandRecord };
  readonly registrar: {
    remove(vm: VmRecord, runnerName: string, beforeFence: () => Promise<void>): Promise<RemovalAnswer>;
  };
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

const MAX_NOTED = 20_000;
const BACKOFF = { firstMs: 2_000, maxMs: 60_000 };
/** Some ten minutes; after that reconciliation has found it. */
const MAX_TRIES = 12;

interface Noted {
  readonly vm: VmRecord;
  readonly runnerName: string;
}

export function createUnusedRegistrations(deps: UnusedRegistrationsDeps): UnusedRegistrations {
  const { fleet, queue, registrar, clock, logger } = deps;
  /** By command, in the order of their minting. */
  const noted = new Map<string, Noted>();
  const byVm = new Map<string, Set<string>>();
  const timers = new Set<unknown>();
  let stopped = false;

  function drop(commandId: string): Noted | undefined {
    const note = noted.get(commandId);
    if (note === undefined) return undefined;
    noted.delete(commandId);
    const ids = byVm.get(note.vm.vmId);
    ids?.delete(commandId);
    if (ids?.size === 0) byVm.delete(note.vm.vmId);
    return note;
  }

  function settle(command: CommandRecord): void {
    if (!isFinal(command.state)) return;
    const note = drop(command.id);
    if (note !== undefined && isUnused(command)) discard(note, command.message ?? command.state);
  }

  /** The VM has another life, or none: what was minted for this one and is not settled by then is of no use. */
  function leave(vm: VmRecord): void {
    for (const commandId of [...(byVm.get(vm.vmId) ?? [])]) {
      if (noted.get(commandId)?.vm.bootId === vm.bootId && !hasEnded(vm)) continue;
      const note = drop(commandId);
      if (note !== undefined) discard(note, hasEnded(vm) ? 'the VM has ended' : 'the VM has another boot');
    }
  }

  function discard(note: Noted, reason: string, tries = 1): void {
    if (stopped) return;
    const { vm, runnerName } = note;
    // It may have begun with it, whatever became of the command.
    const { record } = fleet.get(vm.vmId) ?? {};
    const runs = record !== undefined && record.bootId === vm.bootId && !hasEnded(record);
    if (runs && record.runner?.configured === true && record.runner.name === runnerName) return;
    void registrar
      .remove(vm, runnerName, () => Promise.resolve())
      .then(({ outcome, message }) => {
        const facts = { vmId: vm.vmId, runner: runnerName, reason };
        if (outcome !== 'unavailable') {
          logger.info(
            { ...facts, outcome },
            'a runner that was made and will not be started is deleted at GitHub',
          );
          return;
        }
        if (stopped || tries >= MAX_TRIES) {
          logger.warn({ ...facts, message }, 'a runner that will not be started is left to reconciliation');
          return;
        }
        const timer = clock.setTimer(
          () => {
            timers.delete(timer);
            discard(note, reason, tries + 1);
          },
          Math.max(1_000, backoffDelayMs(BACKOFF, tries - 1, deps.random)),
        );
        timers.add(timer);
      });
  }

  return {
    onMinted(command, vm, minted) {
      const runnerName = minted['runner_name'];
      if (typeof minted['jit_config'] !== 'string' || typeof runnerName !== 'string') return;
      // Minted anew for the same command: the earlier one was too old to be used, or for another boot.
      const earlier = drop(command.id);
      if (earlier !== undefined && earlier.runnerName !== runnerName)
        discard(earlier, 'another was made in its place');
      noted.set(command.id, { vm, runnerName });
      byVm.set(vm.vmId, (byVm.get(vm.vmId) ?? new Set()).add(command.id));
      for (const oldest of noted.keys()) {
        if (noted.size <= MAX_NOTED) break;
        drop(oldest);
      }
      settle(stateOf(command));
      const { record } = fleet.get(vm.vmId) ?? {};
      if (record !== undefined) leave(record);
    },

    onChange(change) {
      if (change.kind === 'command') settle(change.command);
      else if (change.kind === 'vm') leave(change.vm);
    },

    stop() {
      stopped = true;
      for (const timer of timers) clock.clearTimer(timer);
    },
  };

  /** As it is now; it may have ended, and been forgotten, while GitHub was asked. */
  function stateOf(command: CommandRecord): CommandRecord {
    try {
      return queue.get(command.id);
    } catch {
      return { ...command, state: 'cancelled' };
    }
  }
}

/**
 * Can the VM not have begun with it? One that was interrupted had begun, and one that expired after it was sent may have: the VM
 * sees to those itself.
 */
function isUnused({ state, attempts, result }: CommandRecord): boolean {
  switch (state) {
    case 'failed':
      return result?.['code'] !== RESULT_INTERRUPTED;
    case 'expired':
      return attempts === 0;
    case 'cancelled':
    case 'superseded':
      return true;
    case 'completed':
    case 'queued':
    case 'sent':
    case 'received':
      return false;
  }
}
