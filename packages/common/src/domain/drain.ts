/**
 * A drain as an object: which VMs are taken out of service, why, how fast, and how far it has come.
 *
 * Each VM in it moves along its own table (invariant I6):
 *
 *   waiting -> draining -> shuttingDown -> done
 *      |          |             |
 *      +----------+-------------+--> failed | cancelled | gone
 *
 * A drain belongs to boots, not to names: a VM that comes back as another boot is `gone` from it, and is not drained by it.
 */
import { IllegalTransitionError } from '../errors.js';

/** `active` until every VM in it has ended; `cancelled` if it was taken back before. */
export const DRAIN_STATES = ['active', 'completed', 'cancelled'] as const;
export type DrainState = (typeof DRAIN_STATES)[number];

export const DRAIN_VM_STATES = [
  'waiting',
  'draining',
  'shuttingDown',
  'done',
  'failed',
  'cancelled',
  'gone',
] as const;
export type DrainVmState = (typeof DRAIN_VM_STATES)[number];

export const DRAIN_VM_TRANSITIONS: Readonly<Record<DrainVmState, readonly DrainVmState[]>> = {
  // The VM may have been drained, or have ended, by somebody else's order.
  waiting: ['draining', 'shuttingDown', 'done', 'failed', 'cancelled', 'gone'],
  draining: ['shuttingDown', 'done', 'failed', 'cancelled', 'gone'],
  shuttingDown: ['done', 'failed', 'cancelled', 'gone'],
  done: [],
  failed: [],
  cancelled: [],
  gone: [],
};

/** What follows when a VM is drained: its MIGlet ends, or the VM is kept without a runner. */
export const DRAIN_THEN = ['shutdown', 'keep'] as const;
export type DrainThen = (typeof DRAIN_THEN)[number];

/** A drain that names no deadline gives the job of each VM this long, from the moment the VM begins to drain: 1 hour. */
export const DEFAULT_DRAIN_DEADLINE_MS = 60 * 60_000;
/** A VM of a drain that is offline is waited for this long, from the making of the drain: 1 hour. */
export const DRAIN_OFFLINE_WAIT_MS = 60 * 60_000;

/** Which VMs; exactly one of the four is set. */
export interface DrainSelector {
  readonly vmIds?: readonly string[] | undefined;
  readonly poolId?: string | undefined;
  /** VMs whose runner, or whose next registration, has all of these labels. */
  readonly labels?: readonly string[] | undefined;
  readonly all?: true | undefined;
}

export interface DrainVm {
  readonly vmId: string;
  /** The boot that is drained; empty for a legacy MIGlet. */
  readonly bootId: string;
  readonly state: DrainVmState;
  /** The `drain` that was queued for it. */
  readonly commandId: string | undefined;
  /** The `shutdown` that followed. */
  readonly shutdownCommandId: string | undefined;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
  /** Why it ended as it did; for one that goes on, see the VM. */
  readonly message: string | undefined;
}

export interface DrainRecord {
  readonly id: string;
  readonly selector: DrainSelector;
  readonly reason: string;
  readonly createdBy: string;
  readonly createdAt: number;
  /** From the moment a VM begins to drain until its job is ended; 0 = never. */
  readonly deadlineMs: number;
  /** Running jobs are ended at once. */
  readonly force: boolean;
  /** Most VMs that drain at a time; undefined = all at once. */
  readonly maxUnavailable: number | undefined;
  readonly then: DrainThen;
  readonly state: DrainState;
  readonly finishedAt: number | undefined;
  readonly idempotencyKey: string | undefined;
  /** Chosen when the drain was made, by id. */
  readonly vms: readonly DrainVm[];
}

/** Has the VM's part in the drain ended? */
export const isDrainVmFinal = (state: DrainVmState): boolean => DRAIN_VM_TRANSITIONS[state].length === 0;

/** @throws IllegalTransitionError if the table has no such move */
export function assertDrainVmTransition(
  drainId: string,
  vmId: string,
  from: DrainVmState,
  to: DrainVmState,
): void {
  if (from !== to && !DRAIN_VM_TRANSITIONS[from].includes(to)) {
    throw new IllegalTransitionError(`VM ${vmId} of drain ${drainId}`, from, to);
  }
}
