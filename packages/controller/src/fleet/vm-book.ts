/**
 * The record of every VM, in memory and on disk.
 *
 * A record moves along its transition table (I6). What an operator would want to find after a restart is stored at once; the
 * rest of a heartbeat (load, last seen) with the next such change, or once a minute. This file knows no message.
 */
import type { Clock } from '@mig/common/clock';
import { IllegalTransitionError, errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { assertVmTransition } from '@mig/common/domain/vm-state';
import { isSameLife, type VmRecord } from '@mig/common/domain/vm';
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
  all(): Iterable<VmRecord>;
  /** Takes the new record, unless its table forbids the move; then all but the state is taken. Stored if it is time to. */
  update(next: VmRecord): VmRecord;
  /** As `update`; resolves when it is on disk. In memory it stays changed, also if that fails. @throws StoreUnavailableError */
  save(next: VmRecord): Promise<void>;
  /** Removes a VM with all that is stored of it. */
  delete(vmId: string): Promise<void>;
}

/** A heartbeat that brings no news is stored this often. */
const QUIET_SAVE_MS = 60_000;

export function createVmBook({ store, feed, clock, logger }: VmBookDeps): VmBook {
  const vms = new Map(store.loadedVms().map((vm) => [vm.vmId, vm]));
  const savedAtMs = new Map<string, number>();

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

  function put(next: VmRecord): { readonly record: VmRecord; readonly news: boolean } {
    const before = vms.get(next.vmId);
    const record = allowed(before, next);
    vms.set(record.vmId, record);
    return { record, news: before === undefined || isNews(before, record) };
  }

  function write(record: VmRecord): Promise<void> {
    savedAtMs.set(record.vmId, clock.monotonicMs());
    const saved = store.saveVm(record);
    saved.catch((error: unknown) =>
      logger.error({ vmId: record.vmId, reason: errorMessage(error) }, 'a VM record could not be stored'),
    );
    return saved;
  }

  return {
    get: (vmId) => vms.get(vmId),
    all: () => vms.values(),

    update(next) {
      const { record, news } = put(next);
      const savedMs = savedAtMs.get(record.vmId) ?? -Infinity;
      if (news || clock.monotonicMs() - savedMs >= QUIET_SAVE_MS) write(record).catch(() => undefined);
      if (news) feed.publish({ kind: 'vm', vm: record });
      return record;
    },

    async save(next) {
      const { record, news } = put(next);
      const saved = write(record);
      if (news) feed.publish({ kind: 'vm', vm: record });
      await saved;
    },

    async delete(vmId) {
      vms.delete(vmId);
      savedAtMs.delete(vmId);
      await store.deleteVm(vmId);
    },
  };
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
