/** Taking a drain back. */
import { describe, expect, it } from '@jest/globals';
import { createParts, settled, type FakeLink, type Parts } from '../parts.contract.js';
import { createMemoryStore } from '../store/memory-store.contract.js';
import type { DrainRecord } from '@mig/common/domain/drain';

function connectVm(parts: Parts, vmId: string, fields = {}): FakeLink {
  const link = parts.connect({ vmId, ...fields });
  parts.delivery.attach(vmId);
  return link;
}

/** vm-1 drains, vm-2 waits for its turn, vm-3 is offline. */
async function halfDrained(fields: { then?: 'keep' | 'shutdown' } = {}) {
  const parts = createParts();
  parts.feed.subscribe((change) => {
    if (change.kind === 'command' && change.command.state === 'queued')
      parts.delivery.kick(change.command.vmId);
  });
  const link = connectVm(parts, 'vm-1');
  connectVm(parts, 'vm-2');
  parts.disconnect(connectVm(parts, 'vm-3'));
  const drain = await parts.drains.create({
    selector: { all: true },
    reason: 'new image',
    createdBy: 'operator',
    force: false,
    then: 'keep',
    maxUnavailable: 1,
    ...fields,
  });
  await settled();
  return { parts, link, drain };
}

const states = (drain: DrainRecord) => drain.vms.map((vm) => vm.state);

