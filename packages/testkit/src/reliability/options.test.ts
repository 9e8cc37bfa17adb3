import { describe, expect, it } from '@jest/globals';
import { PART_NAMES, readReliabilityOptions } from './options.js';

describe('npm run reliability', () => {
  it('without flags measures everything as the docs have it', () => {
    expect(readReliabilityOptions([])).toMatchObject({
      kind: 'run',
      options: { vms: 200, commands: 10_000, storm: 1_000, kills: 200, only: PART_NAMES, seed: 1 },
    });
  });

  it('takes parts in their own order, however they are named', () => {
    expect(readReliabilityOptions(['--only', 'storm', '--only', 'drain'])).toMatchObject({
      options: { only: ['drain', 'storm'] },
    });
  });

  it('names every fault at once, with the flag, the value and what is allowed', () => {
    const reading = readReliabilityOptions(['--vms', '1', '--commands', 'x', '--only', 'rain']);
    expect(reading).toEqual({
      kind: 'refused',
      faults: [
        '--only "rain" is not valid: use commands, drain, deadline, effects, recovery, storm',
        '--vms "1" is not valid: use a whole number from 10 to 1000',
        '--commands "x" is not valid: use a whole number from 100 to 100000',
      ],
    });
    expect(readReliabilityOptions(['--wms', '1']).kind).toBe('refused');
  });
});
