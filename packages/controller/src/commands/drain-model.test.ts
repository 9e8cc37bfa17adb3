/** Drains under whatever happens to their VMs, against what must always hold of them. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DRAIN_VM_TRANSITIONS, isDrainVmFinal, type DrainVmState } from '@mig/common/domain/drain';
import { isFinal } from '@mig/common/domain/command-state';
import { createParts, settled, type FakeLink, type Parts } from '../parts.contract.js';
import { createMemoryStore } from '../store/memory-store.contract.js';

const VM_IDS = ['vm-1', 'vm-2', 'vm-3', 'vm-4', 'vm-5'];
const MINUTE_MS = 60_000;

interface VmModel {
  boot: number;
  link: FakeLink | undefined;
}

/** What a person with a notebook would know. */
interface Model {
  readonly vms: Map<string, VmModel>;
  /** The state of each VM in each drain, when last looked. */
  readonly seen: Map<string, DrainVmState>;
  undrained: Set<string>;
}

interface Real {
  parts: Parts;
}

type Command = fc.AsyncCommand<Model, Real, true>;

const bootOf = ({ boot }: VmModel): string => `boot-${boot}`;

function open(model: Model, { parts }: Real, vmId: string): void {
  const vm = model.vms.get(vmId);
  if (vm === undefined || vm.link !== undefined) return;
  vm.link = parts.connect({ vmId, bootId: bootOf(vm) });
  parts.delivery.attach(vmId);
  parts.feed.publish({ kind: 'link', vmId, connected: true });
}

function close(model: Model, { parts }: Real, vmId: string): void {
  const vm = model.vms.get(vmId);
  if (vm?.link === undefined) return;
  parts.disconnect(vm.link);
  parts.feed.publish({ kind: 'link', vmId, connected: false });
  vm.link = undefined;
}

function compare(model: Model, { parts }: Real): void {
  for (const drain of parts.drains.list()) {
    const unavailable = drain.vms.filter(({ state }) => state === 'draining' || state === 'shuttingDown');
    expect(unavailable.length).toBeLessThanOrEqual(drain.maxUnavailable ?? Infinity);
    // By the commands themselves, too: whatever the drain's own record says. One that was given up does not count.
    const stateOf = new Map(drain.vms.map((vm) => [vm.vmId, vm.state]));
    const told = parts.queue
      .list({})
      .filter(({ createdBy, type, state }) => createdBy === drain.id && type === 'drain' && !isFinal(state))
      .filter(({ vmId }) => !isDrainVmFinal(stateOf.get(vmId) ?? 'gone'));
    expect(told.length).toBeLessThanOrEqual(drain.maxUnavailable ?? Infinity);
    for (const vm of drain.vms) {
      const key = `${drain.id} ${vm.vmId}`;
      const before = model.seen.get(key) ?? 'waiting';
      // I6, between any two looks.
      if (before !== vm.state) {
        const reachable = [
          before,
          ...DRAIN_VM_TRANSITIONS[before],
          ...DRAIN_VM_TRANSITIONS[before].flatMap((s) => DRAIN_VM_TRANSITIONS[s]),
        ];
        expect(reachable).toContain(vm.state);
      }
      model.seen.set(key, vm.state);
      // One drain and one shutdown at most, and only for the boot that was chosen.
      const commands = parts.queue.list({ vmId: vm.vmId }).filter(({ createdBy }) => createdBy === drain.id);
      for (const type of ['drain', 'shutdown', 'undrain'])
        expect(commands.filter((command) => command.type === type).length).toBeLessThanOrEqual(1);
      expect(commands.every(({ forBoot }) => forBoot === vm.bootId)).toBe(true);
      if (vm.state === 'done' && drain.then === 'keep') expect(commands[0]?.state).toBe('completed');
      // A drain belongs to a boot.
      const known = model.vms.get(vm.vmId);
      if (known !== undefined && bootOf(known) !== vm.bootId && known.link !== undefined)
        expect(isDrainVmFinal(vm.state)).toBe(true);
      if (isDrainVmFinal(vm.state)) expect(vm.finishedAt).toBeDefined();
    }
    const ended = drain.vms.every(({ state }) => isDrainVmFinal(state));
    expect(drain.finishedAt !== undefined).toBe(ended);
    if (model.undrained.has(drain.id)) expect(drain.state).toBe('cancelled');
    else expect(drain.state).toBe(ended ? 'completed' : 'active');
    // No place stays empty while somebody waits for it.
    if (drain.state === 'active' && unavailable.length < (drain.maxUnavailable ?? Infinity)) {
      const idle = drain.vms.filter(
        (vm) => vm.state === 'waiting' && model.vms.get(vm.vmId)?.link !== undefined,
      );
      expect(idle.map(({ vmId }) => vmId)).toEqual([]);
    }
  }
}

const command = (name: string, run: (model: Model, real: Real) => Promise<void>): Command => ({
  check: () => Promise.resolve(true),
  async run(model, real) {
    await run(model, real);
    await settled();
    await settled();
    compare(model, real);
  },
  toString: () => name,
});

const create = (maxUnavailable: number | undefined, then: 'keep' | 'shutdown', count: number): Command =>
  command(`drain ${count} VMs, ${maxUnavailable ?? 'all'} at a time, then ${then}`, async (_, { parts }) => {
    if (parts.drains.list().filter(({ state }) => state === 'active').length >= 2) return;
    await parts.drains.create({
      selector: { vmIds: VM_IDS.slice(0, count) },
      reason: 'test',
      createdBy: 'operator',
      force: false,
      then,
      maxUnavailable,
    });
  });

