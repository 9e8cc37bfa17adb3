import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { backoffDelayMs } from './backoff.js';

const OPTIONS = { firstMs: 5_000, maxMs: 30_000 };
const almostOne = () => 1 - Number.EPSILON;

describe('backoff', () => {
  it('has a bound that begins at the first, doubles, and stays at the most', () => {
    const bounds = [0, 1, 2, 3, 4, 1_000, 100_000].map((attempt) =>
      backoffDelayMs(OPTIONS, attempt, almostOne),
    );
    expect(bounds).toEqual([5_000, 10_000, 20_000, 30_000, 30_000, 30_000, 30_000]);
  });

  it('grows by another factor if told so', () => {
    expect(backoffDelayMs({ firstMs: 10, maxMs: 10_000, factor: 3 }, 2, almostOne)).toBe(90);
  });

  it('takes any value from 0 to the bound (full jitter)', () => {
    expect(backoffDelayMs(OPTIONS, 3, () => 0)).toBe(0);
    expect(backoffDelayMs(OPTIONS, 0, () => 0.5)).toBe(2_500);
    fc.assert(
      fc.property(
        fc.nat(200),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (attempt, random) => {
          const delayMs = backoffDelayMs(OPTIONS, attempt, () => random);
          expect(Number.isInteger(delayMs)).toBe(true);
          expect(delayMs).toBeGreaterThanOrEqual(0);
          expect(delayMs).toBeLessThanOrEqual(Math.min(30_000, 5_000 * 2 ** attempt));
        },
      ),
      { seed: 3 },
    );
  });
});
