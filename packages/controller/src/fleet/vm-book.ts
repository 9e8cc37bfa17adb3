/**
 * The record of every VM, in memory and on disk.
 *
 * A record moves along its transition table (I6). What an operator would want to find after a restart is stored at once; the
 * rest of a heartbeat (load, last seen) with the next such change, or once a minute. This file knows no message.
 *
 * A record is never changed: whoever has it has what was so then. A report that says what the last one said, but for the load,
 * makes no new record before somebody asks for one: of these there are thousands a second.
 */
import type { Clock } from '@mig/common/clock';
import { IllegalTransitionError, errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { assertVmTransition } from '@mig/common/domain/vm-state';
import { isSameLife, type VmHealth, type VmRecord, type VmReport } from '@mig/common/domain/vm';
import type { Store } from '../store/store.js';
import type { Feed } from './feed.js';

export interface VmBookDeps {
  readonly store: Store;
  readonly feed: Feed;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface VmBook {
  get(vmId: string): VmRecord | undefined;
  /** As `get`, but load and times may be older. */
  known(vmId: string): VmRecord | undefined;
  all(): Iterable<VmRecord>;
  /**
   * Takes the new record, unless its table forbids the move; then all but the state is taken. Stored if it is time to.
   *
   * @param report what it was made of, if it was a report
   */
  update(next: VmRecord, report?: VmReport): VmRecord;
  /** The last report, with the load of now: its owner is the book, and changes it. Undefined = there was none since the start. */
  lastReport(vmId: string): VmReport | undefined;
  /**
   * Takes in a report if it says what the last one said, but for the load, and nothing else has changed since.
   * @param nowMs by the monotonic clock
   * @returns false if it says more, or is the first
   */
  repeat(vmId: string, report: VmReport, nowMs: number): boolean;
  /** As `update`; resolves when it is on disk. In memory it stays changed, also if that fails. @throws StoreUnavailableError */
  save(next: VmRecord): Promise<void>;
  /** Removes a VM with all that is stored of it. */
  delete(vmId: string): Promise<void>;
}

/** A heartbeat that brings no news is stored this often. */
const QUIET_SAVE_MS = 60_000;

type Writable<T> = { -readonly [K in keyof T]: T[K] };

interface Entry {
  /** Without what was repeated since. */
  record: VmRecord;
  /** By the monotonic clock. */
  savedAtMs: number;
  report: (VmReport & { readonly health: Writable<VmHealth> | undefined }) | undefined;
  /** The record is as the report made it. */
  isOfReport: boolean;
  /** When the report was repeated; undefined = the record knows of it. */
  repeatedAt: number | undefined;
}

export function createVmBook({ store, feed, clock, logger }: VmBookDeps): VmBook {
  const entries = new Map<string, Entry>(store.loadedVms().map((vm) => [vm.vmId, entryOf(vm)]));

  function allowed(before: VmRecord | undefined, next: VmRecord): VmRecord {
    if (before === undefined || !isSameLife(before, next)) return next;
    try {
      assertVmTransition(next.vmId, before.state, next.state); // I6
      return next;
    } catch (error) {
      if (!(error instanceof IllegalTransitionError)) throw error;
      logger.warn(
        { vmId: next.vmId, from: before.state, to: next.state },
        'a report was refused: the VM has ended',
      );
      return { ...next, state: before.state, stateReason: before.stateReason };
    }
  }

  function put(
    next: VmRecord,
    report: VmReport | undefined,
  ): { readonly entry: Entry; readonly news: boolean } {
    const known = entries.get(next.vmId);
    const before = known?.record;
    const record = allowed(before, next);
    const entry = known ?? entryOf(record);
    if (known === undefined) entries.set(record.vmId, entry);
    entry.record = record;
    entry.repeatedAt = undefined;
    entry.isOfReport = report !== undefined;
    if (report !== undefined)
      entry.report = { ...report, health: report.health === undefined ? undefined : { ...report.health } };
    return { entry, news: before === undefined || isNews(before, record) };
  }

  function write(entry: Entry, nowMs: number): Promise<void> {
    entry.savedAtMs = nowMs;
    const record = current(entry);
    const saved = store.saveVm(record);
    saved.catch((error: unknown) =>
      logger.error({ vmId: record.vmId, reason: errorMessage(error) }, 'a VM record could not be stored'),
    );
    return saved;
  }

  function* all(): Generator<VmRecord> {
    for (const entry of entries.values()) yield current(entry);
  }

  return {
    get(vmId) {
      const entry = entries.get(vmId);
      return entry === undefined ? undefined : current(entry);
    },
    known: (vmId) => entries.get(vmId)?.record,
    all,
    lastReport: (vmId) => entries.get(vmId)?.report,

    update(next, report) {
      const { entry, news } = put(next, report);
      const nowMs = clock.monotonicMs();
      if (news || nowMs - entry.savedAtMs >= QUIET_SAVE_MS) write(entry, nowMs).catch(() => undefined);
      if (news) feed.publish({ kind: 'vm', vm: entry.record });
      return entry.record;
    },

    repeat(vmId, report, nowMs) {
      const entry = entries.get(vmId);
      const last = entry?.report;
      if (entry === undefined || last === undefined || !entry.isOfReport || !isRepeated(last, report))
        return false;
      if (last.health !== undefined && report.health !== undefined) copyHealth(report.health, last.health);
      entry.repeatedAt = clock.now();
      if (nowMs - entry.savedAtMs >= QUIET_SAVE_MS) write(entry, nowMs).catch(() => undefined);
      return true;
    },

    async save(next) {
      const { entry, news } = put(next, undefined);
      const saved = write(entry, clock.monotonicMs());
      if (news) feed.publish({ kind: 'vm', vm: entry.record });
      await saved;
    },

    async delete(vmId) {
      entries.delete(vmId);
      await store.deleteVm(vmId);
    },
  };
}

const entryOf = (record: VmRecord): Entry => ({
  record,
  savedAtMs: -Infinity,
  report: undefined,
  isOfReport: false,
  repeatedAt: undefined,
});

/** The record with what was repeated since it was made. */
function current(entry: Entry): VmRecord {
  const { record, report, repeatedAt } = entry;
  if (repeatedAt === undefined || report === undefined) return record;
  entry.repeatedAt = undefined;
  entry.record = {
    ...record,
    health: report.health === undefined ? record.health : { ...report.health },
    lastSeenAt: repeatedAt,
    lastHeartbeatAt: repeatedAt,
  };
  return entry.record;
}

/** Does it say what the last one said, but for the load? */
const isRepeated = (last: VmReport, report: VmReport): boolean =>
  report.state === last.state &&
  report.stateReason === last.stateReason &&
  (report.health === undefined) === (last.health === undefined) &&
  // Whoever reads reports keeps what has not changed: a runner or a job that says the same is the same.
  report.runner === last.runner &&
  report.currentJob === last.currentJob;

function copyHealth(from: VmHealth, to: Writable<VmHealth>): void {
  to.cpuUsagePercent = from.cpuUsagePercent;
  to.memoryUsagePercent = from.memoryUsagePercent;
  to.diskUsagePercent = from.diskUsagePercent;
  to.memoryTotalBytes = from.memoryTotalBytes;
  to.memoryUsedBytes = from.memoryUsedBytes;
  to.diskTotalBytes = from.diskTotalBytes;
  to.diskUsedBytes = from.diskUsedBytes;
}

/** Would an operator want to find this change after a restart? Load and times are not news. */
function isNews(before: VmRecord, after: VmRecord): boolean {
  return (
    before.state !== after.state ||
    before.stateReason !== after.stateReason ||
    before.bootId !== after.bootId ||
    before.outcome !== after.outcome ||
    before.version !== after.version ||
    before.poolId !== after.poolId ||
    before.orgId !== after.orgId ||
    before.currentJob?.jobId !== after.currentJob?.jobId ||
    before.currentJob?.status !== after.currentJob?.status ||
    before.runner?.name !== after.runner?.name ||
    before.runner?.state !== after.runner?.state ||
    before.runner?.configured !== after.runner?.configured ||
    before.runner?.labels.join(',') !== after.runner?.labels.join(',') ||
    before.labels.join(',') !== after.labels.join(',') ||
    before.cordon !== after.cordon ||
    before.loss !== after.loss ||
    before.fencedRunner !== after.fencedRunner ||
    before.runnerNames !== after.runnerNames ||
    before.platform?.os !== after.platform?.os ||
    before.platform?.architecture !== after.platform?.architecture
  );
}
