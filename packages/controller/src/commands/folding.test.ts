/** Newer commands that take the place of older ones which wait for an offline VM. */
import { describe, expect, it } from '@jest/globals';
import { createParts, settled } from '../parts.contract.js';

const states = (parts: ReturnType<typeof createParts>) =>
  parts.queue.list({}).map((command) => [command.type, command.state]);

describe('folding', () => {
  it.each([
    ['drain', 'drain'],
    ['drain', 'undrain'],
    ['undrain', 'drain'],
    ['shutdown', 'shutdown'],
  ])('an offline VM has a %s waiting; a newer %s takes its place, and it says so', async (first, second) => {
    const parts = createParts();
    const older = await parts.submit({ type: first, parameters: {} });
    const newer = await parts.submit({ type: second, parameters: {} });
    await settled();
    expect(parts.queue.get(older.id)).toMatchObject({
      state: 'superseded',
      supersededBy: newer.id,
      message: `${newer.id} took its place before it went out`,
      finishedAt: parts.clock.now(),
    });
    expect(parts.store.commands.get(older.id)?.state).toBe('superseded');
    expect(parts.queue.open('vm-1').map(({ id }) => id)).toEqual([newer.id]);
  });

  it('of log levels the last counts; of settings, the newer takes along what only the older sets', async () => {
    const parts = createParts();
    await parts.submit({ parameters: { level: 'debug' } });
    await parts.submit({ type: 'update_config', parameters: { log_level: 'warn', labels: 'a' } });
    await parts.submit({ parameters: { level: 'info' } });
    await parts.submit({ type: 'update_config', parameters: { labels: 'b', drain_deadline_ms: 5 } });
    expect(parts.queue.open('vm-1').map(({ parameters }) => parameters)).toEqual([
      { level: 'info' },
      { log_level: 'warn', labels: 'b', drain_deadline_ms: 5 },
    ]);
  });

  it('a newer drain takes along force and an earlier deadline; an undrain in between takes them back', async () => {
    const parts = createParts();
    const last = () => parts.queue.open('vm-1').at(-1)?.parameters;
    await parts.submit({ type: 'drain', parameters: { force: true, deadline_ms: 60_000 } });
    await parts.submit({ type: 'drain', parameters: { reason: 'b', deadline_ms: 90_000 } });
    expect(last()).toEqual({ reason: 'b', deadline_ms: 60_000, force: true });
    await parts.submit({ type: 'undrain', parameters: {} });
    await parts.submit({ type: 'drain', parameters: { deadline_ms: 0 } });
    expect(last()).toEqual({ deadline_ms: 0 });
  });

  it('commands of other kinds, of other VMs, and registrations stay', async () => {
    const parts = createParts();
    for (const type of ['drain', 'shutdown', 'register_runner', 'register_runner'])
      await parts.submit({ type, parameters: {} });
    await parts.submit({ vmId: 'vm-2', type: 'drain', parameters: {} });
    expect(states(parts).every(([, state]) => state === 'queued')).toBe(true);
  });

  it('what may have reached the VM is not folded, nor anything of a VM that is connected', async () => {
    const parts = createParts();
    const sent = await parts.submit({ type: 'drain', parameters: {} });
    await parts.queue.markSent(sent.id, 'boot-1');
    parts.queue.requeueSent('vm-1');
    await parts.submit({ type: 'drain', parameters: {} });
    expect(parts.queue.get(sent.id).state).toBe('queued');
    parts.connect();
    await parts.submit({ type: 'drain', parameters: {} });
    expect(states(parts)).toEqual([
      ['drain', 'queued'],
      ['drain', 'queued'],
      ['drain', 'queued'],
    ]);
  });

  it('the older stays if the newer cannot be stored (I1)', async () => {
    const parts = createParts();
    const older = await parts.submit({ type: 'drain', parameters: {} });
    parts.store.failNext(1);
    await expect(parts.submit({ type: 'drain', parameters: {} })).rejects.toThrow('disk full');
    expect(parts.queue.open('vm-1').map(({ id }) => id)).toEqual([older.id]);
  });

  it('the older is folded only when the newer is on disk, and not if it went out meanwhile', async () => {
    const parts = createParts();
    const older = await parts.submit({ type: 'drain', parameters: {} });
    const release = parts.store.hold();
    const submitted = parts.submit({ type: 'drain', parameters: {} });
    await settled();
    expect(parts.queue.get(older.id).state).toBe('queued');
    void parts.queue.markSent(older.id, 'boot-1');
    release();
    await submitted;
    expect(parts.queue.get(older.id).state).toBe('sent');
  });
});