describe('undrain', () => {
  it('leaves those alone that wait, and has those registered again that drain', async () => {
    const { parts, link, drain } = await halfDrained();
    const undrained = await parts.drains.undrain(drain.id);
    expect(states(undrained)).toEqual(['cancelled', 'cancelled', 'cancelled']);
    expect(undrained).toMatchObject({ state: 'cancelled', finishedAt: parts.clock.now() });
    await settled();
    expect(link.commands().map((command) => command.type)).toEqual(['drain', 'undrain']);
    expect(link.commands()[1]?.parameters).toEqual({ reason: 'undrained: new image' });
    expect(parts.queue.list({ vmId: 'vm-2' })).toEqual([]);
    expect(parts.queue.list({ vmId: 'vm-3' })).toEqual([]);
    expect(parts.drains.drainIdOf('vm-1')).toBeUndefined();
  });

  it('a drain that has not gone out is cancelled, and the VM hears nothing of it', async () => {
    const parts = createParts();
    const link = connectVm(parts, 'vm-1');
    const drain = await parts.drains.create({
      selector: { all: true },
      reason: '',
      createdBy: 'operator',
      force: false,
      then: 'keep',
    });
    await settled(); // nobody kicks the delivery
    await parts.drains.undrain(drain.id);
    await settled();
    expect(parts.queue.list({})).toMatchObject([{ type: 'drain', state: 'cancelled', attempts: 0 }]);
    expect(link.commands()).toEqual([]);
  });

  it('is on disk when it is answered; the next controller goes on with it', async () => {
    const { parts, drain } = await halfDrained();
    parts.store.failNext(1);
    await expect(parts.drains.undrain(drain.id)).rejects.toThrow('disk full');
    await parts.drains.undrain(drain.id);
    expect(parts.store.drains.get(drain.id)?.state).toBe('cancelled');

    // Killed after the word was stored, before any VM was told.
    const store = createMemoryStore({
      vms: [...parts.store.vms.values()],
      commands: [...parts.store.commands.values()].filter((command) => command.type === 'drain'),
      drains: [{ ...drain, state: 'cancelled', finishedAt: undefined }],
    });
    const next = createParts({ store });
    await settled();
    expect(states(next.drains.get(drain.id))).toEqual(['cancelled', 'cancelled', 'cancelled']);
    expect(next.queue.list({ vmId: 'vm-1' }).map((command) => command.type)).toEqual(['drain', 'undrain']);
    expect(next.queue.list({})).toHaveLength(2);
  });

  it('twice is once', async () => {
    const { parts, link, drain } = await halfDrained();
    await parts.drains.undrain(drain.id);
    await parts.drains.undrain(drain.id);
    await settled();
    expect(link.commands()).toHaveLength(2);
  });

  it('a VM that shuts down already goes on to do so', async () => {
    const { parts, drain } = await halfDrained({ then: 'shutdown' });
    const [command] = parts.queue.list({ vmId: 'vm-1' });
    const done = { phase: 'completed', success: true, message: '', result: {} } as const;
    await parts.queue.acknowledge('vm-1', { commandId: command?.id ?? '', ...done });
    await settled();
    expect(states(await parts.drains.undrain(drain.id))).toEqual(['shuttingDown', 'cancelled', 'cancelled']);
    const shutdown = parts.queue.list({ vmId: 'vm-1' }).at(-1);
    expect(shutdown).toMatchObject({ type: 'shutdown', state: 'sent' });
    await parts.queue.acknowledge('vm-1', { commandId: shutdown?.id ?? '', ...done });
    await settled();
    expect(parts.drains.get(drain.id)).toMatchObject({ state: 'cancelled', finishedAt: parts.clock.now() });
    expect(states(parts.drains.get(drain.id))[0]).toBe('done');
  });

  it('a VM that another drain drains too stays drained', async () => {
    const { parts, link, drain } = await halfDrained();
    const other = await parts.drains.create({
      selector: { vmIds: ['vm-1'] },
      reason: 'broken disk',
      createdBy: 'operator',
      force: false,
      then: 'keep',
    });
    await settled();
    const undrained = await parts.drains.undrain(drain.id);
    expect(undrained.vms[0]?.message).toBe(`undrained, but drain ${other.id} drains it too`);
    await settled();
    expect(link.commands().map((command) => command.type)).toEqual(['drain', 'drain']);
    expect(parts.drains.drainIdOf('vm-1')).toBe(other.id);
  });

  it('to one VM takes it out of the drain in which it waits for its turn, and the others go on', async () => {
    const { parts, drain } = await halfDrained();
    const undrain = (vmId: string) =>
      parts.queue.submit({ vmId, type: 'undrain', parameters: {}, createdBy: 'operator' });
    const { id } = await undrain('vm-2');
    await undrain('vm-3');
    await settled();
    expect(states(parts.drains.get(drain.id))).toEqual(['draining', 'cancelled', 'cancelled']);
    expect(parts.drains.get(drain.id).vms[1]?.message).toBe(`undrained by ${id} before its turn came`);

    // A later drain is not meant by it.
    const later = await parts.drains.create({
      selector: { vmIds: ['vm-2'] },
      reason: '',
      createdBy: 'operator',
      force: false,
      then: 'keep',
    });
    await settled();
    expect(states(parts.drains.get(later.id))).toEqual(['draining']);
  });

  it('to one VM holds also if the controller died before the drain heard of it', async () => {
    const { parts, drain } = await halfDrained();
    parts.clock.advance(1_000);
    await parts.queue.submit({ vmId: 'vm-2', type: 'undrain', parameters: {}, createdBy: 'operator' });
    const store = createMemoryStore({
      vms: [...parts.store.vms.values()],
      commands: [...parts.store.commands.values()],
      drains: [drain],
    });
    const next = createParts({ store });
    await settled();
    expect(states(next.drains.get(drain.id))).toEqual(['draining', 'cancelled', 'waiting']);
  });

  it('a legacy VM, which knows no undrain, is registered again', async () => {
    const parts = createParts();
    parts.feed.subscribe((change) => {
      if (change.kind === 'command' && change.command.state === 'queued')
        parts.delivery.kick(change.command.vmId);
    });
    const link = connectVm(parts, 'vm-1', { bootId: '' });
    const drain = await parts.drains.create({
      selector: { all: true },
      reason: '',
      createdBy: 'operator',
      force: false,
      then: 'keep',
    });
    await settled();
    await parts.drains.undrain(drain.id);
    await settled();
    expect(link.commands().map((command) => command.type)).toEqual(['drain', 'register_runner']);
  });

  it('what has ended cannot be taken back, and what is not known neither', async () => {
    const parts = createParts();
    connectVm(parts, 'vm-1');
    const drain = await parts.drains.create({
      selector: { all: true },
      reason: '',
      createdBy: 'operator',
      force: false,
      then: 'keep',
    });
    await settled();
    const [command] = parts.queue.list({});
    await parts.queue.cancel(command?.id ?? '');
    await settled();
    await expect(parts.drains.undrain(drain.id)).rejects.toThrow(/has ended: there is nothing to take back/);
    await expect(parts.drains.undrain('drain-0')).rejects.toThrow('drain drain-0 is not known');
  });
});
