import { describe, expect, it } from '@jest/globals';
import { createOffset, testClockOffsetMs } from './test-clock.js';

describe('the clock of a test', () => {
  it('that is not built in puts nothing forward', () => {
    expect(testClockOffsetMs()).toBe(0);
  });

  it('is read again after a while, and is right when the file is missing or says no number', () => {
    let text: string | undefined = '3600000';
    let nowMs = 0;
    const offset = createOffset(
      () => {
        if (text === undefined) throw new Error('there is no such file');
        return text;
      },
      () => nowMs,
    );
    expect(offset()).toBe(3_600_000);
    text = '-5';
    expect(offset()).toBe(3_600_000);
    nowMs += 100;
    expect(offset()).toBe(-5);
    for (text of ['tomorrow', undefined]) {
      nowMs += 100;
      expect(offset()).toBe(0);
    }
  });
});
