/** The command line of the harness. */
import { parseArgs } from 'node:util';
import { errorMessage } from '@mig/common/errors';
import { createFlagFaults } from '../system/flag-faults.js';

export interface ChaosOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly vmCount: number;
  readonly simulatedCount: number;
  /** Where everything is kept; undefined = in a temporary folder, which is kept only after a failure. */
  readonly keep: string | undefined;
  readonly output: 'text' | 'json';
  /** Only print what would be done. */
  readonly scheduleOnly: boolean;
}

export type ChaosOptionsReading =
  | { readonly kind: 'run'; readonly options: ChaosOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'refused'; readonly faults: readonly string[] };

const MAX_VMS = 50;
const MAX_SIMULATED = 5_000;
const MAX_MINUTES = 24 * 60;

export const CHAOS_HELP = `Usage: npm run chaos -- [--seed N] [--minutes M] [--vms N] [--simulated N] [--keep DIR] [-o text|json] [--schedule]

Runs a fleet of real processes under a stream of commands, jobs and drains, breaks it in every way it knows (kills, freezes,
full disk, wrong clocks, bad networks, a GitHub that fails), and checks from outside that nothing is lost and nothing is done
twice. The same seed does the same things in the same order. Ctrl-C ends it in order.

  --seed N        decides everything (default: from the time; it is printed)
  --minutes M     how long, 0.5 to ${MAX_MINUTES} (default 1); half a minute is one storm and the calm after it
  --vms N         VMs with processes of their own, 1 to ${MAX_VMS} (default 5)
  --simulated N   simulated VMs besides, in one process, 0 to ${MAX_SIMULATED} (default 0)
  --keep DIR      keep everything in this folder, which must be empty or missing (default: kept only after a failure)
  -o text|json    how the numbers are printed (default text)
  --schedule      print the schedule and end

Exit codes: 0 every promise held, 1 one was broken or the fleet did not start, 2 wrong flags, 130 ended by Ctrl-C.

Example:
  npm run chaos -- --seed 7 --minutes 10 --simulated 200
`;

export function readChaosOptions(args: readonly string[], defaultSeed: number): ChaosOptionsReading {
  let flags;
  try {
    flags = parseArgs({
      args: [...args],
      options: {
        seed: { type: 'string', default: String(defaultSeed) },
        minutes: { type: 'string', default: '1' },
        vms: { type: 'string', default: '5' },
        simulated: { type: 'string', default: '0' },
        keep: { type: 'string' },
        output: { type: 'string', short: 'o', default: 'text' },
        schedule: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    return { kind: 'refused', faults: [errorMessage(error)] };
  }
  if (flags.help) return { kind: 'help' };
  const faults = createFlagFaults();
  const whole = (flag: 'seed' | 'vms' | 'simulated', min: number, max: number): number =>
    faults.whole(flag, flags[flag], min, max);
  const minutes = /^\d+(\.\d+)?$/.test(flags.minutes) ? Number(flags.minutes) : 0;
  if (minutes < 0.5 || minutes > MAX_MINUTES)
    faults.refuse('minutes', flags.minutes, `a number from 0.5 to ${MAX_MINUTES}`);
  if (flags.output !== 'text' && flags.output !== 'json')
    faults.refuse('output', flags.output, 'text or json');
  if (flags.keep === '') faults.refuse('keep', flags.keep, 'the name of a folder');
  const options: ChaosOptions = {
    seed: whole('seed', 0, Number.MAX_SAFE_INTEGER),
    minutes,
    vmCount: whole('vms', 1, MAX_VMS),
    simulatedCount: whole('simulated', 0, MAX_SIMULATED),
    keep: flags.keep,
    output: flags.output === 'json' ? 'json' : 'text',
    scheduleOnly: flags.schedule,
  };
  return faults.all.length > 0 ? { kind: 'refused', faults: faults.all } : { kind: 'run', options };
}
