/** How commands end: by the VM's word, by their deadlines, by the operator. */
import { describe, expect, it } from '@jest/globals';
import { RESULT_EXPIRED, type CommandAck } from '@mig/common/domain/command';
import { createParts, settled } from '../parts.contract.js';
import { createMemoryStore } from '../store/memory-store.contract.js';
import { commandRecord } from '../store/samples.contract.js';
import { StoreUnavailableError } from '../store/store.js';
import { NotCancellableError, UnknownCommandError } from './errors.js';

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

const ack = (commandId: string, fields: Partial<CommandAck> = {}): CommandAck => ({
  commandId,
  phase: 'completed',
  success: true,
  message: '',
  result: {},
  ...fields,
});
const received = (commandId: string) => ack(commandId, { phase: 'received' });
const refusedAsLate = (commandId: string) =>
  ack(commandId, { success: false, message: 'too late', result: { code: RESULT_EXPIRED } });

/** A queue with one command, which went to boot-1. */
async function sentCommand(fields: Parameters<ReturnType<typeof createParts>['submit']>[0] = {}) {
  const parts = createParts();
  const { id } = await parts.submit(fields);
  void parts.queue.markSent(id, 'boot-1');
  return { ...parts, id, get: () => parts.queue.get(id) };
}

describe("the VM's word", () => {
  it('received, then completed: each is recorded with its time, the result once (I2)', async () => {
    const { queue, clock, store, id, get } = await sentCommand();
    clock.advance(SECOND_MS);
    expect(await queue.acknowledge('vm-1', received(id))).toEqual({ resultStored: false });
    expect(get()).toMatchObject({ state: 'received', receivedAt: clock.now() });
    clock.advance(SECOND_MS);
    const done = ack(id, { message: 'ok', result: { level: 'debug' } });
    expect(await queue.acknowledge('vm-1', done)).toEqual({ resultStored: true });
    const record = { state: 'completed', message: 'ok', result: { level: 'debug' }, finishedAt: clock.now() };
    expect(get()).toMatchObject(record);
    clock.advance(SECOND_MS);
    const again = await queue.acknowledge('vm-1', ack(id, { success: false, message: 'other' }));
    expect(again).toEqual({ resultStored: true });
    expect(get()).toMatchObject(record);
    expect(store.commands.get(id)).toEqual(get());
    expect(queue.open('vm-1')).toEqual([]);
  });

  it('received twice, or after the result, changes nothing', async () => {
    const { queue, clock, id, get } = await sentCommand();
    await queue.acknowledge('vm-1', received(id));
    const first = get();
    clock.advance(SECOND_MS);
    await queue.acknowledge('vm-1', received(id));
    expect(get()).toEqual(first);
    await queue.acknowledge('vm-1', ack(id));
    await queue.acknowledge('vm-1', received(id));
    expect(get().state).toBe('completed');
  });

  it('a result alone is enough (legacy), a failure is a failure, with its message', async () => {
    const { queue, id, get } = await sentCommand();
    await queue.acknowledge('vm-1', ack(id, { success: false, message: 'parameter level: ...' }));
    expect(get()).toMatchObject({ state: 'failed', message: 'parameter level: ...' });
  });

  it('is taken all the same when the stream ends while it is written down', async () => {
    const { queue, store, id, get } = await sentCommand();
    queue.requeueSent('vm-1');
    const release = store.hold();
    const told = queue.acknowledge('vm-1', ack(id));
    queue.requeueSent('vm-1');
    release();
    expect(await told).toEqual({ resultStored: true });
    expect(get().state).toBe('completed');
  });

  it('on a command that the stream gave back to the queue is taken all the same', async () => {
    for (const word of [received, ack]) {
      const { queue, id, get } = await sentCommand();
      queue.requeueSent('vm-1');
      expect(get().state).toBe('queued');
      await queue.acknowledge('vm-1', word(id));
      expect(get().state).toBe(word === received ? 'received' : 'completed');
    }
  });

  it("on another VM's command, or on none, changes nothing, and need not be repeated (I10)", async () => {
    const { queue, log, id, get } = await sentCommand();
    const before = get();
    expect(await queue.acknowledge('vm-2', ack(id))).toEqual({ resultStored: true });
    expect(await queue.acknowledge('vm-1', ack('cmd-none'))).toEqual({ resultStored: true });
    expect(get()).toEqual(before);
    expect(log.lines().filter((line) => line['level'] === 'warn')).toHaveLength(2);
  });

  it('that it refused the command because its time had passed is an expiry, not a failure (I3)', async () => {
    const { queue, id, get } = await sentCommand();
    await queue.acknowledge('vm-1', refusedAsLate(id));
    expect(get()).toMatchObject({ state: 'expired', message: 'too late' });
  });

  it('that it does not know what it had taken is a failure: it may have taken effect', async () => {
    const { queue, id, get } = await sentCommand();
    await queue.acknowledge('vm-1', received(id));
    await queue.acknowledge('vm-1', refusedAsLate(id));
    expect(get().state).toBe('failed');
  });

  it('is not confirmed while it cannot be stored, and is confirmed and stored when the VM repeats it (I2)', async () => {
    const { queue, store, id, get } = await sentCommand();
    await queue.acknowledge('vm-1', received(id));
    store.failNext(2);
    await expect(queue.acknowledge('vm-1', ack(id))).rejects.toThrow(StoreUnavailableError);
    await expect(queue.acknowledge('vm-1', ack(id))).rejects.toThrow(StoreUnavailableError);
    expect(store.commands.get(id)?.state).toBe('received');
    expect(await queue.acknowledge('vm-1', ack(id))).toEqual({ resultStored: true });
    expect(store.commands.get(id)).toEqual(get());
    expect(get().state).toBe('completed');
  });

  it('that comes twice is not confirmed before the first is on disk (I2)', async () => {
    const { queue, store, id } = await sentCommand();
    const release = store.hold();
    let confirmed = 0;
    const words = [1, 2].map(() => queue.acknowledge('vm-1', ack(id)).then(() => (confirmed += 1)));
    await settled();
    expect(confirmed).toBe(0);
    release();
    await Promise.all(words);
    expect(store.commands.get(id)?.state).toBe('completed');
  });
});

