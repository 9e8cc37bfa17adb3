import { describe, expect, it } from '@jest/globals';
import { createOutbox, type Outbox } from './outbox.js';

async function drain<T>(outbox: Outbox<T>): Promise<T[]> {
  const taken: T[] = [];
  for await (const message of outbox) taken.push(message);
  return taken;
}

describe('what waits for one stream', () => {
  it('goes out in order, also what comes while it is read', async () => {
    const outbox = createOutbox<number>(10);
    outbox.push(1);
    const reading = drain(outbox);
    for (const n of [2, 3]) {
      await Promise.resolve();
      outbox.push(n);
    }
    outbox.close();
    expect(await reading).toEqual([1, 2, 3]);
  });

  it('has a bound: what is above it is not taken (I12)', () => {
    const outbox = createOutbox<number>(2);
    expect([1, 2, 3].map((n) => outbox.push(n))).toEqual([true, true, false]);
  });

  it('goes out before the error when it is flushed; what comes later is not taken', async () => {
    const outbox = createOutbox<number>(10);
    outbox.push(1);
    outbox.push(2);
    outbox.close(new Error('the end'), 'flush');
    expect(outbox.push(3)).toBe(false);
    const taken: number[] = [];
    const reading = (async () => {
      for await (const message of outbox) taken.push(message);
    })();
    await expect(reading).rejects.toThrow('the end');
    expect(taken).toEqual([1, 2]);
  });

  it('is dropped when the stream ends with an error, and takes nothing after its end', async () => {
    const outbox = createOutbox<number>(2);
    outbox.push(1);
    outbox.close(new Error('first'));
    outbox.close(new Error('second'));
    expect(outbox.push(2)).toBe(false);
    await expect(drain(outbox)).rejects.toThrow('first');
  });
});
