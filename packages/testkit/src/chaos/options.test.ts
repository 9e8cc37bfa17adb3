import { describe, expect, test } from '@jest/globals';
import { CHAOS_HELP, readChaosOptions } from './options.js';

describe('the command line', () => {
  test('without flags it runs a minute with the seed that is given', () => {
    expect(readChaosOptions([], 42)).toEqual({
      kind: 'run',
      options: {
        seed: 42,
        minutes: 1,
        vmCount: 5,
        simulatedCount: 0,
        keep: undefined,
        output: 'text',
        scheduleOnly: false,
      },
    });
  });

  test('every flag is taken, and every flag is in the help', () => {
    const flags = ['seed', '--minutes', '--vms', '--simulated', '--keep', '-o', '--schedule'];
    for (const flag of flags) expect(CHAOS_HELP).toContain(flag);
    const args = '--seed 7 --minutes 0.5 --vms 3 --simulated 200 --keep dir -o json --schedule'.split(' ');
    expect(readChaosOptions(args, 1)).toMatchObject({
      kind: 'run',
      options: {
        seed: 7,
        minutes: 0.5,
        vmCount: 3,
        simulatedCount: 200,
        keep: 'dir',
        output: 'json',
        scheduleOnly: true,
      },
    });
  });

  test('all that is wrong is said at once, with the flag, its value and what is allowed', () => {
    const reading = readChaosOptions(['--seed', 'x', '--minutes', '0', '--vms', '0', '-o', 'xml'], 1);
    expect(reading).toMatchObject({ kind: 'refused' });
    if (reading.kind !== 'refused') return;
    expect(reading.faults).toHaveLength(4);
    expect(reading.faults[0]).toContain('--minutes "0" is not valid: use a number from 0.5');
    expect(readChaosOptions(['--frobnicate'], 1)).toMatchObject({ kind: 'refused' });
    expect(readChaosOptions(['--help'], 1)).toEqual({ kind: 'help' });
  });
});
