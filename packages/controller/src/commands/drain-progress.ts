/**
 * Moves the VMs of drains on: one `drain` for each when its turn comes, a `shutdown` after it if that is asked for, an
 * `undrain` if the drain is taken back. Driven by what happens in the fleet, and by a sweep for what only time brings.
 */
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { RESULT_UNDRAINED, type CommandRecord, type Parameters } from '@mig/common/domain/command';
import {
  DRAIN_OFFLINE_WAIT_MS,
  isDrainVmFinal,
  type DrainRecord,
  type DrainVm,
} from '@mig/common/domain/drain';
import { isFinal } from '@mig/common/domain/command-state';
import { hasEnded } from '@mig/common/domain/vm-state';
import type { Fleet, VmView } from '../fleet/fleet.js';
import type { CommandQueue } from './command-queue.js';
import type { DrainBook, LiveDrain } from './drain-book.js';

export interface DrainProgress {
  /** From now on the VMs of the drain are moved on. */
  begin(drain: LiveDrain): void;
  /** Something happened to the VM. */
  look(vmId: string): void;
  lookAtAll(): void;
  /** Somebody undrained the VM by itself: it leaves every drain in which its turn has not come. */
  leave(undrain: CommandRecord): void;
  /** Takes back every VM that has not ended. Resolves when that is durable. @throws StoreUnavailableError */
  takeBack(drain: LiveDrain): Promise<void>;
  /** The drain by which this boot of the VM is out of service, or on its way there. */
  drainIdOf(vmId: string): string | undefined;
  /** The drain or shutdown that was queued for this VM last, as far as it is known. */
  commandOf(vm: DrainVm): CommandRecord | undefined;
  stop(): void;
}

