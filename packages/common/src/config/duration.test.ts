import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { formatDuration, parseDuration } from './duration.js';

describe('durations', () => {
  it.each([
    ['0', 0],
    ['0s', 0],
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5s', 1_500],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['7d', 604_800_000],
    ['1m500ms', 60_500],
  ])('%s is %d ms', (text, durationMs) => expect(parseDuration(text)).toBe(durationMs));

  it.each([
    '',
    '30',
    '-5s',
    's',
    '5 s',
    '5S',
    '5w',
    '1h-5m',
    '1e3s',
    ' 5s',
    '5s\n',
    '.5s',
    'NaN',
    'Infinitys',
  ])('%j is none', (text) => expect(parseDuration(text)).toBeUndefined());

  it('what is written is read as the same, for every duration', () => {
    fc.assert(
      fc.property(fc.nat(4_000_000_000), (durationMs) => {
        expect(parseDuration(formatDuration(durationMs))).toBe(durationMs);
      }),
      { seed: 4 },
    );
  });

  it('is written in the largest units', () => {
    expect([0, 90_000, 86_400_000, 3_661_001].map(formatDuration)).toEqual([
      '0s',
      '1m30s',
      '1d',
      '1h1m1s1ms',
    ]);
  });
});
