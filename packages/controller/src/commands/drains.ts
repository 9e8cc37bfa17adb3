/**
 * Drains as objects: which VMs go out of service, how many at a time, and how far each has come.
 *
 * A drain does what it does by commands, one `drain` for each VM when its turn comes (and a `shutdown` after it, if that is
 * asked for), so that everything that holds for commands holds for it: durable (I1), once (I2), over restarts of both sides.
 * Each command is submitted under a key of the drain's, so that a controller that died in between submits none twice. A job
 * is ended by the drain's own deadline or `force`, and by nothing else (I5).
 *
 * A VM that is offline is waited for; its turn comes when it is back. One that comes back as another boot is `gone` from the
 * drain. Never more than `maxUnavailable` VMs are between the beginning of their drain and its end.
 */
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import {
  DEFAULT_DRAIN_DEADLINE_MS,
  isDrainVmFinal,
  type DrainRecord,
  type DrainSelector,
  type DrainThen,
  type DrainVm,
} from '@mig/common/domain/drain';
import { isFinal } from '@mig/common/domain/command-state';
import { newId } from '@mig/common/domain/ids';
import type { Change } from '../fleet/feed.js';
import type { Fleet } from '../fleet/fleet.js';
import type { Store } from '../store/store.js';
import type { CommandQueue } from './command-queue.js';
import { createDrainBook } from './drain-book.js';
import { createDrainProgress } from './drain-progress.js';
import { reasonOf } from './drain-reason.js';
import { selectVms } from './drain-selection.js';
import { DrainEndedError, UnknownDrainError } from './errors.js';

export interface DrainRequest {
  readonly selector: DrainSelector;
  readonly reason: string;
  readonly createdBy: string;
  /** 0 = never; undefined = 1 hour. */
  readonly deadlineMs?: number | undefined;
  readonly force: boolean;
  readonly maxUnavailable?: number | undefined;
  readonly then: DrainThen;
  /** The same key again gives the same drain. */
  readonly idempotencyKey?: string | undefined;
}

export interface Drains {
  /**
   * Resolves when the drain is durable (I1); it begins by itself.
   * @throws BadDrainError, TooManyDrainsError, StoreUnavailableError
   */
  create(request: DrainRequest): Promise<DrainRecord>;
  /** @throws UnknownDrainError */
  get(drainId: string): DrainRecord;
  /** By id, which is by the time of their making. */
  list(): DrainRecord[];
  /** Why this VM of it is not done yet; undefined if it is. */
  reason(drain: DrainRecord, vm: DrainVm): string | undefined;
  /**
   * Takes back what has not yet ended: VMs that wait are left alone, VMs that drain are registered again. A VM that shuts
   * down cannot be kept. Resolves when that is durable.
   * @throws UnknownDrainError, DrainEndedError, StoreUnavailableError
   */
  undrain(drainId: string): Promise<DrainRecord>;
  /** The drain by which this boot of the VM is out of service, or on its way there. */
  drainIdOf(vmId: string): string | undefined;
  /** Something happened in the fleet. */
  onChange(change: Change): void;
  /** Gives up what waited for too long, tries again what could not be done, forgets old drains. Called every second. */
  sweep(): void;
  /** Resolves when the progress of all drains is on disk. */
  stop(): Promise<void>;
}

export interface DrainsDeps {
  readonly store: Store;
  readonly queue: CommandQueue;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The labels that a pool gives its runners. */
  readonly poolLabels: (poolId: string) => readonly string[];
  /** Ended drains are kept this long. */
  readonly retentionMs: number;
}

export function createDrains(deps: DrainsDeps): Drains {
  const { fleet, clock, logger } = deps;
  const book = createDrainBook(deps);
  const progress = createDrainProgress(deps, book);

  return {
    async create(request) {
      const key = request.idempotencyKey;
      const before = key === undefined ? undefined : book.byKey(request.createdBy, key);
      if (before !== undefined) return book.snapshot(await before);
      const selected = selectVms(request.selector, fleet, deps.poolLabels);
      const now = clock.now();
      const drain = await book.enter({
        id: newId('drain', now),
        selector: request.selector,
        reason: request.reason,
        createdBy: request.createdBy,
        createdAt: now,
        deadlineMs: request.deadlineMs ?? DEFAULT_DRAIN_DEADLINE_MS,
        force: request.force,
        maxUnavailable: request.maxUnavailable,
        then: request.then,
        state: 'active',
        finishedAt: undefined,
        idempotencyKey: key,
        vms: selected.map((vm) => ({
          vmId: vm.vmId,
          bootId: vm.bootId,
          state: 'waiting',
          commandId: undefined,
          shutdownCommandId: undefined,
          startedAt: undefined,
          finishedAt: undefined,
          message: undefined,
        })),
      });
      logger.info(
        {
          event: 'drain_made',
          drainId: drain.record.id,
          vmCount: drain.vms.size,
          reason: request.reason,
          createdBy: request.createdBy,
        },
        'a drain begins',
      );
      progress.begin(drain);
      return book.snapshot(drain);
    },

    get(drainId) {
      const drain = book.get(drainId);
      if (drain === undefined) throw new UnknownDrainError(drainId);
      return book.snapshot(drain);
    },

    list: () => [...book.all()].map(book.snapshot).sort((a, b) => (a.id < b.id ? -1 : 1)),

    reason(record, vm) {
      const drain = book.get(record.id);
      if (drain === undefined || isDrainVmFinal(vm.state)) return undefined;
      return reasonOf(drain, vm, fleet.get(vm.vmId), progress.commandOf(vm), clock.now());
    },

    async undrain(drainId) {
      const drain = book.get(drainId);
      if (drain === undefined) throw new UnknownDrainError(drainId);
      if (drain.open === 0 && drain.record.state !== 'cancelled') throw new DrainEndedError(drainId);
      // First, so that no other VM begins meanwhile, and so that the next controller goes on with it.
      await book.change(drain, { state: 'cancelled' });
      await progress.takeBack(drain);
      logger.info({ event: 'drain_taken_back', drainId }, 'a drain was taken back');
      return book.snapshot(drain);
    },

    drainIdOf: (vmId) => progress.drainIdOf(vmId),

    onChange(change) {
      switch (change.kind) {
        case 'vm':
          progress.look(change.vm.vmId);
          return;
        case 'link':
          progress.look(change.vmId);
          return;
        case 'command':
          if (change.command.state === 'queued') progress.leave(change.command);
          // A drain follows how a command ends; that it goes on moves nothing.
          if (isFinal(change.command.state)) progress.look(change.command.vmId);
          return;
        case 'event':
        case 'workflowJob':
      }
    },

    sweep() {
      progress.lookAtAll();
      book.sweep();
    },

    async stop() {
      progress.stop();
      await book.flush();
    },
  };
}
