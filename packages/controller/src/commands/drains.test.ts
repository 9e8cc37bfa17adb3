/** Drains as objects: their beginning, their pace, their end. Taking them back: undrain.test.ts. */
import { describe, expect, it } from '@jest/globals';
import { createParts, settled, type FakeLink, type Parts } from '../parts.contract.js';
import { createMemoryStore } from '../store/memory-store.contract.js';
import { vmEvent, vmReport } from '../store/samples.contract.js';
import type { DrainRequest } from './drains.js';
import { BadDrainError } from './errors.js';

const HOUR_MS = 3_600_000;

const request = (fields: Partial<DrainRequest> = {}): DrainRequest => ({
  selector: { all: true },
  reason: 'new image',
  createdBy: 'operator',
  force: false,
  then: 'keep',
  ...fields,
});

/** VMs with an open stream whose commands go out. */
function connectVms(parts: Parts, count: number): Map<string, FakeLink> {
  const links = new Map<string, FakeLink>();
  for (let n = 1; n <= count; n += 1) {
    const vmId = `vm-${n}`;
    links.set(vmId, parts.connect({ vmId }));
    parts.delivery.attach(vmId);
  }
  parts.feed.subscribe((change) => {
    if (change.kind === 'command' && change.command.state === 'queued')
      parts.delivery.kick(change.command.vmId);
  });
  return links;
}

const states = (parts: Parts, drainId: string): Record<string, string> =>
  Object.fromEntries(parts.drains.get(drainId).vms.map((vm) => [vm.vmId, vm.state]));

/** The VM says how its newest command of this type ended. */
async function answer(
  parts: Parts,
  vmId: string,
  type: string,
  result: { success: boolean; message?: string; result?: Record<string, string> } = { success: true },
): Promise<void> {
  const command = parts.queue
    .list({ vmId })
    .filter((candidate) => candidate.type === type)
    .at(-1);
  await parts.queue.acknowledge(vmId, {
    commandId: command?.id ?? '',
    phase: 'completed',
    message: '',
    result: {},
    ...result,
  });
  await settled();
}

const restart = (parts: Parts): Parts =>
  createParts({
    store: createMemoryStore({
      vms: [...parts.store.vms.values()],
      commands: [...parts.store.commands.values()],
      drains: [...parts.store.drains.values()],
    }),
  });

describe('making a drain', () => {
  it('is answered when it is on disk, not before, and nothing has begun until then (I1)', async () => {
    const parts = createParts();
    const links = connectVms(parts, 1);
    const release = parts.store.hold();
    let made = false;
    const creating = parts.drains.create(request()).then((drain) => {
      made = true;
      return drain;
    });
    await settled();
    expect([made, parts.drains.list(), parts.queue.list({})]).toEqual([false, [], []]);
    release();
    const { id } = await creating;
    await settled();
    expect(parts.store.drains.get(id)).toMatchObject({ id, state: 'active', reason: 'new image' });
    expect(links.get('vm-1')?.commands()).toMatchObject([
      { type: 'drain', parameters: { reason: 'new image', deadline_ms: HOUR_MS } },
    ]);
    expect(parts.queue.list({})).toMatchObject([{ createdBy: id, forBoot: 'boot-1' }]);
  });

  it('that cannot be stored is refused, and nothing begins', async () => {
    const parts = createParts();
    connectVms(parts, 1);
    parts.store.failNext(1);
    await expect(parts.drains.create(request({ idempotencyKey: 'k' }))).rejects.toThrow('disk full');
    await settled();
    expect([parts.drains.list(), parts.queue.list({})]).toEqual([[], []]);
    await expect(parts.drains.create(request({ idempotencyKey: 'k' }))).resolves.toMatchObject({
      state: 'active',
    });
  });

  it('with the same key again gives the same drain, also while the first is being stored, and over a restart', async () => {
    const parts = createParts();
    connectVms(parts, 1);
    const key = { idempotencyKey: 'k' };
    const [first, second] = await Promise.all([
      parts.drains.create(request(key)),
      parts.drains.create(request(key)),
    ]);
    expect(second.id).toBe(first.id);
    expect((await restart(parts).drains.create(request(key))).id).toBe(first.id);
    expect((await parts.drains.create(request({ idempotencyKey: 'other' }))).id).not.toBe(first.id);
    expect((await parts.drains.create(request({ ...key, createdBy: 'somebody else' }))).id).not.toBe(
      first.id,
    );
  });

  it('chooses by name, pool, labels or all; VMs that have ended are left out unless they are named', async () => {
    const parts = createParts();
    parts.connect({ vmId: 'vm-1', poolId: 'pool-a', labels: ['gpu'] });
    parts.connect({ vmId: 'vm-2', poolId: 'pool-b' });
    parts.connect({ vmId: 'vm-3', poolId: 'pool-a' });
    parts.fleet.apply(vmEvent({ vmId: 'vm-3', type: 'vm_shutting_down', data: { outcome: 'drained' } }));
    const chosen = async (selector: DrainRequest['selector']) =>
      (await parts.drains.create(request({ selector }))).vms.map((vm) => vm.vmId);
    expect(await chosen({ all: true })).toEqual(['vm-1', 'vm-2']);
    expect(await chosen({ poolId: 'pool-a' })).toEqual(['vm-1']);
    expect(await chosen({ labels: ['GPU', 'pool-label'] })).toEqual(['vm-1']);
    expect(await chosen({ labels: ['pool-label'] })).toEqual(['vm-1', 'vm-2']);
    expect(await chosen({ vmIds: ['vm-3', 'vm-1', 'vm-1'] })).toEqual(['vm-1', 'vm-3']);
  });

  it.each([
    [{ vmIds: ['vm-1', 'vm-8', 'vm-9'] }, /^2 VMs were never seen .*: vm-8, vm-9;/],
    [{ poolId: 'pool-z' }, /^pool pool-z has no VM /],
    [{ labels: ['arm', 'gpu'] }, /^no VM has the labels arm, gpu /],
  ])('of nothing is refused, and says what was not found: %j', async (selector, message) => {
    const parts = createParts();
    connectVms(parts, 1);
    await expect(parts.drains.create(request({ selector }))).rejects.toThrow(message);
    await expect(parts.drains.create(request({ selector }))).rejects.toThrow(BadDrainError);
    expect(parts.store.drains.size).toBe(0);
  });
});

