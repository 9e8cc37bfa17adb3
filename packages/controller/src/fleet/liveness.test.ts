import { describe, expect, it } from '@jest/globals';
import { livenessOf, type Signs } from './liveness.js';

const OPTIONS = { intervalMs: 15_000, lostAfterMs: 90_000 };
const HOUR_MS = 3_600_000;
const signs = (fields: Partial<Signs>): Signs => ({
  silentMs: 0,
  streamDead: false,
  saidIntervalMs: 0,
  askedIntervalMs: 0,
  ended: false,
  ...fields,
});

describe('liveness, from heartbeats and stream alone (I7)', () => {
  it.each<[string, Partial<Signs>, string]>([
    ['has just been heard', {}, 'alive'],
    ['has nearly missed three heartbeats', { silentMs: 44_999 }, 'alive'],
    ['has missed three heartbeats', { silentMs: 45_000 }, 'suspect'],
    ['has a dead stream', { streamDead: true }, 'suspect'],
    ['is silent for nearly its TTL', { silentMs: 89_999, streamDead: true }, 'suspect'],
    ['is silent for its TTL', { silentMs: 90_000 }, 'lost'],
    // Its own interval is longer: three of them may be missed, and the TTL grows in proportion.
    ['says 60 s, silent for 179 s', { saidIntervalMs: 60_000, silentMs: 179_999 }, 'alive'],
    ['says 60 s, silent for 180 s', { saidIntervalMs: 60_000, silentMs: 180_000 }, 'suspect'],
    ['says 60 s, silent for nearly 360 s', { saidIntervalMs: 60_000, silentMs: 359_999 }, 'suspect'],
    ['says 60 s, silent for 360 s', { saidIntervalMs: 60_000, silentMs: 360_000 }, 'lost'],
    ['is asked for 30 s, silent for 89 s', { askedIntervalMs: 30_000, silentMs: 89_999 }, 'alive'],
    ['is asked for 30 s, silent for 180 s', { askedIntervalMs: 30_000, silentMs: 180_000 }, 'lost'],
    // Shorter than configured: the configured one counts.
    ['says 1 s, silent for 44 s', { saidIntervalMs: 1_000, silentMs: 44_999 }, 'alive'],
    // What it says is not believed without bounds.
    ['says 1,000 h, silent for 6 h', { saidIntervalMs: 1_000 * HOUR_MS, silentMs: 6 * HOUR_MS }, 'lost'],
    ['has ended, however long it is silent', { ended: true, silentMs: 9e9, streamDead: true }, 'alive'],
  ])('a VM that %s', (_, fields, liveness) => {
    expect(livenessOf(signs(fields), OPTIONS)).toBe(liveness);
  });

  it('is not lost before three heartbeats could have come, whatever is configured', () => {
    const hasty = { intervalMs: 60_000, lostAfterMs: 90_000 };
    expect(livenessOf(signs({ silentMs: 179_999 }), hasty)).toBe('alive');
    expect(livenessOf(signs({ silentMs: 180_000 }), hasty)).toBe('lost');
  });
});
