/**
 * `register_runner` by itself: a VM that waits for a registration gets one.
 *
 * By state, not by occasion: whenever a VM says that it awaits its command (on connect, or later, after its runner ended),
 * and has none under way. A legacy MIGlet says no state when it connects: it gets one at every connect, as from the
 * original controller, unless a job runs on it. A VM that is cordoned gets none until the cordon is lifted.
 *
 * A registration that failed is repeated at once; when that fails too, after a pause that grows from 1 s to 1 min. What
 * fails at once (no organization, labels that the VM refuses) would go round without end otherwise (I12).
 *
 * Where a registration ends well, and the VM said before that it awaits one, either word may be the older: the VM may not have said yet
 * that it is ready; or it has had its runner, and its job, while nobody heard of it, and awaits the next. Its next heartbeat says which.
 */
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { phaseOf } from '@mig/common/domain/vm-state';
import type { CommandQueue } from './command-queue.js';
import type { Fleet } from '../fleet/fleet.js';
import type { Links } from '../fleet/links.js';

/** The state in which a MIGlet waits for `register_runner`. */
const AWAITING = 'registering.awaitingCommand';

/** Bounds of the pause after the second failure in a row, milliseconds. */
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 60_000;

/** What became of the registrations of a VM that is not ready yet. */
interface Tries {
  /** The last one, until its end has been looked at. */
  commandId: string | undefined;
  /** Failures in a row. */
  failures: number;
  /** Set while the next one waits. */
  pause: unknown;
}

export interface AutoRegistration {
  /** The VM has connected. Resolves when its registration, if it gets one, is queued. */
  onConnect(vmId: string): Promise<void>;
  /** The VM's record changed, or its registration ended, and not well. */
  onChange(vmId: string): Promise<void>;
  /** A registration of the VM ended well. */
  onCompleted(vmId: string): void;
  /** The VM may have jobs again: one that got no registration for its cordon gets it now. */
  onUncordoned(vmId: string): Promise<void>;
  /** Looks whether VMs whose registration ended well await another all the same. Called every second. */
  sweep(): void;
}

export function createAutoRegistration(deps: {
  readonly queue: CommandQueue;
  readonly fleet: Fleet;
  readonly links: Links;
  readonly clock: Clock;
  readonly logger: Logger;
}): AutoRegistration {
  const { queue, fleet, links, clock, logger } = deps;
  const tries = new Map<string, Tries>();
  /** Being submitted: the queue does not list them before they are durable. */
  const submitting = new Set<string>();
  /** VMs that await a registration by what they said last, and when the last that they were given ended well. */
  const doubtful = new Map<string, number>();

  async function register(vmId: string): Promise<void> {
    if (submitting.has(vmId)) return;
    submitting.add(vmId);
    let commandId: string;
    try {
      const command = await queue.submit({
        vmId,
        type: 'register_runner',
        parameters: {},
        createdBy: 'controller',
      });
      commandId = command.id;
      const { failures = 0, pause } = tries.get(vmId) ?? {};
      tries.set(vmId, { commandId, failures, pause });
    } finally {
      submitting.delete(vmId);
    }
    // It may have failed before it was entered here: nothing else would look at it again.
    if (hasFailed(commandId)) await onChange(vmId);
  }

  function hasFailed(commandId: string): boolean {
    try {
      return queue.get(commandId).state === 'failed';
    } catch {
      return false; // forgotten since
    }
  }

  /** True if the next registration has to wait; it comes by itself. */
  function pauses(vmId: string): boolean {
    const last = tries.get(vmId);
    if (last === undefined) return false;
    if (last.pause !== undefined) return true;
    if (last.commandId === undefined) return false;
    last.failures = hasFailed(last.commandId) ? last.failures + 1 : 0;
    last.commandId = undefined;
    if (last.failures < 2) return false;
    const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (last.failures - 2));
    last.pause = clock.setTimer(() => {
      last.pause = undefined;
      look(vmId);
    }, pauseMs);
    return true;
  }

  function look(vmId: string): void {
    onChange(vmId).catch((error: unknown) =>
      logger.error({ vmId, reason: errorMessage(error) }, 'a registration could not be queued'),
    );
  }

  async function onChange(vmId: string): Promise<void> {
    if (links.get(vmId)?.legacy !== false) return;
    const vm = fleet.get(vmId)?.record;
    if (phaseOf(vm?.state ?? '') === 'ready' && tries.get(vmId)?.pause === undefined) tries.delete(vmId);
    if (
      vm?.state !== AWAITING ||
      vm.cordon !== undefined ||
      submitting.has(vmId) ||
      underWay(vmId) ||
      pauses(vmId)
    )
      return;
    await register(vmId);
  }

  const underWay = (vmId: string): boolean =>
    queue.open(vmId).some((command) => command.type === 'register_runner');

  return {
    async onConnect(vmId) {
      const link = links.get(vmId);
      const vm = fleet.get(vmId)?.record;
      if (link === undefined || vm === undefined || vm.cordon !== undefined) return;
      if (link.legacy) {
        for (const older of queue.open(vmId)) {
          if (older.type === 'register_runner' && older.createdBy === 'controller')
            queue.end(older.id, 'superseded', 'the VM connected anew');
        }
        if (vm.currentJob === undefined) await register(vmId);
        return;
      }
      if (isWaiting(vm.state) && !underWay(vmId)) await register(vmId);
    },

    onChange,

    onCompleted(vmId) {
      if (fleet.get(vmId)?.record.state === AWAITING) doubtful.set(vmId, clock.now());
    },

    async onUncordoned(vmId) {
      if (links.get(vmId)?.legacy !== true) return onChange(vmId);
      const vm = fleet.get(vmId)?.record;
      const hasRunner = vm?.runner?.configured === true || vm?.currentJob !== undefined;
      if (phaseOf(vm?.state ?? '') === 'registering' && !hasRunner && !underWay(vmId)) await register(vmId);
    },

    sweep() {
      const now = clock.now();
      for (const [vmId, completedAt] of doubtful) {
        const vm = fleet.get(vmId)?.record;
        if (vm?.state !== AWAITING) doubtful.delete(vmId);
        // The clock was set back: what comes from now on is later.
        else if (completedAt > now) doubtful.set(vmId, now);
        else if ((vm.lastHeartbeatAt ?? 0) > completedAt) {
          doubtful.delete(vmId);
          look(vmId);
        }
      }
    },
  };
}

/** A MIGlet connects from `registering.connecting`, and awaits its command as soon as it is connected. */
const isWaiting = (state: string): boolean => state === AWAITING || state === 'registering.connecting';
