import { describe, expect, it } from '@jest/globals';
import { PART_NAMES, attacksOf, readHostileOptions } from './options.js';
import { ATTACK_NAMES } from './attack-names.js';

describe('npm run hostile', () => {
  it('without flags measures every attack, and all at once', () => {
    expect(readHostileOptions([])).toMatchObject({
      kind: 'run',
      options: { vms: 50, rate: 100, seconds: 8, rounds: 2, only: PART_NAMES, fuzz: undefined },
    });
    expect(attacksOf('combined')).toEqual(ATTACK_NAMES);
    expect(attacksOf('slow-loris')).toEqual(['slow-loris']);
  });

  it('with --fuzz sends at random in place of it, 10,000 on each if nothing else is said', () => {
    expect(readHostileOptions(['--fuzz'])).toMatchObject({ options: { fuzz: 10_000 } });
    expect(readHostileOptions(['--fuzz', '--count', '5'])).toMatchObject({ options: { fuzz: 5 } });
  });

  it('names every fault at once, with the flag, the value and what is allowed', () => {
    const reading = readHostileOptions(['--vms', '0', '--only', 'rain']);
    expect(reading).toMatchObject({
      kind: 'refused',
      faults: [
        expect.stringContaining('--only "rain" is not valid: use stream-heartbeats'),
        '--vms "0" is not valid: use a whole number from 1 to 1000',
      ],
    });
    expect(readHostileOptions(['--wms', '1']).kind).toBe('refused');
  });
});
