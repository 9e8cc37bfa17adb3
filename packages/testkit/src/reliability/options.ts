/** The command line of `npm run reliability`. */
import { parseArgs } from 'node:util';
import { errorMessage } from '@mig/common/errors';
import { createFlagFaults } from '../system/flag-faults.js';

export const PART_NAMES = ['commands', 'drain', 'deadline', 'effects', 'recovery', 'storm'] as const;
export type PartName = (typeof PART_NAMES)[number];

export interface ReliabilityOptions {
  /** VMs of the parts `commands` and `recovery`. */
  readonly vms: number;
  readonly commands: number;
  /** VMs of the part `storm`. */
  readonly storm: number;
  /** Kills of the part `effects` between an effect and its acknowledgement; there are others too. */
  readonly kills: number;
  readonly only: readonly PartName[];
  readonly jsonFile: string | undefined;
  readonly seed: number;
  /** Folders of parts are kept, for a person to look at. */
  readonly keep: boolean;
}

export type ReliabilityOptionsReading =
  | { readonly kind: 'run'; readonly options: ReliabilityOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'refused'; readonly faults: readonly string[] };

export const RELIABILITY_HELP = `Usage: npm run reliability [-- --vms N --commands N --storm N --kills N --only NAME --json FILE --seed N --keep]

Makes the figures of docs/reliability.md: real processes on 127.0.0.1 are killed while they work, and what callers were told
is compared with what the VMs did and with what the controller has. One part after another:

  commands   commands to many VMs while the controller is killed every 20 s and every VM once; their events
  drain      a drain of 50 VMs with jobs running, 10 at a time, the controller killed twice
  deadline   a shutdown whose time to go out has passed when its VM returns
  effects    a MIGlet killed between the effect of a command and its acknowledgement
  recovery   from the kill of a controller until every VM has carried out a command again
  storm      how a large fleet comes back after a controller ended in order, and after one was killed

  --vms N       VMs of commands and recovery, 10 to 1000 (default 200)
  --commands N  commands in all, 100 to 100000 (default 10000)
  --storm N     VMs of storm, 10 to 5000 (default 1000)
  --kills N     kills of effects between effect and acknowledgement, 1 to 5000 (default 200)
  --only NAME   only this part; may be given more than once
  --json FILE   writes everything that was found into FILE
  --seed N      the same seed gives the same orders and the same times of the kills (default 1)
  --keep        keeps the folders of the parts, and says where they are

Needs about 4 GB of memory, and 6 minutes on 2 cores. Exit codes: 0 every promise held, 1 one did not, 2 wrong flags.
`;

export function readReliabilityOptions(args: readonly string[]): ReliabilityOptionsReading {
  let flags: ReturnType<typeof parseFlags>;
  try {
    flags = parseFlags(args);
  } catch (error) {
    return { kind: 'refused', faults: [errorMessage(error)] };
  }
  if (flags.help) return { kind: 'help' };
  const faults = createFlagFaults();
  const whole = (flag: 'vms' | 'commands' | 'storm' | 'kills' | 'seed', min: number, max: number): number =>
    faults.whole(flag, flags[flag], min, max);
  const only = faults.some('only', flags.only, PART_NAMES);
  const options: ReliabilityOptions = {
    vms: whole('vms', 10, 1_000),
    commands: whole('commands', 100, 100_000),
    storm: whole('storm', 10, 5_000),
    kills: whole('kills', 1, 5_000),
    seed: whole('seed', 0, 2 ** 32 - 1),
    only,
    jsonFile: flags.json,
    keep: flags.keep,
  };
  return faults.all.length > 0 ? { kind: 'refused', faults: faults.all } : { kind: 'run', options };
}

function parseFlags(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      vms: { type: 'string', default: '200' },
      commands: { type: 'string', default: '10000' },
      storm: { type: 'string', default: '1000' },
      kills: { type: 'string', default: '200' },
      seed: { type: 'string', default: '1' },
      only: { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  }).values;
}
