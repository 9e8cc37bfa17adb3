import { describe, expect, it } from '@jest/globals';
import { inSeconds, mostAtOnce, peak, percentile } from './statistics.js';

describe('what was timed', () => {
  it('a percentile is one of the values: the one that this share does not exceed', () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([0, 0.5, 0.99, 1].map((share) => percentile(values, share))).toEqual([1, 50, 99, 100]);
  });

  it('a peak is counted in the fullest window, wherever it lies between full seconds', () => {
    expect(peak([0, 900, 950, 1_000, 1_050, 1_899, 3_000], 1_000)).toBe(5);
    expect(peak([], 1_000)).toBe(0);
  });

  it('spans that touch do not overlap, and one without an end goes on', () => {
    const span = (beganAt: number, endedAt?: number) => ({ beganAt, endedAt });
    expect(mostAtOnce([span(0, 10), span(10, 20)])).toBe(1);
    expect(mostAtOnce([span(0), span(10, 20), span(19, 30)])).toBe(3);
  });

  it('milliseconds are told as seconds', () => {
    expect(inSeconds(1_449)).toBe('1.4');
  });
});
