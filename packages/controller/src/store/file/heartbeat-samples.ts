/**
 * Which heartbeats are kept: of one VM's within a second the newest, and of all VMs together no more than `MAX_PER_SECOND`, or
 * `MAX_PER_SECOND_IF_BUSY` while the process is busy: answers come first. A fleet that sends more is sampled less often, each VM in its
 * turn. One timer for all, and nothing made for a heartbeat.
 */
import type { Clock } from '@mig/common/clock';
import type { IsBusy } from '@mig/common/process-load';
import type { VmIdentity, VmReport } from '@mig/common/domain/vm';
import type { VmFolder } from './vm-folder.js';

/** A VM that sends many costs no more than one file in this time. */
const WINDOW_MS = 1_000;
/** Those that are due are kept in slices, so that no slice is long. */
const SLICE_MS = 25;
const MAX_PER_SECOND = 1_000;
const MAX_PER_SECOND_IF_BUSY = 80;
const perSlice = (perSecond: number): number => (perSecond * SLICE_MS) / 1_000;

export interface HeartbeatSamples {
  /** The newest heartbeat of the VM. Report and identity are read when they are kept. */
  take(folder: VmFolder, vm: VmIdentity, report: VmReport): void;
  /** What waits of this VM is not kept. */
  drop(folder: VmFolder): void;
  /** Keeps what waits now. */
  close(): void;
}

export function createHeartbeatSamples(
  { clock, isBusy }: { readonly clock: Clock; readonly isBusy: IsBusy },
  keep: (folder: VmFolder, vm: VmIdentity, report: VmReport) => void,
): HeartbeatSamples {
  /** In the order in which they are due. */
  const waiting = new Set<VmFolder>();
  let timer: unknown;

  function keepNow(folder: VmFolder): void {
    const { pendingVm, pendingReport } = folder;
    drop(folder);
    if (pendingVm !== undefined && pendingReport !== undefined) keep(folder, pendingVm, pendingReport);
  }

  function drop(folder: VmFolder): void {
    waiting.delete(folder);
    folder.pendingVm = undefined;
    folder.pendingReport = undefined;
  }

  function keepDue(): void {
    timer = undefined;
    const nowMs = clock.monotonicMs();
    const most = perSlice(isBusy() ? MAX_PER_SECOND_IF_BUSY : MAX_PER_SECOND);
    let count = 0;
    for (const folder of waiting) {
      if (folder.pendingDueMs > nowMs || count === most) {
        arm(Math.max(SLICE_MS, folder.pendingDueMs - nowMs));
        return;
      }
      keepNow(folder);
      count += 1;
    }
  }

  function arm(delayMs: number): void {
    timer ??= clock.setTimer(keepDue, delayMs);
  }

  return {
    take(folder, vm, report) {
      const isFirst = folder.pendingReport === undefined;
      folder.pendingVm = vm;
      folder.pendingReport = report;
      if (!isFirst) return;
      folder.pendingDueMs = clock.monotonicMs() + WINDOW_MS;
      waiting.add(folder);
      arm(WINDOW_MS);
    },
    drop,
    close() {
      clock.clearTimer(timer);
      for (const folder of [...waiting]) keepNow(folder);
    },
  };
}