describe('deadlines (I3)', () => {
  it('have defaults: an hour for the delivery, and by its type for the execution', async () => {
    const { clock, submit } = createParts();
    const command = await submit();
    expect(command.deliveryDeadlineAt).toBe(clock.now() + HOUR_MS);
    expect(command.executionDeadlineAt).toBe(clock.now() + HOUR_MS + 5 * MINUTE_MS);
    const own = await submit({ deliveryDeadlineMs: 1_000, executionDeadlineMs: 2_000 });
    expect(own.deliveryDeadlineAt).toBe(clock.now() + 1_000);
    expect(own.executionDeadlineAt).toBe(clock.now() + 2_000);
  });

  it('a command that was never sent expires at its delivery deadline, and says what it waited for', async () => {
    const { clock, queue, submit } = createParts();
    const [first, second] = [await submit(), await submit({ vmId: 'vm-2', executionDeadlineMs: MINUTE_MS })];
    queue.note(first.id, 'waits for GitHub');
    clock.advance(MINUTE_MS);
    queue.sweep();
    expect(queue.get(second.id)).toMatchObject({ state: 'expired', finishedAt: clock.now() });
    clock.advance(HOUR_MS - MINUTE_MS - 1);
    queue.sweep();
    expect(queue.get(first.id).state).toBe('queued');
    clock.advance(1);
    queue.sweep();
    expect(queue.get(first.id)).toMatchObject({
      state: 'expired',
      message: 'the VM was not reached before the delivery deadline (waits for GitHub)',
    });
  });

  it('an end that is not on disk yet is not shown: a crash would take it back', async () => {
    const parts = createParts();
    const { id } = await parts.submit({ deliveryDeadlineMs: 1_000 });
    parts.clock.advance(2_000);
    const release = parts.store.hold();
    parts.queue.sweep();
    await settled();
    const shown = (): string => parts.queue.stored(parts.queue.get(id)).state;
    expect([parts.queue.get(id).state, shown()]).toEqual(['expired', 'queued']);
    release();
    await settled();
    expect(shown()).toBe('expired');
  });

  it('an end that the disk refused is written when it takes something again, though nobody asks for it', async () => {
    const parts = createParts();
    const { id } = await parts.submit({ deliveryDeadlineMs: 1_000 });
    parts.clock.advance(2_000);
    parts.store.failNext(3);
    for (let n = 0; n < 5; n += 1) {
      parts.queue.sweep();
      await settled();
    }
    expect(parts.store.commands.get(id)?.state).toBe('expired');
    expect(parts.queue.stored(parts.queue.get(id)).state).toBe('expired');
    expect(parts.log.lines().filter(({ msg }) => String(msg).includes('could not be stored'))).toHaveLength(
      1,
    );
  });

  it('one that may have reached the VM waits an hour more for its word, then says that nobody knows', async () => {
    const { clock, queue, get } = await sentCommand();
    queue.requeueSent('vm-1');
    clock.advance(2 * HOUR_MS - 1);
    queue.sweep();
    expect(get().state).toBe('queued');
    clock.advance(1);
    queue.sweep();
    expect(get()).toMatchObject({
      state: 'expired',
      message: expect.stringContaining('is not known') as unknown,
    });
  });

  it.each(['sent', 'received'])(
    'one that is %s ends a minute after its execution deadline',
    async (state) => {
      const { clock, queue, id, get } = await sentCommand({ executionDeadlineMs: 10 * MINUTE_MS });
      if (state === 'received') await queue.acknowledge('vm-1', received(id));
      clock.advance(11 * MINUTE_MS - 1);
      queue.sweep();
      expect(get().state).toBe(state);
      clock.advance(1);
      queue.sweep();
      expect(get()).toMatchObject({
        state: 'expired',
        message: 'no result came from the VM by the execution deadline',
      });
    },
  );

  it('a deadline that passed while the controller was down is seen at the first look', () => {
    const commands = [commandRecord({ deliveryDeadlineAt: 1, executionDeadlineAt: 2 })];
    const { queue } = createParts({ store: createMemoryStore({ commands }) });
    queue.sweep();
    expect(queue.get('cmd-1').state).toBe('expired');
  });
});

