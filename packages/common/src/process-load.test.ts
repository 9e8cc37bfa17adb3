import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { createIsBusy } from './process-load.js';

/** Keeps the event loop from anything else. */
function work(ms: number): void {
  for (const endMs = performance.now() + ms; performance.now() < endMs;) Math.sqrt(endMs);
}

describe('a process', () => {
  it('is busy while it does nothing but work', async () => {
    const isBusy = createIsBusy();
    for (let n = 0; n < 20 && !isBusy(); n += 1) {
      work(20);
      await pause(0);
    }
    expect(isBusy()).toBe(true);
  });
});