describe('how a drain goes on', () => {
  it('ends when every VM has, as its command did', async () => {
    const parts = createParts();
    connectVms(parts, 3);
    const { id } = await parts.drains.create(request());
    await settled();
    expect(states(parts, id)).toEqual({ 'vm-1': 'draining', 'vm-2': 'draining', 'vm-3': 'draining' });
    expect(parts.drains.drainIdOf('vm-1')).toBe(id);
    await answer(parts, 'vm-1', 'drain', { success: true, message: 'drained' });
    await answer(parts, 'vm-2', 'drain', { success: false, message: 'no' });
    expect(parts.drains.get(id).state).toBe('active');
    await answer(parts, 'vm-3', 'drain');
    expect(parts.drains.get(id)).toMatchObject({
      state: 'completed',
      finishedAt: parts.clock.now(),
      vms: [
        { state: 'done', message: 'drained', finishedAt: parts.clock.now() },
        { state: 'failed', message: 'no' },
        { state: 'done' },
      ],
    });
    expect(parts.drains.drainIdOf('vm-1')).toBeUndefined();
  });

  it('then shutdown: each VM is shut down after it is drained, and is done when it has ended', async () => {
    const parts = createParts();
    const links = connectVms(parts, 1);
    const { id } = await parts.drains.create(request({ then: 'shutdown' }));
    await settled();
    await answer(parts, 'vm-1', 'drain');
    expect(states(parts, id)).toEqual({ 'vm-1': 'shuttingDown' });
    expect(
      links
        .get('vm-1')
        ?.commands()
        .map((command) => command.type),
    ).toEqual(['drain', 'shutdown']);
    parts.fleet.apply(vmEvent({ type: 'vm_shutting_down', data: { outcome: 'drained' } }));
    await settled();
    expect(parts.drains.get(id)).toMatchObject({
      state: 'completed',
      vms: [{ state: 'done', message: 'the VM has ended (drained)' }],
    });
  });

  it('force and deadline reach the VMs', async () => {
    const parts = createParts();
    const links = connectVms(parts, 1);
    await parts.drains.create(request({ force: true, deadlineMs: 0, reason: '' }));
    await settled();
    expect(links.get('vm-1')?.commands()[0]?.parameters).toEqual({ deadline_ms: 0, force: true });
  });

  it('never more than max_unavailable drain at once; the next begins when one has ended', async () => {
    const parts = createParts();
    connectVms(parts, 7);
    const { id } = await parts.drains.create(request({ maxUnavailable: 2, then: 'shutdown' }));
    await settled();
    const seen: number[] = [];
    for (let n = 1; n <= 7; n += 1) {
      const under = Object.entries(states(parts, id)).filter(
        ([, state]) => state === 'draining' || state === 'shuttingDown',
      );
      seen.push(under.length);
      const [vmId] = under[0] ?? [''];
      await answer(parts, vmId, 'drain');
      // Between its drain and its end it still counts.
      expect(states(parts, id)[vmId]).toBe('shuttingDown');
      parts.drains.sweep();
      await settled();
      expect(Object.values(states(parts, id)).filter((state) => state === 'draining').length).toBeLessThan(2);
      await answer(parts, vmId, 'shutdown');
    }
    expect(seen).toEqual([2, 2, 2, 2, 2, 2, 1]);
    expect(parts.drains.get(id).state).toBe('completed');
  });

  it('a VM that is offline is waited for, holds no place of the others, and has its turn when it is back', async () => {
    const parts = createParts();
    const links = connectVms(parts, 3);
    parts.disconnect(links.get('vm-1') as FakeLink);
    const { id } = await parts.drains.create(request({ maxUnavailable: 1 }));
    await settled();
    expect(states(parts, id)).toEqual({ 'vm-1': 'waiting', 'vm-2': 'draining', 'vm-3': 'waiting' });
    const waiting = parts.drains.get(id).vms[0];
    expect(parts.drains.reason(parts.drains.get(id), waiting as never)).toMatch(
      /^offline since .* waits for it to return$/,
    );
    links.set('vm-1', parts.connect({ vmId: 'vm-1' }));
    parts.feed.publish({ kind: 'link', vmId: 'vm-1', connected: true });
    await settled();
    expect(states(parts, id)['vm-1']).toBe('waiting');
    await answer(parts, 'vm-2', 'drain');
    expect(states(parts, id)).toEqual({ 'vm-1': 'draining', 'vm-2': 'done', 'vm-3': 'waiting' });
  });

  it('a VM that stays away is given up after an hour, and is not drained when it comes after all', async () => {
    const parts = createParts();
    const links = connectVms(parts, 1);
    parts.disconnect(links.get('vm-1') as FakeLink);
    const { id } = await parts.drains.create(request());
    for (const waitMs of [0, HOUR_MS - 1_000]) {
      parts.clock.advance(waitMs);
      parts.drains.sweep();
      await settled();
      expect(states(parts, id)).toEqual({ 'vm-1': 'waiting' });
    }
    parts.clock.advance(1_000);
    parts.drains.sweep();
    await settled();
    expect(parts.drains.get(id)).toMatchObject({
      state: 'completed',
      vms: [{ state: 'failed', message: 'the VM was not reached within 60 min' }],
    });
    const link = parts.connect();
    parts.delivery.attach('vm-1');
    await settled();
    expect(link.commands()).toEqual([]);
  });

  it('a drain belongs to a boot: a VM that comes back as another is gone from it, whether it waited or drained', async () => {
    const parts = createParts();
    const links = connectVms(parts, 2);
    parts.disconnect(links.get('vm-2') as FakeLink);
    const { id } = await parts.drains.create(request());
    await settled();
    expect(states(parts, id)).toEqual({ 'vm-1': 'draining', 'vm-2': 'waiting' });
    for (const vmId of ['vm-1', 'vm-2']) {
      const reborn = parts.connect({ vmId, bootId: 'boot-2' });
      parts.delivery.attach(vmId);
      await settled();
      // What may have reached the boot before is asked for, never ordered again.
      expect(reborn.commands().filter((command) => command.startWithinMs >= 0)).toEqual([]);
    }
    expect(states(parts, id)).toEqual({ 'vm-1': 'gone', 'vm-2': 'gone' });
    expect(parts.drains.get(id).state).toBe('completed');
  });

  it('says why a VM is not done: its job, how long it runs, and when the drain ends it', async () => {
    const parts = createParts();
    connectVms(parts, 1);
    const { id } = await parts.drains.create(request());
    await settled();
    const { vmId } = parts.drains.get(id).vms[0] ?? { vmId: '' };
    const command = parts.queue.list({ vmId })[0];
    await parts.queue.acknowledge(vmId, {
      commandId: command?.id ?? '',
      phase: 'received',
      success: true,
      message: '',
      result: {},
    });
    const startedAt = parts.clock.now();
    parts.clock.advance(12 * 60_000);
    parts.fleet.heartbeat({
      vmId,
      poolId: 'pool-a',
      orgId: 'acme',
      bootId: 'boot-1',
      at: parts.clock.now(),
      intervalMs: 0,
      report: vmReport({
        state: 'draining.finishingJob',
        currentJob: {
          jobId: '8431',
          runId: '',
          name: '',
          repository: 'org/app',
          branch: '',
          commit: '',
          status: 'running',
          startedAt,
        },
      }),
    });
    const drain = parts.drains.get(id);
    expect(parts.drains.reason(drain, drain.vms[0] as never)).toBe(
      'job 8431 of org/app runs for 12 min; ended by the drain at 03:00:00 UTC',
    );
  });

  it('an operator who cancels its command, or drains the VM anew, is followed', async () => {
    const parts = createParts();
    const links = connectVms(parts, 2);
    const { id } = await parts.drains.create(request());
    await settled();
    const [first] = parts.queue.list({ vmId: 'vm-1' });
    await parts.queue.cancel(first?.id ?? '');
    await settled();
    expect(states(parts, id)['vm-1']).toBe('cancelled');

    const [second] = parts.queue.list({ vmId: 'vm-2' });
    parts.disconnect(links.get('vm-2') as FakeLink);
    expect(second?.attempts).toBe(1);
    await parts.submit({ vmId: 'vm-2', type: 'drain', parameters: {} });
    await settled();
    expect(states(parts, id)['vm-2']).toBe('draining');
  });
});

