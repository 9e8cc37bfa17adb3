import { describe, expect, it } from '@jest/globals';
import { livenessOf } from './liveness.js';

describe('liveness, from heartbeats and stream alone (I7)', () => {
  const usual = { intervalMs: 15_000, lostAfterMs: 90_000 };
  const slow = { intervalMs: 60_000, lostAfterMs: 90_000 };
  it.each([
    [0, true, usual, 'alive'],
    [44_999, true, usual, 'alive'],
    [45_000, true, usual, 'suspect'],
    [89_999, true, usual, 'suspect'],
    [90_000, true, usual, 'lost'],
    [0, false, usual, 'suspect'],
    [89_999, false, usual, 'suspect'],
    [90_000, false, usual, 'lost'],
    // Never lost before three heartbeats could have come.
    [90_000, true, slow, 'alive'],
    [179_999, true, slow, 'alive'],
    [180_000, true, slow, 'lost'],
  ] as const)('silent for %d ms, connected %s, %j: %s', (silentMs, connected, options, liveness) => {
    expect(livenessOf(silentMs, connected, options)).toBe(liveness);
  });
});
