/** The command line of `npm run bench`. */
import { parseArgs } from 'node:util';
import { errorMessage } from '@mig/common/errors';
import { PARTS, type PartName } from './figures.js';
import { SERVERS, YARDSTICK, type ServerName } from './servers.js';
import { FULL, QUICK, type Timing } from './timing.js';
import { createFlagFaults } from '../system/flag-faults.js';

export interface BenchOptions {
  /** Sizes of the fleets, rising. */
  readonly vms: readonly number[];
  readonly runs: number;
  readonly only: readonly PartName[];
  readonly servers: readonly ServerName[];
  readonly timing: Timing;
  /** Whether the controller asks for credentials. */
  readonly auth: boolean;
  readonly tls: boolean;
  readonly jsonFile: string | undefined;
  readonly svgFile: string | undefined;
  /** Where the profiles of the controller go; undefined = it is not profiled. */
  readonly profileFolder: string | undefined;
}

export type BenchOptionsReading =
  | { readonly kind: 'run'; readonly options: BenchOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'refused'; readonly faults: readonly string[] };

/** Each VM takes a port for its stream: a host has 28,232 of them by default. */
const MAX_VMS = 20_000;
const DEFAULT_VMS = '1000,5000,10000';
const QUICK_VMS = '500';

export const BENCH_HELP = `Usage: npm run bench [-- --vms N,N,... --runs N --only PART,... --quick --json FILE --svg FILE]

Starts the real controller (production build, file store) and, one after another with the same load in the same run, bare servers
that only decode and acknowledge; a fleet of simulated VMs in another process connects, beats, is commanded and drained. Prints
medians, least and most, and each figure of the controller as a ratio to the bare nice-grpc server. docs/performance.md says
what each figure means. Server and load have a core each where "taskset" is there. Everything is on 127.0.0.1 and in a
temporary folder, which is removed, also after Ctrl-C.

  --vms N,N,...      sizes of the fleet, 10 to ${MAX_VMS} (default ${DEFAULT_VMS}; with --quick ${QUICK_VMS})
  --runs N           runs of everything, 1 to 50 (default 5; with --quick 1)
  --only PART,...    only these: ${PARTS.join(', ')}
                     (connecting is always part of it)
  --servers NAME,... only these: ${SERVERS.join(', ')}
  --quick            a small fleet, once, everything short: the figures are rough
  --steady SECONDS   how long the fleet beats at its own pace, 1 to 86400 (default ${FULL.steadyMs / 1_000}; with --quick ${QUICK.steadyMs / 1_000})
  --interval SECONDS time between two heartbeats of a VM at its own pace, 1 to 3600 (default ${FULL.intervalMs / 1_000})
  --json FILE        writes every figure of every run there
  --svg FILE         draws how each figure grows with the fleet
  --profile DIR      the controller writes a CPU profile of each run there (--cpu-prof); its figures are worse for it
  --auth on|off      whether VMs and operators need credentials (default on); bare servers never ask
  --tls on|off       TLS on every connection, to the bare servers too (default off)

With ${DEFAULT_VMS} and 5 runs it takes about an hour, 2 GB of memory and 4 GB of disk. Exit codes: 0 measured, 1 could not measure, 2 wrong
flags, 130 ended by Ctrl-C.

Example:
  npm run bench -- --vms 1000,5000 --runs 3 --json out.json --svg out.svg
`;

export function readBenchOptions(args: readonly string[]): BenchOptionsReading {
  let flags: ReturnType<typeof parseFlags>;
  try {
    flags = parseFlags(args);
  } catch (error) {
    return { kind: 'refused', faults: [errorMessage(error)] };
  }
  if (flags.help) return { kind: 'help' };
  const faults = createFlagFaults();
  const { refuse, whole } = faults;
  const some = <T extends string>(flag: string, value: string | undefined, all: readonly T[]): readonly T[] =>
    faults.some(flag, value === undefined ? [] : value.split(','), all);
  const file = (flag: string, value: string | undefined): string | undefined => {
    if (value === '') refuse(flag, value, 'a name');
    return value;
  };
  const isOn = (flag: 'auth' | 'tls'): boolean => {
    if (flags[flag] !== 'on' && flags[flag] !== 'off') refuse(flag, flags[flag], 'on or off');
    return flags[flag] === 'on';
  };
  const base = flags.quick ? QUICK : FULL;
  const seconds = (flag: 'steady' | 'interval', max: number, otherwise: number): number =>
    flags[flag] === undefined ? otherwise : whole(flag, flags[flag], 1, max) * 1_000;
  const sizes = (flags.vms ?? (flags.quick ? QUICK_VMS : DEFAULT_VMS))
    .split(',')
    .map((value) => whole('vms', value, 10, MAX_VMS));
  const servers = some('servers', flags.servers, SERVERS);
  const options: BenchOptions = {
    vms: [...new Set(sizes)].sort((a, b) => a - b),
    runs: whole('runs', flags.runs ?? (flags.quick ? '1' : '5'), 1, 50),
    only: some('only', flags.only, PARTS),
    servers,
    timing: {
      ...base,
      steadyMs: seconds('steady', 86_400, base.steadyMs),
      intervalMs: seconds('interval', 3_600, base.intervalMs),
    },
    auth: isOn('auth'),
    tls: isOn('tls'),
    jsonFile: file('json', flags.json),
    svgFile: file('svg', flags.svg),
    profileFolder: file('profile', flags.profile),
  };
  return faults.all.length > 0 ? { kind: 'refused', faults: faults.all } : { kind: 'run', options };
}

/** Servers whose figures the others are divided by are missing: no ratios. */
export const hasRatios = ({ servers }: Pick<BenchOptions, 'servers'>): boolean => servers.includes(YARDSTICK);

function parseFlags(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      vms: { type: 'string' },
      runs: { type: 'string' },
      only: { type: 'string' },
      servers: { type: 'string' },
      quick: { type: 'boolean', default: false },
      steady: { type: 'string' },
      interval: { type: 'string' },
      json: { type: 'string' },
      svg: { type: 'string' },
      profile: { type: 'string' },
      auth: { type: 'string', default: 'on' },
      tls: { type: 'string', default: 'off' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  }).values;
}
