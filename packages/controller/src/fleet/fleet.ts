/**
 * What is known of each VM.
 *
 * The record is changed here and nowhere else, along its transition table (I6). A change that an operator would want to
 * see after a restart is stored at once; the rest of a heartbeat (load, last seen) with the next such change, or once a
 * minute. Liveness is computed when asked for, from what was heard and when (I7), never stored.
 */
import type { Clock } from '@mig/common/clock';
import { IllegalTransitionError, errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { VmEvent } from '@mig/common/domain/event';
import type { ConnectRequest, HeartbeatMessage } from '@mig/common/domain/messages';
import { assertVmTransition, parseReportedState, phaseOf } from '@mig/common/domain/vm-state';
import { isSameLife, type Link, type Liveness, type VmIdentity, type VmRecord } from '@mig/common/domain/vm';
import type { Store } from '../store/store.js';
import type { Feed } from './feed.js';
import type { Links } from './links.js';
import { livenessOf, type LivenessOptions } from './liveness.js';

/** A VM as an operator sees it. */
export interface VmView {
  readonly record: VmRecord;
  readonly link: Link;
  readonly liveness: Liveness;
}

export interface Fleet {
  get(vmId: string): VmView | undefined;
  /** Every VM, by id. */
  list(): VmView[];
  /** A stream opens. `known` is false if this boot was never heard of before. */
  connect(request: ConnectRequest): { readonly record: VmRecord; readonly known: boolean };
  /** The VM's stream ended. */
  disconnect(vmId: string): void;
  heartbeat(message: HeartbeatMessage): void;
  /** Learns from an event what it says of the VM; `vm_started` begins a life, or brings a MIGlet back in the same one. */
  apply(event: VmEvent): void;
  /** Forgets VMs of which nothing was heard for `retentionMs`, but those that `keep` names; resolves with their ids. */
  forgetOld(retentionMs: number, keep: (vmId: string) => boolean): Promise<string[]>;
}

/** A heartbeat that brings no news is stored this often. */
const QUIET_SAVE_MS = 60_000;

export interface FleetDeps {
  readonly store: Store;
  readonly links: Links;
  readonly feed: Feed;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly liveness: LivenessOptions;
}

export function createFleet(deps: FleetDeps): Fleet {
  const { store, links, feed, clock, logger } = deps;
  const vms = new Map(store.loadedVms().map((vm) => [vm.vmId, vm]));
  /** When each VM was last heard, by the monotonic clock; what is not here was not heard since the start. */
  const heardAtMs = new Map<string, number>();
  const savedAtMs = new Map<string, number>();
  const startedAtMs = clock.monotonicMs();

  function heard(vmId: string): void {
    heardAtMs.set(vmId, clock.monotonicMs());
  }

  /** Takes the new record, unless its table forbids the move; then all but the state is taken. */
  function update(next: VmRecord): VmRecord {
    const before = vms.get(next.vmId);
    let record = next;
    if (before !== undefined && isSameLife(before, next)) {
      try {
        assertVmTransition(next.vmId, before.state, next.state); // I6
      } catch (error) {
        if (!(error instanceof IllegalTransitionError)) throw error;
        logger.warn(
          { vmId: next.vmId, from: before.state, to: next.state },
          'a report was refused: the VM has ended',
        );
        record = { ...next, state: before.state, stateReason: before.stateReason };
      }
    }
    vms.set(record.vmId, record);
    const news = before === undefined || isNews(before, record);
    const savedMs = savedAtMs.get(record.vmId) ?? -Infinity;
    if (news || clock.monotonicMs() - savedMs >= QUIET_SAVE_MS) {
      savedAtMs.set(record.vmId, clock.monotonicMs());
      store
        .saveVm(record)
        .catch((error: unknown) =>
          logger.error({ vmId: record.vmId, reason: errorMessage(error) }, 'a VM record could not be stored'),
        );
    }
    if (news) feed.publish({ kind: 'vm', vm: record });
    return record;
  }

  function create(identity: VmIdentity, bootId: string, version: string, state: string): VmRecord {
    const now = clock.now();
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
      firstSeenAt: vms.get(identity.vmId)?.firstSeenAt ?? now,
      lastSeenAt: now,
      lastHeartbeatAt: undefined,
      outcome: undefined,
    };
  }

  function announce(event: VmEvent): void {
    const before = vms.get(event.vmId);
    const version = event.data['version'] ?? '';
    const state = parseReportedState(event.data['miglet_state'] ?? '') ?? 'booting';
    const sameBoot = before !== undefined && before.bootId === event.bootId && event.bootId !== '';
    if (!sameBoot) {
      update(create(event, event.bootId, version, state));
      return;
    }
    update({ ...before, poolId: event.poolId, orgId: event.orgId, version, state, lastSeenAt: clock.now() });
  }

  function view(record: VmRecord): VmView {
    const connected = links.get(record.vmId) !== undefined;
    const silentMs = clock.monotonicMs() - (heardAtMs.get(record.vmId) ?? startedAtMs);
    return {
      record,
      link: connected ? 'connected' : 'disconnected',
      liveness: livenessOf(silentMs, connected, deps.liveness),
    };
  }

  return {
    get(vmId) {
      const record = vms.get(vmId);
      return record === undefined ? undefined : view(record);
    },

    list: () => [...vms.values()].sort((a, b) => (a.vmId < b.vmId ? -1 : 1)).map(view),

    connect(request) {
      heard(request.vmId);
      const before = vms.get(request.vmId);
      const reported = parseReportedState(request.state);
      const sameBoot = before !== undefined && before.bootId === request.bootId;
      const legacyReturn = sameBoot && request.bootId === '' && phaseOf(before.state) === 'shutdown';
      if (!sameBoot || legacyReturn) {
        const state = reported ?? 'registering.connecting';
        const fresh = { ...create(request, request.bootId, request.version, state), labels: request.labels };
        return {
          record: update(fresh),
          known: legacyReturn || (before !== undefined && request.bootId === ''),
        };
      }
      const record = update({
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

    disconnect(vmId) {
      const record = vms.get(vmId);
      // A VM that said it was going, and then closed its stream, is gone.
      if (record?.outcome !== undefined)
        update({ ...record, state: 'shutdown.done', lastSeenAt: clock.now() });
    },

    heartbeat(message) {
      const before = vms.get(message.vmId);
      if (before === undefined || before.bootId !== message.bootId) return;
      heard(message.vmId);
      const now = clock.now();
      const { report } = message;
      const state = parseReportedState(report.state);
      update({
        ...before,
        state: state ?? before.state,
        stateReason:
          state === undefined && report.state !== ''
            ? `the MIGlet reports "${report.state}"`
            : report.stateReason,
        health: report.health ?? before.health,
        runner: report.runner,
        currentJob: report.currentJob?.status === 'running' ? report.currentJob : undefined,
        lastSeenAt: now,
        lastHeartbeatAt: now,
        outcome: before.outcome ?? (before.bootId === '' && state === 'shutdown' ? 'ended' : undefined),
      });
      store.keepHeartbeat(before, report);
    },

    apply(event) {
      if (event.type === 'vm_started') {
        heard(event.vmId);
        announce(event);
        return;
      }
      const before = vms.get(event.vmId);
      if (before === undefined || before.bootId !== event.bootId) return;
      heard(event.vmId);
      const seen = { ...before, lastSeenAt: clock.now() };
      switch (event.type) {
        case 'vm_shutting_down':
          update({
            ...seen,
            state: phaseOf(before.state) === 'shutdown' ? before.state : 'shutdown',
            // The first cause of an ending is kept.
            outcome: before.outcome ?? event.data['outcome'] ?? 'ended',
          });
          return;
        case 'draining':
          update({ ...seen, state: phaseOf(before.state) === 'draining' ? before.state : 'draining' });
          return;
        default:
          update(seen);
      }
    },

    async forgetOld(retentionMs, keep) {
      const now = clock.now();
      const old = [...vms.values()].filter(
        (vm) => links.get(vm.vmId) === undefined && now - vm.lastSeenAt > retentionMs && !keep(vm.vmId),
      );
      for (const vm of old) {
        vms.delete(vm.vmId);
        heardAtMs.delete(vm.vmId);
        savedAtMs.delete(vm.vmId);
        await store.deleteVm(vm.vmId);
      }
      return old.map((vm) => vm.vmId);
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
    before.runner?.name !== after.runner?.name ||
    before.runner?.state !== after.runner?.state ||
    before.labels.join(',') !== after.labels.join(',')
  );
}
