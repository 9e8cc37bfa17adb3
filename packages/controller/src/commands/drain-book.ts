/**
 * The drains that the controller knows, in memory and on disk.
 *
 * A VM of a drain moves along its table (I6). Making a drain and taking it back are on disk before their caller hears of it
 * (I1); progress is written soon, at most once in `PROGRESS_SAVE_MS` and more, because it can be had again from the commands.
 *
 * Limits (I12): `MAX_ACTIVE` drains whose VMs have not all ended, above which a new one is refused; `MAX_ENDED` ended ones,
 * kept for `retentionMs`, the oldest forgotten first.
 */
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import {
  assertDrainVmTransition,
  isDrainVmFinal,
  type DrainRecord,
  type DrainVm,
} from '@mig/common/domain/drain';
import { testPoint } from '@mig/common/test-points';
import type { Store } from '../store/store.js';
import { TooManyDrainsError } from './errors.js';

/** Drains whose VMs have not all ended. */
const MAX_ACTIVE = 1_000;
const MAX_ENDED = 1_000;
const PROGRESS_SAVE_MS = 200;
/** More for a drain of many VMs: it is stored whole. 2 s for 5,000. */
const PROGRESS_SAVE_MS_PER_VM = 0.4;
/** What could not be written is tried again after this. */
const SAVE_RETRY_MS = 5_000;

/** A drain as it goes on: its VMs by id, and what is counted all the time. */
export interface LiveDrain {
  /** All but its VMs; see `vms`. */
  readonly record: DrainRecord;
  /** In the order of the record. */
  readonly vms: ReadonlyMap<string, DrainVm>;
  /** VMs that drain or shut down now. */
  readonly unavailable: number;
  /** VMs that have not ended. */
  readonly open: number;
}

interface MutableDrain {
  record: DrainRecord;
  readonly vms: Map<string, DrainVm>;
  unavailable: number;
  open: number;
  saveTimer: unknown;
}

export interface DrainBook {
  get(drainId: string): LiveDrain | undefined;
  /** In the order in which they were made. */
  all(): Iterable<LiveDrain>;
  /** Those with VMs that have not ended. */
  active(): LiveDrain[];
  /** Of whoever made it: the key of another operator is another key. */
  byKey(createdBy: string, idempotencyKey: string): Promise<LiveDrain> | undefined;
  /** As it is now. */
  snapshot(drain: LiveDrain): DrainRecord;
  /**
   * Resolves when it is on disk.
   * @throws TooManyDrainsError, StoreUnavailableError
   */
  enter(record: DrainRecord): Promise<LiveDrain>;
  /** Moves one VM of it; the drain ends with its last. Written soon. */
  changeVm(drain: LiveDrain, vmId: string, fields: Partial<DrainVm>): void;
  /** Resolves when it is on disk, with all that changed before. @throws StoreUnavailableError */
  change(drain: LiveDrain, fields: Partial<DrainRecord>): Promise<void>;
  /** Forgets the oldest ended ones. */
  sweep(): void;
  /** Writes what waits to be written. Never rejects. */
  flush(): Promise<void>;
}

export interface DrainBookDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly retentionMs: number;
}

const isUnavailable = ({ state }: DrainVm): boolean => state === 'draining' || state === 'shuttingDown';
const isOpen = ({ state }: DrainVm): boolean => !isDrainVmFinal(state);

