/**
 * What is known of each VM: how its messages change its record, and how it is seen.
 *
 * Liveness is computed when asked for, from what was heard and when (I7), never stored. What the controller itself decides of
 * a VM (its cordon, its loss) belongs to the VM's name and goes over from one life to the next.
 */
import type { Clock } from '@mig/common/clock';
import type { VmEvent } from '@mig/common/domain/event';
import type { ConnectRequest, HeartbeatMessage } from '@mig/common/domain/messages';
import { hasEnded, parseReportedState, phaseOf } from '@mig/common/domain/vm-state';
import {
  parsePlatform,
  type Link,
  type Liveness,
  type VmIdentity,
  type VmRecord,
  type VmReport,
} from '@mig/common/domain/vm';
import { createHearing } from './hearing.js';
import type { Links } from './links.js';
import { livenessOf, type LivenessOptions } from './liveness.js';
import { createVmBook, type VmBookDeps } from './vm-book.js';

/** A VM as an operator sees it: its record as it was when it was asked for, the rest as it is when that is read. Not to be kept. */
export interface VmView {
  readonly record: VmRecord;
  readonly link: Link;
  readonly liveness: Liveness;
  /** When it was last heard, by the monotonic clock; undefined = not since the start of this controller. */
  readonly heardAtMs: number | undefined;
  /** Milliseconds since then; if it was not heard, since the start. */
  readonly silentMs: number;
}

/** What the controller decides of a VM, beside what the VM says. */
export type Decision = Partial<
  Pick<VmRecord, 'cordon' | 'loss' | 'currentJob' | 'fencedRunner' | 'runnerNames'>
>;

export interface Fleet {
  get(vmId: string): VmView | undefined;
  /** Every VM, by id. */
  list(): VmView[];
  /** Every VM, in no order: for what looks at all of them all the time. */
  views(): Iterable<VmView>;
  /** A stream opens. `known` is false if this boot was never heard of before. */
  connect(request: ConnectRequest): { readonly record: VmRecord; readonly known: boolean };
  /** Something came on the VM's stream that says nothing of its state. */
  heard(vmId: string): void;
  /** The VM's stream ended. */
  disconnect(vmId: string): void;
  /**
   * What is kept of the message is copied: its owner may use it for the next. A runner or a job that says what `lastReport` says is
   * expected to be that object.
   * @returns false if it was not taken, because it is of another boot than the VM's, or of a VM that is not known
   */
  heartbeat(message: HeartbeatMessage): boolean;
  /** What the VM's last heartbeat said; undefined = there was none since the start of the controller. */
  lastReport(vmId: string): VmReport | undefined;
  /** Learns from an event what it says of the VM; `vm_started` begins a life, or brings a MIGlet back in the same one. */
  apply(event: VmEvent): void;
  /**
   * Changes at once what the controller decides; resolves when that is durable. If it cannot be stored it stays so in memory.
   * A VM that was forgotten is left alone.
   * @throws StoreUnavailableError
   */
  decide(vmId: string, decision: Decision): Promise<void>;
  /**
   * Forgets VMs of which nothing was heard for `retentionMs`, but those that `keep` names; resolves with their ids. A VM that
   * is cordoned is kept: the cordon holds until it is lifted.
   */
  forgetOld(retentionMs: number, keep: (vmId: string) => boolean): Promise<string[]>;
}

export interface FleetDeps extends VmBookDeps {
  readonly links: Links;
  readonly clock: Clock;
  readonly liveness: LivenessOptions;
  /** The shortest interval that connected MIGlets are asked to keep now; default: none. */
  readonly askedIntervalMs?: () => number;
}