export interface DrainProgressDeps {
  readonly queue: CommandQueue;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** VMs that are looked at in one turn of the event loop. */
const STEPS_AT_ONCE = 50;

export function createDrainProgress(
  { queue, fleet, clock, logger }: DrainProgressDeps,
  book: DrainBook,
): DrainProgress {
  /** Drains in which a VM's part has not ended. */
  const byVm = new Map<string, Set<string>>();
  /** Since when a VM that is waited for is away, by the monotonic clock. */
  const awaySinceMs = new Map<string, number>();
  const dirty = new Set<string>();
  /** Commands that are being stored, by drain and VM. */
  const submitting = new Set<string>();
  let scheduled = false;
  let stopped = false;

  for (const drain of book.active()) enlist(drain);
  recoverCommands();
  lookAtAll();

  /** Progress is written a moment after its commands: a command that is stored counts, whatever the drain's file says. */
  function recoverCommands(): void {
    for (const command of queue.list({})) {
      if (command.type !== 'drain') continue;
      const drain = book.get(command.createdBy);
      const vm = drain?.vms.get(command.vmId);
      if (drain === undefined || vm?.state !== 'waiting') continue;
      book.changeVm(drain, vm.vmId, {
        state: 'draining',
        commandId: command.id,
        startedAt: command.createdAt,
      });
    }
    for (const command of queue.list({})) if (isUndrainOfVm(command)) leave(command);
  }

  /** What a drain undrains is taken from that drain, and from no other. */
  function isUndrainOfVm({ type, state, createdBy }: CommandRecord): boolean {
    return type === 'undrain' && state !== 'cancelled' && book.get(createdBy) === undefined;
  }

  function leave(undrain: CommandRecord): void {
    for (const drainId of [...(byVm.get(undrain.vmId) ?? [])]) {
      const drain = book.get(drainId);
      const vm = drain?.vms.get(undrain.vmId);
      if (drain === undefined || vm?.state !== 'waiting' || undrain.createdAt < drain.record.createdAt)
        continue;
      move(drain, vm, { state: 'cancelled', message: `undrained by ${undrain.id} before its turn came` });
    }
  }

  function enlist(drain: LiveDrain): void {
    for (const vm of drain.vms.values()) {
      if (isDrainVmFinal(vm.state)) continue;
      const ids = byVm.get(vm.vmId) ?? new Set();
      byVm.set(vm.vmId, ids.add(drain.record.id));
    }
  }

  function lookAtAll(): void {
    for (const vmId of byVm.keys()) look(vmId);
  }

  function look(vmId: string): void {
    if (stopped || !byVm.has(vmId)) return;
    dirty.add(vmId);
    if (scheduled) return;
    scheduled = true;
    setImmediate(stepSome);
  }

  /** Others have their turn in between: streams, and what was submitted is stored and sent. */
  function stepSome(): void {
    let count = 0;
    for (const vmId of dirty) {
      if (stopped) return;
      if (count === STEPS_AT_ONCE) {
        setImmediate(stepSome);
        return;
      }
      count += 1;
      dirty.delete(vmId);
      step(vmId);
    }
    scheduled = false;
  }

  function move(drain: LiveDrain, vm: DrainVm, fields: Partial<DrainVm>): void {
    const ends = fields.state !== undefined && isDrainVmFinal(fields.state);
    book.changeVm(drain, vm.vmId, { ...fields, ...(ends ? { finishedAt: clock.now() } : {}) });
    if (!ends) return;
    const ids = byVm.get(vm.vmId);
    ids?.delete(drain.record.id);
    if (ids?.size === 0) {
      byVm.delete(vm.vmId);
      awaySinceMs.delete(vm.vmId);
    }
    // Its place is free for another.
    if (drain.record.maxUnavailable !== undefined) {
      for (const other of drain.vms.values()) if (other.state === 'waiting') look(other.vmId);
    }
    if (drain.open === 0) {
      logger.info(
        { event: 'drain_ended', drainId: drain.record.id, state: book.snapshot(drain).state },
        'a drain has ended',
      );
    }
  }

  /** Looks at one VM in every drain that it is part of. */
  function step(vmId: string): void {
    for (const drainId of [...(byVm.get(vmId) ?? [])]) {
      const drain = book.get(drainId);
      const vm = drain?.vms.get(vmId);
      if (drain === undefined || vm === undefined || isDrainVmFinal(vm.state)) continue;
      try {
        stepIn(drain, vm);
      } catch (error) {
        logger.error({ drainId, vmId, err: error }, 'a VM of a drain could not be moved on');
      }
    }
  }

  function stepIn(drain: LiveDrain, vm: DrainVm): void {
    const view = fleet.get(vm.vmId);
    if (view === undefined) {
      move(drain, vm, { state: 'gone', message: 'the controller has forgotten the VM' });
      return;
    }
    if (view.record.bootId !== vm.bootId) {
      move(drain, vm, { state: 'gone', message: 'the VM came back as another boot, which is not drained' });
      return;
    }
    if (hasEnded(view.record)) {
      const outcome = view.record.outcome ?? 'ended';
      move(drain, vm, { state: 'done', message: `the VM has ended (${outcome})` });
      return;
    }
    if (drain.record.state === 'cancelled' && vm.state !== 'shuttingDown') {
      takeVmBack(drain, vm).catch((error: unknown) => {
        const reason = errorMessage(error);
        logger.warn({ drainId: drain.record.id, vmId: vm.vmId, reason }, 'an undrain has to wait');
      });
      return;
    }
    if (vm.state === 'waiting') beginVm(drain, vm, view);
    else followCommand(drain, vm, view);
  }

  function beginVm(drain: LiveDrain, vm: DrainVm, view: VmView): void {
    if (view.link === 'disconnected') {
      giveUpIfAway(drain, vm, 'was not reached');
      return;
    }
    awaySinceMs.delete(vm.vmId);
    if (drain.unavailable >= (drain.record.maxUnavailable ?? Infinity)) return;
    move(drain, vm, { state: 'draining', startedAt: clock.now() });
    submit(drain, vm.vmId, 'drain');
  }

  function giveUpIfAway(drain: LiveDrain, vm: DrainVm, what: string): void {
    const nowMs = clock.monotonicMs();
    const sinceMs = awaySinceMs.get(vm.vmId) ?? nowMs;
    awaySinceMs.set(vm.vmId, sinceMs);
    if (nowMs - sinceMs < DRAIN_OFFLINE_WAIT_MS) return;
    const command = commandOf(vm);
    // It must not be drained by a drain that has given it up.
    if (command?.state === 'queued' && command.attempts === 0)
      queue.end(command.id, 'expired', 'the drain has given the VM up');
    const message = `the VM ${what} within ${DRAIN_OFFLINE_WAIT_MS / 60_000} min`;
    move(drain, vm, { state: 'failed', message });
  }

  function followCommand(drain: LiveDrain, vm: DrainVm, view: VmView): void {
    const type = vm.state === 'draining' ? 'drain' : 'shutdown';
    const commandId = type === 'drain' ? vm.commandId : vm.shutdownCommandId;
    if (commandId === undefined) {
      submit(drain, vm.vmId, type);
      return;
    }
    const command = find(commandId);
    if (command === undefined) {
      move(drain, vm, { state: 'failed', message: `command ${commandId} is not known any more` });
      return;
    }
    switch (command.state) {
      case 'completed':
        if (type === 'drain' && drain.record.then === 'shutdown') {
          move(drain, vm, { state: 'shuttingDown' });
          submit(drain, vm.vmId, 'shutdown');
        } else move(drain, vm, { state: 'done', message: command.message });
        return;
      case 'superseded':
        if (command.supersededBy === undefined)
          move(drain, vm, { state: 'failed', message: command.message });
        else if (find(command.supersededBy)?.type === 'undrain')
          move(drain, vm, { state: 'cancelled', message: `undrained by ${command.supersededBy}` });
        else {
          move(drain, vm, {
            [type === 'drain' ? 'commandId' : 'shutdownCommandId']: command.supersededBy,
          });
          look(vm.vmId);
        }
        return;
      case 'cancelled':
        move(drain, vm, { state: 'cancelled', message: command.message });
        return;
      case 'failed':
        if (command.result?.['code'] === RESULT_UNDRAINED)
          move(drain, vm, { state: 'cancelled', message: command.message });
        else move(drain, vm, { state: 'failed', message: command.message });
        return;
      case 'expired':
        move(drain, vm, { state: 'failed', message: command.message });
        return;
      case 'queued':
      case 'sent':
      case 'received':
        if (view.liveness === 'lost')
          giveUpIfAway(drain, vm, 'was lost while it drained, and did not return');
        else awaySinceMs.delete(vm.vmId);
    }
  }

  function submit(drain: LiveDrain, vmId: string, type: 'drain' | 'shutdown'): void {
    const { record } = drain;
    const slot = `${record.id} ${vmId}`;
    if (submitting.has(slot)) return;
    submitting.add(slot);
    const parameters: Parameters =
      type === 'drain'
        ? {
            ...reasonParameter(record),
            deadline_ms: record.deadlineMs,
            ...(record.force ? { force: true } : {}),
          }
        : reasonParameter(record);
    submitFor(drain, vmId, type, parameters).then(
      (command) => {
        submitting.delete(slot);
        const vm = drain.vms.get(vmId);
        if (vm === undefined || isDrainVmFinal(vm.state)) return;
        book.changeVm(drain, vmId, {
          [type === 'drain' ? 'commandId' : 'shutdownCommandId']: command.id,
        });
        // It was submitted before.
        if (isFinal(command.state)) look(vmId);
      },
      (error: unknown) => {
        submitting.delete(slot);
        // The sweep tries again.
        logger.warn({ drainId: record.id, vmId, reason: errorMessage(error) }, `a ${type} has to wait`);
      },
    );
  }

  /** Once for this drain and VM, however often it is asked for, also over a restart. */
  function submitFor(
    drain: LiveDrain,
    vmId: string,
    type: 'drain' | 'shutdown' | 'undrain' | 'register_runner',
    parameters: Parameters,
  ): Promise<CommandRecord> {
    const bootId = drain.vms.get(vmId)?.bootId ?? '';
    return queue.submit({
      vmId,
      type,
      parameters,
      createdBy: drain.record.id,
      forBoot: bootId === '' ? undefined : bootId,
      idempotencyKey: `${drain.record.id} ${type}`,
    });
  }

  function find(commandId: string): CommandRecord | undefined {
    try {
      return queue.get(commandId);
    } catch {
      return undefined;
    }
  }

  async function takeVmBack(drain: LiveDrain, vm: DrainVm): Promise<void> {
    const { vmId } = vm;
    const other = [...(byVm.get(vmId) ?? [])].find((id) => {
      const state = id === drain.record.id ? undefined : book.get(id)?.vms.get(vmId)?.state;
      return state === 'draining' || state === 'shuttingDown';
    });
    if (vm.state === 'waiting') {
      move(drain, vm, { state: 'cancelled', message: 'undrained before its turn came' });
      return;
    }
    if (vm.state === 'shuttingDown') return;
    if (other !== undefined) {
      move(drain, vm, { state: 'cancelled', message: `undrained, but drain ${other} drains it too` });
      return;
    }
    const command = commandOf(vm);
    if (command?.attempts === 0) {
      if (command.state === 'queued') await queue.cancel(command.id, 'undrained before it went out');
    } else {
      // A legacy MIGlet knows no undrain: it is registered again.
      const type = vm.bootId === '' ? 'register_runner' : 'undrain';
      await submitFor(
        drain,
        vmId,
        type,
        type === 'undrain' ? reasonParameter(drain.record, 'undrained: ') : {},
      );
    }
    const now = drain.vms.get(vmId);
    if (now !== undefined && !isDrainVmFinal(now.state))
      move(drain, now, { state: 'cancelled', message: 'undrained' });
  }

  const commandOf = (vm: DrainVm): CommandRecord | undefined => {
    const commandId = vm.state === 'shuttingDown' ? vm.shutdownCommandId : vm.commandId;
    return commandId === undefined ? undefined : find(commandId);
  };

  return {
    begin(drain) {
      enlist(drain);
      for (const vmId of drain.vms.keys()) look(vmId);
    },
    look,
    lookAtAll,
    leave(undrain) {
      if (!stopped && isUndrainOfVm(undrain)) leave(undrain);
    },
    commandOf,
    async takeBack(drain) {
      const open = [...drain.vms.values()].filter((vm) => !isDrainVmFinal(vm.state));
      await Promise.all(open.map((vm) => takeVmBack(drain, vm)));
    },
    drainIdOf(vmId) {
      const bootId = fleet.get(vmId)?.record.bootId;
      return [...(byVm.get(vmId) ?? [])].find((id) => {
        const vm = book.get(id)?.vms.get(vmId);
        return vm?.bootId === bootId && (vm?.state === 'draining' || vm?.state === 'shuttingDown');
      });
    },
    stop() {
      stopped = true;
    },
  };
}

function reasonParameter(record: DrainRecord, prefix = ''): Parameters {
  const reason = `${prefix}${record.reason}`;
  return reason === '' ? {} : { reason };
}