const undrain = (n: number): Command =>
  command(`undrain ${n}`, async (model, { parts }) => {
    const drains = parts.drains.list();
    const drain = drains[n % Math.max(drains.length, 1)];
    if (drain === undefined) return;
    if (drain.state === 'completed') {
      await expect(parts.drains.undrain(drain.id)).rejects.toThrow(/has ended/);
      return;
    }
    const { vms } = await parts.drains.undrain(drain.id);
    model.undrained.add(drain.id);
    expect(vms.filter(({ state }) => state === 'waiting' || state === 'draining')).toEqual([]);
  });

/** A VM answers what it was told first. */
const answer = (vmId: string, success: boolean): Command =>
  command(`${vmId} answers ${success}`, async (_, { parts }) => {
    const told = parts.queue.list({ vmId }).find(({ state }) => state === 'sent');
    if (told === undefined) return;
    await parts.queue.acknowledge(vmId, {
      commandId: told.id,
      phase: 'completed',
      success,
      message: '',
      result: {},
    });
  });

const connect = (vmId: string): Command =>
  command(`${vmId} connects`, async (model, real) => open(model, real, vmId));
const disconnect = (vmId: string): Command =>
  command(`${vmId} leaves`, async (model, real) => close(model, real, vmId));
const reboot = (vmId: string): Command =>
  command(`${vmId} comes as another boot`, async (model, real) => {
    close(model, real, vmId);
    const vm = model.vms.get(vmId);
    if (vm !== undefined) vm.boot += 1;
    open(model, real, vmId);
  });

const cancelCommand = (vmId: string): Command =>
  command(`an operator cancels a command of ${vmId}`, async (_, { parts }) => {
    const open = parts.queue.open(vmId).find(({ state }) => state === 'queued' || state === 'sent');
    if (open !== undefined) await parts.queue.cancel(open.id);
  });

const passTime = (minutes: number): Command =>
  command(`${minutes} min pass`, async (_, { parts }) => {
    parts.clock.advance(minutes * MINUTE_MS);
    parts.queue.sweep();
    parts.drains.sweep();
  });

const restart = (written: boolean): Command =>
  command(`the controller is killed, its progress ${written ? '' : 'not '}written`, async (model, real) => {
    if (written) real.parts.clock.advance(200);
    await settled();
    const { store, clock } = real.parts;
    await real.parts.drains.stop().catch(() => undefined);
    const drains = written ? [...store.drains.values()] : [...real.parts.store.drains.values()];
    const parts = startParts({
      vms: [...store.vms.values()],
      commands: [...store.commands.values()],
      drains,
    });
    parts.clock.advance(clock.now() - parts.clock.now());
    real.parts = parts;
    for (const vm of model.vms.values()) vm.link = undefined;
    for (const vmId of VM_IDS) open(model, real, vmId);
  });

function startParts(before?: Parameters<typeof createMemoryStore>[0]): Parts {
  const parts = createParts({ store: createMemoryStore(before) });
  parts.feed.subscribe((change) => {
    if (change.kind === 'command' && change.command.state === 'queued')
      parts.delivery.kick(change.command.vmId);
  });
  return parts;
}

const vmId = fc.constantFrom(...VM_IDS);
const commands = fc.commands<Model, Real, true>(
  [
    fc
      .tuple(
        fc.constantFrom(undefined, 1, 2, 3),
        fc.constantFrom('keep' as const, 'shutdown' as const),
        fc.integer({ min: 1, max: 5 }),
      )
      .map(([max, then, count]) => create(max, then, count)),
    fc.tuple(vmId, fc.boolean()).map(([id, success]) => answer(id, success)),
    vmId.map((id) => answer(id, true)),
    vmId.map(connect),
    vmId.map(disconnect),
    vmId.map(reboot),
    vmId.map(cancelCommand),
    fc.nat(5).map(undrain),
    fc.constantFrom(1, 30, 61).map(passTime),
    fc.boolean().map(restart),
  ],
  { maxCommands: 60, size: 'max' },
);

describe('drains and what must always hold of them', () => {
  it('whatever happens to the VMs, the operator and the controller', async () => {
    await fc.assert(
      fc.asyncProperty(commands, async (steps) => {
        const real = { parts: startParts() };
        const model: Model = { vms: new Map(), seen: new Map(), undrained: new Set() };
        for (const id of VM_IDS) {
          model.vms.set(id, { boot: 1, link: undefined });
          open(model, real, id);
        }
        await fc.asyncModelRun(() => ({ model, real }), steps);
        // Left in peace, every drain comes to an end.
        for (const id of VM_IDS) open(model, real, id);
        for (let round = 0; round < 60; round += 1) {
          for (const { id, vmId: target, type, state } of real.parts.queue.list({})) {
            if (state !== 'sent' || isFinal(state)) continue;
            await real.parts.queue.acknowledge(target, {
              commandId: id,
              phase: 'completed',
              success: true,
              message: type,
              result: {},
            });
          }
          await settled();
        }
        expect(real.parts.drains.list().filter(({ finishedAt }) => finishedAt === undefined)).toEqual([]);
      }),
      { seed: 8, numRuns: Number(process.env['MODEL_RUNS'] ?? 60) },
    );
  }, 60_000);
});
