import { describe, expect, it } from '@jest/globals';
import { PART_NAMES, readProofOptions } from './options.js';

describe('the command line of the proof', () => {
  it('has defaults for everything', () => {
    expect(readProofOptions([])).toEqual({
      kind: 'run',
      options: {
        vms: 100,
        rounds: 3,
        seconds: 90,
        seed: 1,
        only: PART_NAMES,
        jsonFile: undefined,
        keep: false,
      },
    });
  });

  it('runs the parts that are named, in their own order', () => {
    const reading = readProofOptions(['--only', 'secrets', '--only', 'lives', '--seed', '7']);
    expect(reading).toMatchObject({ kind: 'run', options: { only: ['lives', 'secrets'], seed: 7 } });
  });

  it('names everything that is wrong at once', () => {
    const reading = readProofOptions(['--vms', '1', '--seconds', 'long', '--only', 'life']);
    expect(reading).toEqual({
      kind: 'refused',
      faults: [
        '--only "life" is not valid: use lives, races, secrets',
        '--vms "1" is not valid: use a whole number from 2 to 500',
        '--seconds "long" is not valid: use a whole number from 5 to 3600',
      ],
    });
  });
});