describe('cancelling', () => {
  it('a queued or sent command is cancelled, durably', async () => {
    const { queue, store, id } = await sentCommand();
    expect(await queue.cancel(id)).toMatchObject({
      state: 'cancelled',
      message: 'cancelled by the operator',
    });
    expect(store.commands.get(id)?.state).toBe('cancelled');
  });

  it('that could not be stored is refused, and is stored when the operator asks again', async () => {
    const { queue, store, id, get } = await sentCommand();
    store.failNext(1);
    await expect(queue.cancel(id)).rejects.toThrow(StoreUnavailableError);
    expect(await queue.cancel(id)).toEqual(get());
    expect(store.commands.get(id)).toMatchObject({ state: 'cancelled' });
    await expect(queue.cancel(id)).rejects.toThrow(NotCancellableError);
  });

  it('what the VM has taken, and what has ended, cannot be; an unknown one is unknown', async () => {
    const { queue, id } = await sentCommand();
    await queue.acknowledge('vm-1', received(id));
    await expect(queue.cancel(id)).rejects.toThrow(NotCancellableError);
    await queue.acknowledge('vm-1', ack(id));
    await expect(queue.cancel(id)).rejects.toThrow(
      `command ${id} is completed: only what the VM has not yet taken can be cancelled`,
    );
    await expect(queue.cancel('cmd-none')).rejects.toThrow(UnknownCommandError);
  });
});

describe('a result that comes too late', () => {
  it('is told beside the cancellation that was first, once', async () => {
    const { queue, id, get } = await sentCommand();
    await queue.cancel(id);
    for (let n = 0; n < 2; n += 1)
      expect(await queue.acknowledge('vm-1', ack(id))).toEqual({ resultStored: true });
    expect(get()).toMatchObject({
      state: 'cancelled',
      message: 'cancelled by the operator; the VM had already taken it: done',
    });
  });

  it('is told beside an expiry; that the VM did nothing is not', async () => {
    const { clock, queue, id, get } = await sentCommand();
    clock.advance(3 * HOUR_MS);
    queue.sweep();
    const message = 'no result came from the VM by the execution deadline';
    await queue.acknowledge('vm-1', refusedAsLate(id));
    expect(get().message).toBe(message);
    await queue.acknowledge('vm-1', ack(id, { success: false, message: 'no runner' }));
    expect(get().message).toBe(`${message}; the VM had already taken it: failed (no runner)`);
  });
});
