/** Accepting, ordering and remembering commands. Their endings: command-endings.test.ts. */
import { describe, expect, it } from '@jest/globals';
import { createParts, settled, type Parts } from '../parts.contract.js';
import { createMemoryStore } from '../store/memory-store.contract.js';
import { commandRecord } from '../store/samples.contract.js';
import { StoreUnavailableError } from '../store/store.js';
import { BadCommandError, TooManyCommandsError, UnknownCommandError } from './errors.js';

const HOUR_MS = 3_600_000;
const ids = (commands: readonly { id: string }[]) => commands.map((command) => command.id);
const restart = (parts: Parts) =>
  createParts({ store: createMemoryStore({ commands: [...parts.store.commands.values()] }) });

describe('accepting', () => {
  it('a command is neither listed, deliverable nor announced before it is on disk (I1)', async () => {
    const { store, queue, changes, submit } = createParts();
    const release = store.hold();
    let accepted = false;
    const submitted = submit().then((command) => {
      accepted = true;
      return command;
    });
    await settled();
    expect({ accepted, open: queue.open('vm-1'), list: queue.list({}), changes }).toEqual({
      accepted: false,
      open: [],
      list: [],
      changes: [],
    });
    queue.sweep();
    release();
    const command = await submitted;
    expect(store.commands.get(command.id)).toEqual(command);
    expect(queue.open('vm-1')).toEqual([command]);
    expect(changes).toEqual([{ kind: 'command', command }]);
  });

  it('a command that is on disk first does not overtake one that was submitted before it', async () => {
    const { store, queue, submit } = createParts();
    const releaseFirst = store.hold();
    const first = submit();
    const releaseSecond = store.hold();
    const second = submit();
    releaseSecond();
    await second;
    expect(queue.deliverable('vm-1')).toEqual([]);
    releaseFirst();
    const order = [(await first).id, (await second).id];
    expect(queue.deliverable('vm-1').map((command) => command.id)).toEqual(order);
  });

  it('a command that waited behind one that could not be stored is announced again, so that it goes out', async () => {
    const { store, queue, submit, changes } = createParts();
    store.failNext(1);
    const releaseFirst = store.hold();
    const first = submit();
    const releaseSecond = store.hold();
    const second = submit();
    releaseSecond();
    const command = await second;
    releaseFirst();
    await expect(first).rejects.toThrow('disk full');
    expect(queue.deliverable('vm-1')).toEqual([command]);
    expect(changes).toEqual([
      { kind: 'command', command },
      { kind: 'command', command },
    ]);
  });

  it('a command that cannot be stored is refused and forgotten, and can be submitted again', async () => {
    const { store, queue, submit, changes } = createParts();
    store.failNext(1);
    await expect(submit({ idempotencyKey: 'k' })).rejects.toThrow(StoreUnavailableError);
    expect([queue.list({}), queue.open('vm-1'), changes]).toEqual([[], [], []]);
    await expect(submit({ idempotencyKey: 'k' })).resolves.toMatchObject({ state: 'queued' });
    expect(queue.list({})).toHaveLength(1);
  });

  it('a wrong command is refused with every fault, and nothing is stored', async () => {
    const { store, submit } = createParts();
    const wrong = submit({ parameters: { level: 'loud', force: true } });
    await expect(wrong).rejects.toThrow(BadCommandError);
    await expect(wrong).rejects.toMatchObject({ code: 'bad-command', faults: { length: 2 } });
    await expect(submit({ type: 'reboot' })).rejects.toThrow(/type "reboot" is unknown; the types are /);
    expect(store.commands.size).toBe(0);
  });

  it('a secret is not taken from an operator (I8)', async () => {
    const { submit } = createParts();
    const secret = submit({ type: 'register_runner', parameters: { registration_token: 'S3CRET' } });
    await expect(secret).rejects.toThrow(/^parameter registration_token is a secret/);
    await expect(secret).rejects.not.toThrow(/S3CRET/);
  });

  it('beyond the limit of one VM a submission is refused; other VMs, and ended ones, do not count (I12)', async () => {
    const { queue, submit, connect } = createParts({ limits: { maxOpenPerVm: 2 } });
    connect();
    const first = await submit();
    await submit();
    await expect(submit()).rejects.toThrow(TooManyCommandsError);
    await expect(submit()).rejects.toThrow('VM vm-1 has 2 unfinished commands');
    await submit({ vmId: 'vm-2' });
    await queue.cancel(first.id);
    await submit();
  });

  it('submissions that are still being stored count for the limit too', async () => {
    const { store, submit } = createParts({ limits: { maxOpenPerVm: 2 } });
    const release = store.hold();
    const outcomes = Promise.allSettled([submit(), submit(), submit()]);
    release();
    expect((await outcomes).map((outcome) => outcome.status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  });
});

describe('the same idempotency key', () => {
  it('gives the same command, as it is by then; another VM or key gives another', async () => {
    const { queue, submit } = createParts();
    const first = await submit({ idempotencyKey: 'k' });
    await queue.cancel(first.id);
    expect(await submit({ idempotencyKey: 'k' })).toEqual({ ...queue.get(first.id), state: 'cancelled' });
    const others = await Promise.all([
      submit({ idempotencyKey: 'k2' }),
      submit({ idempotencyKey: 'k', vmId: 'vm-2' }),
    ]);
    expect(new Set([first.id, ...ids(others)]).size).toBe(3);
  });

  it('gives one command when it comes many times at once', async () => {
    const { store, submit } = createParts();
    const all = await Promise.all(Array.from({ length: 10 }, () => submit({ idempotencyKey: 'k' })));
    expect(new Set(ids(all)).size).toBe(1);
    expect(store.commands.size).toBe(1);
  });

  it('gives the same command after a restart', async () => {
    const before = createParts();
    const first = await before.submit({ idempotencyKey: 'k' });
    const after = restart(before);
    expect((await after.submit({ idempotencyKey: 'k' })).id).toBe(first.id);
    expect(after.queue.list({})).toHaveLength(1);
  });

  it('does not confuse a VM and a key that have the same letters together', async () => {
    const { submit } = createParts();
    const [a, b] = await Promise.all([
      submit({ vmId: 'vm', idempotencyKey: '1 x' }),
      submit({ vmId: 'vm-1', idempotencyKey: 'x' }),
    ]);
    expect(a.id).not.toBe(b.id);
  });
});

describe('order and lists', () => {
  it('the commands of a VM keep the order of their submission, through changes and a restart', async () => {
    const parts = createParts();
    const submitted = await Promise.all(Array.from({ length: 5 }, () => parts.submit()));
    void parts.queue.markSent(submitted[2]?.id ?? '', 'boot-1');
    parts.queue.note(submitted[0]?.id ?? '', 'waits');
    expect(ids(parts.queue.open('vm-1'))).toEqual(ids(submitted));
    await settled();
    const after = restart(parts);
    expect(ids(after.queue.open('vm-1'))).toEqual(ids(submitted));
    const next = await after.submit();
    expect(next.sequence).toBe(6);
    expect(ids(after.queue.list({}))).toEqual([...ids(submitted), next.id]);
  });

  it('lists by VM and by state', async () => {
    const { queue, submit } = createParts();
    const [a, b] = [await submit(), await submit({ vmId: 'vm-2' })];
    await queue.cancel(a.id);
    expect(ids(queue.list({ vmId: 'vm-2' }))).toEqual([b.id]);
    expect(ids(queue.list({ state: 'cancelled' }))).toEqual([a.id]);
    expect(queue.list({ vmId: 'vm-2', state: 'cancelled' })).toEqual([]);
    expect(() => queue.get('cmd-none')).toThrow(UnknownCommandError);
  });
});

describe('after a restart', () => {
  it('what was sent is queued again, for it may not have arrived; the rest is as it was (I2)', () => {
    const states = ['queued', 'sent', 'received', 'completed'] as const;
    const commands = states.map((state, index) =>
      commandRecord({ id: `cmd-${index}`, state, sequence: index + 1, attempts: 1 }),
    );
    const { queue } = createParts({ store: createMemoryStore({ commands: commands.reverse() }) });
    expect(queue.list({}).map((command) => command.state)).toEqual([
      'queued',
      'queued',
      'received',
      'completed',
    ]);
    expect(queue.open('vm-1')).toHaveLength(3);
  });
});

describe('forgetting (I12)', () => {
  it('finished commands go with their age, on disk too; unfinished ones never do', async () => {
    const { store, clock, queue, submit } = createParts({ limits: { finishedRetentionMs: HOUR_MS } });
    const [finished, open] = [
      await submit({ idempotencyKey: 'k' }),
      await submit({ vmId: 'vm-2', deliveryDeadlineMs: 50 * HOUR_MS }),
    ];
    await queue.cancel(finished.id);
    clock.advance(HOUR_MS);
    queue.sweep();
    expect(queue.list({})).toHaveLength(2);
    clock.advance(1);
    queue.sweep();
    await settled();
    expect(ids(queue.list({}))).toEqual([open.id]);
    expect([...store.commands.keys()]).toEqual([open.id]);
    expect((await submit({ idempotencyKey: 'k' })).id).not.toBe(finished.id);
  });

  it('beyond the count the oldest finished ones go', async () => {
    const { queue, submit } = createParts({ limits: { maxFinished: 2 } });
    const all = [];
    for (let n = 0; n < 5; n += 1) all.push(await submit({ vmId: `vm-${n}` }));
    for (const { id } of all.slice(1)) await queue.cancel(id);
    queue.sweep();
    expect(ids(queue.list({}))).toEqual([all[0]?.id, all[3]?.id, all[4]?.id]);
  });
});
