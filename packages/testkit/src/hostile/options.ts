/** The command line of `npm run hostile`. */
import { parseArgs } from 'node:util';
import { errorMessage } from '@mig/common/errors';
import { ATTACK_NAMES, ATTACK_TITLES, type AttackName } from './attack-names.js';

export const PART_NAMES = [...ATTACK_NAMES, 'combined'] as const;
export type PartName = (typeof PART_NAMES)[number];

export interface HostileOptions {
  /** VMs that do what they should. */
  readonly vms: number;
  /** Commands to them in a second. */
  readonly rate: number;
  /** Length of each phase, alone and under attack. */
  readonly seconds: number;
  /** How often a phase alone is followed by one under attack. */
  readonly rounds: number;
  readonly only: readonly PartName[];
  /** In place of the measurement: requests and messages at random, so many on each route and RPC; undefined = measure. */
  readonly fuzz: number | undefined;
  readonly jsonFile: string | undefined;
  readonly seed: number;
  /** Where CPU profiles of the controller are put, one for each part; undefined = none are made. */
  readonly profile: string | undefined;
  /** Folders of parts are kept, for a person to look at. */
  readonly keep: boolean;
}

export type HostileOptionsReading =
  | { readonly kind: 'run'; readonly options: HostileOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'refused'; readonly faults: readonly string[] };

const FUZZ_COUNT = 10_000;
const NAME_WIDTH = 19;

export const HOSTILE_HELP = `Usage: npm run hostile [-- --only NAME --vms N --rate N --seconds N --rounds N --json FILE --seed N --profile DIR --keep]
       npm run hostile -- --fuzz [--count N]

Measures what a hostile VM does to the others: the real controller with its default limits, VMs that do what they should, and
an attacker, each a process of its own on 127.0.0.1. How long a command to the others takes, from its submission until its
result is recorded, is measured alone and under attack, in turns. One part after another:

${ATTACK_NAMES.map((name) => `  ${name.padEnd(NAME_WIDTH)}${ATTACK_TITLES[name]}`).join('\n')}
  ${'combined'.padEnd(NAME_WIDTH)}all of these at once

  --only NAME    only this part; may be given more than once
  --vms N        VMs that do what they should, 1 to 1000 (default 50)
  --rate N       commands to them in a second, 1 to 1000 (default 100)
  --seconds N    length of each phase, 2 to 600 (default 8)
  --rounds N     pairs of phases, alone and under attack, 1 to 20 (default 2)
  --json FILE    writes everything that was found into FILE
  --seed N       the same seed gives the same orders (default 1)
  --profile DIR  writes a CPU profile of the controller for each part into DIR
  --keep         keeps the folders of the parts, and says where they are

  --fuzz         in place of it: requests at random on every route and messages at random on every RPC of the controller
  --count N      so many on each, 1 to 1000000 (default ${FUZZ_COUNT})

With two cores or more the controller has one of them for itself (taskset), and the VMs and the attacker have another, the VMs
before the attacker; where this user may (root), controller and VMs go before all other programs, too. Needs about 2 GB of memory, and 7 minutes on 2 cores; --fuzz about 15 more.
Exit codes: 0 every promise held, 1 one did not, 2 wrong flags.
`;

export function readHostileOptions(args: readonly string[]): HostileOptionsReading {
  let flags: ReturnType<typeof parseFlags>;
  try {
    flags = parseFlags(args);
  } catch (error) {
    return { kind: 'refused', faults: [errorMessage(error)] };
  }
  if (flags.help) return { kind: 'help' };
  const faults: string[] = [];
  const whole = (
    flag: 'vms' | 'rate' | 'seconds' | 'rounds' | 'seed' | 'count',
    min: number,
    max: number,
  ): number => {
    const value = flags[flag];
    if (/^\d+$/.test(value) && Number(value) >= min && Number(value) <= max) return Number(value);
    faults.push(`--${flag} ${JSON.stringify(value)} is not valid: use a whole number from ${min} to ${max}`);
    return min;
  };
  const only = flags.only.filter(isPartName);
  for (const name of flags.only) {
    if (!isPartName(name))
      faults.push(`--only ${JSON.stringify(name)} is not valid: use ${PART_NAMES.join(', ')}`);
  }
  const count = whole('count', 1, 1_000_000);
  const options: HostileOptions = {
    vms: whole('vms', 1, 1_000),
    rate: whole('rate', 1, 1_000),
    seconds: whole('seconds', 2, 600),
    rounds: whole('rounds', 1, 20),
    seed: whole('seed', 0, 2 ** 32 - 1),
    only: only.length === 0 ? PART_NAMES : PART_NAMES.filter((name) => only.includes(name)),
    fuzz: flags.fuzz ? count : undefined,
    jsonFile: flags.json,
    profile: flags.profile,
    keep: flags.keep,
  };
  return faults.length > 0 ? { kind: 'refused', faults } : { kind: 'run', options };
}

/** The attacks of a part. */
export const attacksOf = (name: PartName): readonly AttackName[] =>
  name === 'combined' ? ATTACK_NAMES : [name];

const isPartName = (name: string): name is PartName => (PART_NAMES as readonly string[]).includes(name);

function parseFlags(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      vms: { type: 'string', default: '50' },
      rate: { type: 'string', default: '100' },
      seconds: { type: 'string', default: '8' },
      rounds: { type: 'string', default: '2' },
      only: { type: 'string', multiple: true, default: [] },
      fuzz: { type: 'boolean', default: false },
      count: { type: 'string', default: String(FUZZ_COUNT) },
      json: { type: 'string' },
      seed: { type: 'string', default: '1' },
      profile: { type: 'string' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  }).values;
}