describe('a drain over a restart of the controller', () => {
  it('goes on where it was: nobody is drained twice, and no more at a time than before', async () => {
    const before = createParts();
    connectVms(before, 4);
    const { id } = await before.drains.create(request({ maxUnavailable: 2 }));
    await settled();
    // Killed before its progress was written: the file still says that all wait.
    expect(before.store.drains.get(id)?.vms.map((vm) => vm.state)).toEqual(Array(4).fill('waiting'));
    const after = restart(before);
    connectVms(after, 4);
    after.drains.sweep();
    await settled();
    expect(states(after, id)).toEqual({
      'vm-1': 'draining',
      'vm-2': 'draining',
      'vm-3': 'waiting',
      'vm-4': 'waiting',
    });
    expect(after.queue.list({})).toHaveLength(2);
    for (const vmId of ['vm-1', 'vm-2', 'vm-3', 'vm-4']) await answer(after, vmId, 'drain');
    expect(after.drains.get(id).state).toBe('completed');
    expect(after.queue.list({})).toHaveLength(4);
  });

  it('a VM that was told keeps its place, although another connects first after the restart', async () => {
    const before = createParts();
    const links = connectVms(before, 2);
    before.disconnect(links.get('vm-1') as FakeLink);
    const { id } = await before.drains.create(request({ maxUnavailable: 1 }));
    await settled();
    expect(states(before, id)).toEqual({ 'vm-1': 'waiting', 'vm-2': 'draining' });
    const after = restart(before);
    connectVms(after, 1);
    after.drains.sweep();
    await settled();
    expect(states(after, id)).toEqual({ 'vm-1': 'waiting', 'vm-2': 'draining' });
  });

  it('an orderly end writes its progress', async () => {
    const parts = createParts();
    connectVms(parts, 1);
    const { id } = await parts.drains.create(request());
    await settled();
    await parts.drains.stop();
    expect(parts.store.drains.get(id)?.vms).toMatchObject([{ state: 'draining' }]);
  });

  it('progress that cannot be written is written later', async () => {
    const parts = createParts();
    connectVms(parts, 1);
    const { id } = await parts.drains.create(request());
    await settled();
    parts.store.failNext(1);
    parts.clock.advance(300);
    await settled();
    expect(parts.store.drains.get(id)?.vms[0]?.state).toBe('waiting');
    parts.clock.advance(5_000);
    await settled();
    expect(parts.store.drains.get(id)?.vms[0]?.state).toBe('draining');
  });

  it('a command that cannot be stored is tried again, and the VM keeps its place', async () => {
    const parts = createParts();
    connectVms(parts, 2);
    const { id } = await parts.drains.create(request({ maxUnavailable: 1 }));
    parts.store.failNext(1);
    await settled();
    expect(states(parts, id)).toEqual({ 'vm-1': 'draining', 'vm-2': 'waiting' });
    expect(parts.queue.list({})).toEqual([]);
    parts.drains.sweep();
    await settled();
    expect(parts.queue.list({})).toHaveLength(1);
  });
});

describe('limits (I12)', () => {
  it('ended drains are forgotten with their age, on disk too; active ones never', async () => {
    const parts = createParts();
    connectVms(parts, 1);
    const { id } = await parts.drains.create(request());
    await settled();
    parts.clock.advance(8 * 24 * HOUR_MS);
    parts.drains.sweep();
    expect(parts.drains.list()).toHaveLength(1);
    await answer(parts, 'vm-1', 'drain');
    parts.clock.advance(8 * 24 * HOUR_MS);
    await settled();
    parts.drains.sweep();
    await settled();
    expect([parts.drains.list(), parts.store.drains.size]).toEqual([[], 0]);
    expect(() => parts.drains.get(id)).toThrow(`drain ${id} is not known`);
  });
});
