/** What is done at once, what later, and how much of it while others need the time. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { createManualClock, type ManualClock } from '../../../../common/src/manual-clock.contract.js';
import { createSoon, type Soon } from './soon.js';

let clock: ManualClock;
let isBusy: boolean;
let begun: string[];
/** Ends the task of this name. */
let ends: Map<string, () => void>;
let soon: Soon;

beforeEach(() => {
  clock = createManualClock();
  isBusy = false;
  begun = [];
  ends = new Map();
  soon = createSoon(
    clock,
    (name) => {
      begun.push(name);
      return new Promise((resolve) => ends.set(name, resolve));
    },
    { afterMs: 500, parallel: 2, isBusy: () => isBusy, perSecondIfBusy: 10 },
  );
});

async function end(...names: string[]): Promise<void> {
  for (const name of names) ends.get(name)?.();
  await new Promise((resolve) => setImmediate(resolve));
}

describe('what is asked for', () => {
  it('for later is begun after its time, once, however often it was asked for; for now at once', () => {
    soon.add('a', 'later');
    clock.advance(400);
    soon.add('a', 'later');
    soon.add('b', 'now');
    expect(begun).toEqual(['b']);
    clock.advance(99);
    expect(begun).toEqual(['b']);
    clock.advance(1);
    expect(begun).toEqual(['b', 'a']);
  });

  it('goes a few at a time, in the order in which it is due', async () => {
    for (const name of ['a', 'b', 'c', 'd']) soon.add(name, 'now');
    expect(begun).toEqual(['a', 'b']);
    await end('b');
    expect(begun).toEqual(['a', 'b', 'c']);
    await end('a', 'c');
    expect(begun).toEqual(['a', 'b', 'c', 'd']);
  });

  it('goes slowly while the process is busy, and at once when it is not', async () => {
    isBusy = true;
    const names = Array.from({ length: 40 }, (_, n) => `n${n}`);
    for (const name of names) soon.add(name, 'now');
    const turn = async (): Promise<void> => {
      for (let count = -1; count !== begun.length;) {
        count = begun.length;
        await end(...begun);
      }
    };
    await turn();
    expect(begun).toHaveLength(10);
    for (let n = 0; n < 10; n += 1) {
      clock.advance(100);
      await turn();
    }
    expect(begun).toHaveLength(20);
    isBusy = false;
    clock.advance(20);
    await turn();
    expect(begun).toEqual(names);
  });

  it('is all done at a flush, what was to come later too', async () => {
    isBusy = true;
    for (let n = 0; n < 15; n += 1) soon.add(`n${n}`, 'later');
    let flushed = false;
    const flushing = soon.flush().then(() => (flushed = true));
    while (begun.length < 15) {
      expect(flushed).toBe(false);
      await end(...begun);
    }
    expect(flushed).toBe(false);
    await end(...begun);
    await flushing;
    expect(begun).toHaveLength(15);
  });
});