export function createFleet(deps: FleetDeps): Fleet {
  const { links, clock } = deps;
  const book = createVmBook(deps);
  const hearing = createHearing(clock);

  function create(identity: VmIdentity, bootId: string, version: string, state: string): VmRecord {
    const now = clock.now();
    const before = book.get(identity.vmId);
    return {
      vmId: identity.vmId,
      poolId: identity.poolId,
      orgId: identity.orgId,
      bootId,
      version,
      state,
      stateReason: '',
      health: undefined,
      runner: undefined,
      currentJob: undefined,
      labels: [],
      firstSeenAt: before?.firstSeenAt ?? now,
      lastSeenAt: now,
      lastHeartbeatAt: undefined,
      outcome: undefined,
      cordon: before?.cordon,
      loss: before?.loss,
      fencedRunner: undefined,
      runnerNames: before?.runnerNames ?? [],
      platform: before?.platform,
    };
  }

  function announce(event: VmEvent): void {
    const before = book.get(event.vmId);
    const version = event.data['version'] ?? '';
    const state = parseReportedState(event.data['miglet_state'] ?? '') ?? 'booting';
    const sameBoot = before !== undefined && before.bootId === event.bootId && event.bootId !== '';
    const platform = parsePlatform(event.data['os'], event.data['architecture']) ?? before?.platform;
    if (!sameBoot) {
      book.update({ ...create(event, event.bootId, version, state), platform });
      return;
    }
    book.update({
      ...before,
      poolId: event.poolId,
      orgId: event.orgId,
      version,
      state,
      platform,
      lastSeenAt: clock.now(),
    });
  }

  function learn(before: VmRecord, report: VmReport): void {
    const now = clock.now();
    const state = parseReportedState(report.state);
    const next: VmRecord = {
      ...before,
      state: state ?? before.state,
      stateReason:
        state === undefined && report.state !== ''
          ? `the MIGlet reports "${report.state}"`
          : report.stateReason,
      health: report.health === undefined ? before.health : { ...report.health },
      runner: report.runner,
      currentJob: report.currentJob?.status === 'running' ? report.currentJob : undefined,
      lastSeenAt: now,
      lastHeartbeatAt: now,
      outcome: before.outcome ?? (before.bootId === '' && state === 'shutdown' ? 'ended' : undefined),
    };
    book.update(next, report);
  }

  /** Made for every look at a VM, mostly for its record alone: the rest is found out when it is asked for. */
  class LiveView implements VmView {
    constructor(readonly record: VmRecord) {}

    get link(): Link {
      return links.get(this.record.vmId) === undefined ? 'disconnected' : 'connected';
    }

    get liveness(): Liveness {
      const { record } = this;
      const { silentMs, streamDead, saidIntervalMs } = hearing.of(record.vmId);
      // A legacy MIGlet cannot be asked for anything.
      const askedIntervalMs = record.bootId === '' ? 0 : (deps.askedIntervalMs?.() ?? 0);
      const signs = { silentMs, streamDead, saidIntervalMs, askedIntervalMs, ended: hasEnded(record) };
      return livenessOf(signs, deps.liveness);
    }

    get heardAtMs(): number | undefined {
      return hearing.of(this.record.vmId).heardAtMs;
    }

    get silentMs(): number {
      return hearing.of(this.record.vmId).silentMs;
    }
  }

  const view = (record: VmRecord): VmView => new LiveView(record);

  return {
    get(vmId) {
      const record = book.get(vmId);
      return record === undefined ? undefined : view(record);
    },

    list: () => [...book.all()].sort((a, b) => (a.vmId < b.vmId ? -1 : 1)).map(view),

    *views() {
      for (const record of book.all()) yield view(record);
    },

    connect(request) {
      hearing.connected(request.vmId);
      const before = book.get(request.vmId);
      const reported = parseReportedState(request.state);
      const sameBoot = before !== undefined && before.bootId === request.bootId;
      const legacyReturn = sameBoot && request.bootId === '' && phaseOf(before.state) === 'shutdown';
      if (!sameBoot || legacyReturn) {
        const state = reported ?? 'registering.connecting';
        const fresh = { ...create(request, request.bootId, request.version, state), labels: request.labels };
        return {
          record: book.update(fresh),
          known: legacyReturn || (before !== undefined && request.bootId === ''),
        };
      }
      const record = book.update({
        ...before,
        poolId: request.poolId,
        orgId: request.orgId,
        version: request.version,
        state: reported ?? before.state,
        labels: request.labels,
        lastSeenAt: clock.now(),
      });
      return { record, known: true };
    },

    heard: (vmId) => hearing.heard(vmId),

    disconnect(vmId) {
      hearing.streamEnded(vmId);
      const record = book.get(vmId);
      // A VM that said it was going, and then closed its stream, is gone.
      if (record?.outcome !== undefined)
        book.update({ ...record, state: 'shutdown.done', lastSeenAt: clock.now() });
    },

    heartbeat(message) {
      const { vmId, report } = message;
      const known = book.known(vmId);
      if (known === undefined || known.bootId !== message.bootId) return false;
      const nowMs = clock.monotonicMs();
      hearing.heartbeat(vmId, message.intervalMs, nowMs);
      if (!book.repeat(vmId, report, nowMs)) learn(book.get(vmId) ?? known, report);
      deps.store.keepHeartbeat(known, book.lastReport(vmId) ?? report);
      return true;
    },

    lastReport: (vmId) => book.lastReport(vmId),

    apply(event) {
      if (event.type === 'vm_started') {
        hearing.heard(event.vmId);
        announce(event);
        return;
      }
      const before = book.get(event.vmId);
      if (before === undefined || before.bootId !== event.bootId) return;
      hearing.heard(event.vmId);
      const seen = { ...before, lastSeenAt: clock.now() };
      switch (event.type) {
        case 'vm_shutting_down':
          book.update({
            ...seen,
            state: phaseOf(before.state) === 'shutdown' ? before.state : 'shutdown',
            // The first cause of an ending is kept.
            outcome: before.outcome ?? event.data['outcome'] ?? 'ended',
          });
          return;
        case 'draining':
          book.update({ ...seen, state: phaseOf(before.state) === 'draining' ? before.state : 'draining' });
          return;
        default:
          book.update(seen);
      }
    },

    async decide(vmId, decision) {
      const before = book.get(vmId);
      if (before !== undefined) await book.save({ ...before, ...decision });
    },

    async forgetOld(retentionMs, keep) {
      const now = clock.now();
      const old = [...book.all()].filter(
        (vm) =>
          links.get(vm.vmId) === undefined &&
          vm.cordon === undefined &&
          now - vm.lastSeenAt > retentionMs &&
          !keep(vm.vmId),
      );
      for (const vm of old) {
        hearing.forget(vm.vmId);
        await book.delete(vm.vmId);
      }
      return old.map((vm) => vm.vmId);
    },
  };
}