export function createDrainBook({ store, clock, logger, retentionMs }: DrainBookDeps): DrainBook {
  const drains = new Map<string, MutableDrain>();
  const keyed = new Map<string, Promise<LiveDrain>>();
  for (const record of [...store.loadedDrains()].sort(
    (a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1),
  ))
    remember(toLive(record));

  function toLive(record: DrainRecord): MutableDrain {
    return {
      record,
      vms: new Map(record.vms.map((vm) => [vm.vmId, vm])),
      unavailable: record.vms.filter(isUnavailable).length,
      open: record.vms.filter(isOpen).length,
      saveTimer: undefined,
    };
  }

  function remember(drain: MutableDrain): void {
    drains.set(drain.record.id, drain);
    const key = keyOf(drain.record);
    if (key !== undefined) keyed.set(key, Promise.resolve(drain));
  }

  const mutable = (drain: LiveDrain): MutableDrain => {
    const found = drains.get(drain.record.id);
    if (found === undefined) throw new Error(`drain ${drain.record.id} was forgotten`);
    return found;
  };

  const snapshot = (drain: LiveDrain): DrainRecord => ({ ...drain.record, vms: [...drain.vms.values()] });

  async function save(drain: MutableDrain): Promise<void> {
    clock.clearTimer(drain.saveTimer);
    drain.saveTimer = undefined;
    await store.saveDrain(snapshot(drain));
    testPoint('drains.progress');
  }

  function saveSoon(
    drain: MutableDrain,
    afterMs = PROGRESS_SAVE_MS + drain.vms.size * PROGRESS_SAVE_MS_PER_VM,
  ): void {
    drain.saveTimer ??= clock.setTimer(() => {
      drain.saveTimer = undefined;
      save(drain).catch((error: unknown) => {
        logger.warn(
          { drainId: drain.record.id, reason: errorMessage(error) },
          'the progress of a drain could not be stored; it is tried again',
        );
        saveSoon(drain, SAVE_RETRY_MS);
      });
    }, afterMs);
  }

  const active = (): MutableDrain[] => [...drains.values()].filter((drain) => drain.open > 0);

  return {
    get: (drainId) => drains.get(drainId),
    all: () => drains.values(),
    active,
    byKey: (createdBy, idempotencyKey) => keyed.get(keyOf({ createdBy, idempotencyKey })),
    snapshot,

    async enter(record) {
      if (active().length >= MAX_ACTIVE) throw new TooManyDrainsError(MAX_ACTIVE);
      const drain = toLive(record);
      const entered = store.saveDrain(record).then(() => {
        testPoint('drains.stored');
        remember(drain);
        return drain;
      });
      const key = keyOf(record);
      if (key !== undefined) {
        keyed.set(key, entered);
        entered.catch(() => keyed.delete(key));
      }
      return entered;
    },

    changeVm(live, vmId, fields) {
      const drain = mutable(live);
      const before = drain.vms.get(vmId);
      if (before === undefined) throw new Error(`VM ${vmId} is not in drain ${drain.record.id}`);
      const after = { ...before, ...fields };
      assertDrainVmTransition(drain.record.id, vmId, before.state, after.state); // I6
      drain.vms.set(vmId, after);
      drain.unavailable += Number(isUnavailable(after)) - Number(isUnavailable(before));
      drain.open += Number(isOpen(after)) - Number(isOpen(before));
      if (drain.open === 0 && drain.record.finishedAt === undefined) {
        const state = drain.record.state === 'active' ? 'completed' : drain.record.state;
        drain.record = { ...drain.record, state, finishedAt: clock.now() };
      }
      saveSoon(drain);
    },

    async change(live, fields) {
      const drain = mutable(live);
      drain.record = { ...drain.record, ...fields };
      await save(drain);
    },

    sweep() {
      const ended = [...drains.values()].filter((drain) => drain.open === 0);
      const surplus = ended.length - MAX_ENDED;
      ended.forEach(({ record, saveTimer }, index) => {
        const old = clock.now() - (record.finishedAt ?? record.createdAt) > retentionMs;
        if (!old && index >= surplus) return;
        clock.clearTimer(saveTimer);
        drains.delete(record.id);
        const key = keyOf(record);
        if (key !== undefined) keyed.delete(key);
        store
          .deleteDrain(record.id)
          .catch((error: unknown) =>
            logger.warn(
              { drainId: record.id, reason: errorMessage(error) },
              'an old drain could not be removed',
            ),
          );
      });
    },

    async flush() {
      await Promise.allSettled(
        [...drains.values()].filter((drain) => drain.saveTimer !== undefined).map((drain) => save(drain)),
      );
    },
  };
}

function keyOf(record: { readonly createdBy: string; readonly idempotencyKey: string }): string;
function keyOf(record: Pick<DrainRecord, 'createdBy' | 'idempotencyKey'>): string | undefined;
function keyOf({ createdBy, idempotencyKey }: Pick<DrainRecord, 'createdBy' | 'idempotencyKey'>) {
  return idempotencyKey === undefined ? undefined : JSON.stringify([createdBy, idempotencyKey]);
}
