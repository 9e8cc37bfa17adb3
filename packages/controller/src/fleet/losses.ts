/**
 * What follows when a VM is lost, and when one that was lost is heard again (I7).
 *
 * Looked for once a second among all VMs, without a timer for each. A VM that is lost:
 *  - its stream, if it is still open (half-open, or its MIGlet is stopped), is closed, and what was `sent` waits again;
 *  - the fate of its job is unknown, until a heartbeat says otherwise;
 *  - `vm_lost` is entered in its history, and `vm_returned` when it is heard again: each once, also over restarts of the
 *    controller, and each tried again until it could be stored.
 *
 * The record says that the VM is lost before `vm_lost` is entered, and that this was done after it. A crash between two of
 * these steps is found by looking into the history.
 */
import pLimit from 'p-limit';
import { toRfc3339, type Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { ControllerEventType, StoredEvent } from '@mig/common/domain/event';
import { phaseOf } from '@mig/common/domain/vm-state';
import type { Loss, VmRecord } from '@mig/common/domain/vm';
import type { EventLog } from './event-log.js';
import type { Fleet, VmView } from './fleet.js';
import type { Links } from './links.js';

export interface Losses {
  /** Called every second. */
  sweep(): void;
  /** Begins nothing more; resolves when what is under way has been stored, or could not be. */
  stop(): Promise<void>;
}

export interface LossesDeps {
  readonly fleet: Fleet;
  readonly links: Links;
  readonly events: EventLog;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What was sent to the VM and not acknowledged waits to be sent again. */
  requeueSent(vmId: string): void;
  /** The newest events of a VM. */
  history(vmId: string, limit: number): Promise<readonly StoredEvent[]>;
}

/** VMs whose loss or return is written at a time. */
const PARALLEL = 100;
/** What could not be stored is tried again after this. */
const RETRY_MS = 10_000;
/** A silent VM has few events after its loss: among so many of the newest is what was entered before a crash. */
const LOOK_BACK = 50;

export function createLosses(deps: LossesDeps): Losses {
  const { fleet, links, events, clock, logger } = deps;
  const limit = pLimit(PARALLEL);
  const underWay = new Map<string, Promise<void>>();
  const notBeforeMs = new Map<string, number>();
  /** Losses that were found out by an earlier controller: how far it came with telling is not known for sure. */
  const inherited = new Set<string>();
  /** When each loss was found out, by the monotonic clock; what is not here is inherited. */
  const foundAtMs = new Map<string, number>();
  for (const { record } of fleet.views()) if (record.loss !== undefined) inherited.add(record.vmId);
  let stopped = false;

  function sweep(): void {
    for (const view of fleet.views()) {
      const { vmId, loss } = view.record;
      if (stopped || underWay.has(vmId)) continue;
      if (loss === undefined) {
        if (view.liveness === 'lost') lose(view);
      } else if (isBack(view) || !loss.reported) settle(vmId);
    }
  }

  function lose({ record, silentMs }: VmView): void {
    const { vmId, currentJob, lastHeartbeatAt } = record;
    logger.warn(
      { event: 'vm_lost', vmId, silentMs, lastHeartbeatAt, jobId: currentJob?.jobId },
      'a VM is lost: nothing was heard of it for too long',
    );
    links.get(vmId)?.close({
      kind: 'silent',
      message: `nothing was heard of VM ${vmId} for ${Math.round(silentMs / 1_000)} s: connect again`,
    });
    // Of a VM without a stream, which fetches its commands.
    deps.requeueSent(vmId);
    foundAtMs.set(vmId, clock.monotonicMs());
    const at = clock.now();
    run(vmId, async () => {
      const view = fleet.get(vmId);
      // It was heard while others were written down.
      if (view === undefined || isBack(view)) return;
      const job = view.record.currentJob;
      await fleet.decide(vmId, {
        loss: { at, reported: false },
        ...(job === undefined ? {} : { currentJob: { ...job, status: 'unknown' } }),
      });
      await tell(vmId, silentMs);
    });
  }

  /** One step after the other for one VM, and not too many at a time for all. */
  function run(vmId: string, task: () => Promise<void>): void {
    const done = limit(async () => {
      if (!stopped) await task();
    })
      .catch((error: unknown) => {
        notBeforeMs.set(vmId, clock.monotonicMs() + RETRY_MS);
        logger.warn(
          { vmId, reason: errorMessage(error) },
          'that a VM was lost could not be stored; it is tried again',
        );
      })
      .finally(() => underWay.delete(vmId));
    underWay.set(vmId, done);
  }

  function settle(vmId: string): void {
    if (clock.monotonicMs() < (notBeforeMs.get(vmId) ?? -Infinity)) return;
    notBeforeMs.delete(vmId);
    run(vmId, async () => {
      const view = fleet.get(vmId);
      const loss = view?.record.loss;
      if (view === undefined || loss === undefined) return;
      // It may be what could not be stored before.
      if (!loss.reported) await fleet.decide(vmId, { loss: { ...loss } });
      await tell(vmId, view.silentMs);
    });
  }

  /** Brings the history up to date with the record, and the record with the history. */
  async function tell(vmId: string, silentMs: number): Promise<void> {
    const before = fleet.get(vmId)?.record;
    if (before?.loss === undefined) return;
    const { loss } = before;
    const past = inherited.has(vmId) ? await deps.history(vmId, LOOK_BACK) : [];
    if (!loss.reported) {
      if (!past.some((event) => event.type === 'vm_lost' && event.at === loss.at))
        await enter(before, 'vm_lost', lostData(before, silentMs), loss.at);
      await fleet.decide(vmId, { loss: { ...loss, reported: true } });
    }
    const view = fleet.get(vmId);
    if (view === undefined || !isBack(view)) return;
    const lostAt = toRfc3339(loss.at);
    if (!past.some((event) => event.type === 'vm_returned' && event.data['lost_at'] === lostAt)) {
      const data = { lost_at: lostAt, lost_ms: String(Math.round(lostMs(vmId, loss))) };
      await enter(view.record, 'vm_returned', data, clock.now());
    }
    await fleet.decide(vmId, { loss: undefined });
    inherited.delete(vmId);
    foundAtMs.delete(vmId);
    logger.info({ event: 'vm_returned', vmId }, 'a VM that was lost is heard again');
  }

  /** @throws Error if it could not be stored */
  async function enter(
    { vmId, poolId, orgId, bootId }: VmRecord,
    type: ControllerEventType,
    data: Readonly<Record<string, string>>,
    at: number,
  ): Promise<void> {
    const outcome = await events.record(
      { vmId, poolId, orgId, bootId, type, data, at, sequence: 0 },
      'controller',
    );
    if (outcome.kind === 'refused') throw new Error(outcome.reason);
  }

  /** It was heard after it was lost, or has ended by its own word. */
  function isBack({ record, heardAtMs }: VmView): boolean {
    const heardSince = heardAtMs !== undefined && heardAtMs >= (foundAtMs.get(record.vmId) ?? -Infinity);
    return heardSince || record.outcome !== undefined || phaseOf(record.state) === 'shutdown';
  }

  /** By the wall clock, which may have jumped, only if another controller found the loss out. */
  const lostMs = (vmId: string, { at }: Loss): number => {
    const foundMs = foundAtMs.get(vmId);
    return foundMs === undefined ? Math.max(0, clock.now() - at) : clock.monotonicMs() - foundMs;
  };

  return {
    sweep,
    async stop() {
      stopped = true;
      await Promise.all(underWay.values());
    },
  };
}

const lostData = (vm: VmRecord, silentMs: number): Record<string, string> => ({
  silent_ms: String(Math.round(silentMs)),
  ...(vm.lastHeartbeatAt === undefined ? {} : { last_heartbeat_at: toRfc3339(vm.lastHeartbeatAt) }),
  ...jobData(vm),
});

const jobData = ({ currentJob }: VmRecord): Record<string, string> =>
  currentJob === undefined
    ? {}
    : { job_id: currentJob.jobId, job: currentJob.name, repository: currentJob.repository };
