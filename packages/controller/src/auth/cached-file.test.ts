import { describe, expect, it } from '@jest/globals';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { createCachedFile } from './cached-file.js';

describe('a file that is read by many at once', () => {
  it('is read once in a second, and anew when it may have changed', async () => {
    const clock = createManualClock();
    let reads = 0;
    const read = createCachedFile(async (file) => `${file} ${(reads += 1)}`, clock);
    expect(await Promise.all([read('a'), read('a'), read('b')])).toEqual(['a 1', 'a 1', 'b 2']);
    clock.advance(999);
    expect(await read('a')).toBe('a 1');
    clock.advance(1);
    expect(await read('a')).toBe('a 3');
  });

  it('is tried again at once when it could not be read', async () => {
    const answers = [Promise.reject(new Error('no')), Promise.resolve('yes')];
    const read = createCachedFile(() => answers.shift() ?? Promise.resolve(undefined), createManualClock());
    await expect(read('a')).rejects.toThrow('no');
    expect(await read('a')).toBe('yes');
  });
});
