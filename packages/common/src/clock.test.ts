import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { timeSchema } from './api/time.js';
import { systemClock, toRfc3339 } from './clock.js';

describe('a time as text', () => {
  it('is RFC 3339 in UTC with milliseconds', () => {
    expect(toRfc3339(Date.UTC(2026, 10, 21, 2, 3, 4, 5))).toBe('2026-11-21T02:03:04.005Z');
  });

  it('that RFC 3339 cannot say becomes the nearest that it can: no VM can report a time that breaks us', () => {
    expect([-1e300, -1, NaN, Infinity, 8.64e15 + 1].map(toRfc3339)).toEqual([
      '1970-01-01T00:00:00.000Z',
      '1970-01-01T00:00:00.000Z',
      '1970-01-01T00:00:00.000Z',
      '9999-12-31T23:59:59.999Z',
      '9999-12-31T23:59:59.999Z',
    ]);
    fc.assert(
      fc.property(fc.double(), (epochMs) => {
        expect(timeSchema.safeParse(toRfc3339(epochMs)).success).toBe(true);
      }),
      { seed: 16 },
    );
  });

  it('is what the platform says, whatever was said before it', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 200_000 }), { minLength: 2 }), (times) => {
        for (const epochMs of times) expect(toRfc3339(epochMs)).toBe(new Date(epochMs).toISOString());
      }),
      { seed: 17 },
    );
  });
});

describe('the clock of the system', () => {
  it('has timers that fire once, can be taken back, and are not cut short when they are far off', async () => {
    const far = systemClock.setTimer(() => {
      throw new Error('a timer of 100 days fired at once');
    }, 100 * 86_400_000);
    const cancelled = systemClock.setTimer(() => {
      throw new Error('a timer that was taken back fired');
    }, 0);
    systemClock.clearTimer(cancelled);
    const keepAlive = setInterval(() => undefined, 1_000);
    await new Promise<void>((resolve) => systemClock.setTimer(resolve, 1));
    clearInterval(keepAlive);
    systemClock.clearTimer(far);
  });
});
