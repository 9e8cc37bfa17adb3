/** How many come in at once, by how late the event loop comes to look. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { createManualClock, type ManualClock } from '../../../common/src/manual-clock.contract.js';
import { LOOK_MS, createPace, type Pace } from './pace.js';
import { createTurns } from './turns.js';

let clock: ManualClock;
let pace: Pace;

beforeEach(() => {
  clock = createManualClock();
  pace = createPace(clock);
});

function takeAll(): number {
  let count = 0;
  while (pace.take()) count += 1;
  return count;
}

/** @param lateMs the loop was held up for so long */
function look(lateMs: number): number {
  pace.wait();
  clock.advance(LOOK_MS + lateMs);
  pace.look();
  return takeAll();
}

describe('the pace', () => {
  it('rises while the loop is in time, to a bound, and falls when it is late', () => {
    const first = takeAll();
    const counts = Array.from({ length: 20 }, () => look(0));
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
    expect(counts[0]).toBeGreaterThan(first);
    expect(counts.at(-1)).toBe(32);
    expect(look(20)).toBe(16);
    expect(look(20)).toBe(8);
    expect(Array.from({ length: 5 }, () => look(20)).at(-1)).toBe(4);
  });

  it('begins anew after a calm: what was borne once is no measure of what may come at once', () => {
    const first = takeAll();
    for (let n = 0; n < 20; n += 1) look(0);
    clock.advance(1_000);
    expect(takeAll()).toBe(first);
  });
});

describe('turns', () => {
  it('are given at once while few want them, and then in their order, some at each look', async () => {
    const turn = createTurns(clock);
    const got: number[] = [];
    const waiting: Promise<void>[] = [];
    for (let n = 0; n < 40; n += 1) {
      const given = turn();
      if (given === undefined) got.push(n);
      else waiting.push(given.then(() => void got.push(n)));
    }
    const atOnce = got.length;
    expect(atOnce).toBeGreaterThan(0);
    expect(atOnce).toBeLessThan(40);
    clock.advance(LOOK_MS);
    await new Promise((resolve) => setImmediate(resolve));
    expect(got.length).toBeGreaterThan(atOnce);
    expect(got.length).toBeLessThan(40);
    for (let n = 0; n < 10; n += 1) clock.advance(LOOK_MS);
    await Promise.all(waiting);
    expect(got).toEqual(Array.from({ length: 40 }, (_, n) => n));
    expect(clock.timerCount).toBe(0);
  });
});
