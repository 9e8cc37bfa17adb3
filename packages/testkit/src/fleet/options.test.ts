import { describe, expect, it } from '@jest/globals';
import { readFleetOptions } from './options.js';

describe('the fleet’s command line', () => {
  it('without flags is 200 VMs in memory, with no jobs', () => {
    expect(readFleetOptions([])).toMatchObject({
      kind: 'run',
      options: {
        count: 200,
        first: 1,
        stateDirectory: undefined,
        jobs: undefined,
        reconnect: { first: '500ms', max: '5s' },
      },
    });
  });

  it('takes ranges of time', () => {
    expect(readFleetOptions(['--jobs', '1s..1m', '--reconnect', '1s..2s'])).toMatchObject({
      options: { jobs: { minMs: 1_000, maxMs: 60_000 }, reconnect: { first: '1s', max: '2s' } },
    });
  });

  it('connects runners to GitHub, and starts VMs again, only if it is told to', () => {
    expect(readFleetOptions([])).toMatchObject({ options: { connected: false, restartAfterMs: undefined } });
    expect(readFleetOptions(['--connected', '--restart-after', '1s..2s'])).toMatchObject({
      options: { connected: true, restartAfterMs: { min: 1_000, max: 2_000 } },
    });
  });

  it('names every fault at once, with the flag, the value and what is allowed', () => {
    expect(readFleetOptions(['--count', '0', '--jobs', '5s..1s'])).toEqual({
      kind: 'refused',
      faults: [
        '--jobs "5s..1s" is not valid: use MIN..MAX, such as 500ms..5s',
        '--count "0" is not valid: use a whole number from 1 to 100000',
      ],
    });
  });
});
