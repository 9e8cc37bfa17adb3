/** The command line of the simulated fleet's process. */
import { parseArgs } from 'node:util';
import { parseDuration } from '@mig/common/config/duration';
import { errorMessage } from '@mig/common/errors';
import { createFlagFaults } from '../system/flag-faults.js';

export const FLEET_HELP = `Usage: node packages/testkit/dist/fleet/main.js [flags]

Simulates many VMs in one process against a controller: the real MIGlet in each, with a runner that runs nothing.

  --count N             VMs (default 200)
  --first N             number of the first (default 1)
  --endpoint URL        HTTP of the controller (default http://127.0.0.1:8080)
  --prefix NAME         VMs are called NAME-1, NAME-2, … (default sim)
  --pool-id ID          default sim
  --org-id ID           default demo-org
  --heartbeat TIME      time between two heartbeats (default 15s)
  --reconnect MIN..MAX  bounds of the waits before a VM connects again (default 500ms..5s)
  --state-dir DIR       each VM keeps its boot, journals and runner in DIR/NAME-N: killed and started again, it goes on
                        where it was (default: in memory)
  --witness-dir DIR     what each VM does is written into DIR/NAME-N.jsonl (default: nowhere)
  --jobs MIN..MAX       VMs that wait get jobs of this length (default: none); SIGUSR2 ends the giving
  --connected           runners are registered at the stand-in GitHub and get their jobs there; beside the labels of its pool
                        each has its VM's name; what fails is tried again soon, and any number of times (default: runners
                        that GitHub does not know)
  --restart-after MIN..MAX  a VM that has ended begins another boot after this; SIGUSR2 ends that, too (default: never)
  --seed N              the same seed gives the same chances (default: others with every start)
  --exit-with-parent PID  end at once when the process PID is gone
`;

export interface FleetMainOptions {
  readonly count: number;
  readonly first: number;
  readonly endpoint: string;
  readonly prefix: string;
  readonly poolId: string;
  readonly orgId: string;
  readonly heartbeatInterval: string;
  readonly reconnect: { readonly first: string; readonly max: string };
  readonly stateDirectory: string | undefined;
  readonly witnessDirectory: string | undefined;
  readonly jobs: { readonly minMs: number; readonly maxMs: number } | undefined;
  readonly connected: boolean;
  readonly restartAfterMs: { readonly min: number; readonly max: number } | undefined;
  readonly seed: number | undefined;
  readonly parentPid: number | undefined;
}

/** `faults` are all that is wrong with the command line, each with the flag, its value and what is allowed. */
export type FleetOptionsReading =
  | { readonly kind: 'run'; readonly options: FleetMainOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'refused'; readonly faults: readonly string[] };

export function readFleetOptions(args: readonly string[]): FleetOptionsReading {
  let flags: ReturnType<typeof parseFlags>;
  try {
    flags = parseFlags(args);
  } catch (error) {
    return { kind: 'refused', faults: [errorMessage(error)] };
  }
  if (flags.help) return { kind: 'help' };
  const faults = createFlagFaults();
  const whole = (flag: 'count' | 'first' | 'seed' | 'exit-with-parent', max: number): number | undefined => {
    const value = flags[flag];
    return value === undefined ? undefined : faults.whole(flag, value, 1, max);
  };
  const range = (flag: 'jobs' | 'reconnect' | 'restart-after'): { from: string; to: string } | undefined => {
    const value = flags[flag];
    if (value === undefined) return undefined;
    const [from = '', to = '', ...rest] = value.split('..');
    const [fromMs, toMs] = [parseDuration(from), parseDuration(to)];
    if (rest.length === 0 && fromMs !== undefined && toMs !== undefined && fromMs <= toMs)
      return { from, to };
    faults.refuse(flag, value, 'MIN..MAX, such as 500ms..5s');
    return undefined;
  };
  const jobs = range('jobs');
  const reconnect = range('reconnect');
  const restartAfter = range('restart-after');
  const options: FleetMainOptions = {
    count: whole('count', 100_000) ?? 0,
    first: whole('first', 1_000_000) ?? 0,
    endpoint: flags.endpoint,
    prefix: flags.prefix,
    poolId: flags['pool-id'],
    orgId: flags['org-id'],
    heartbeatInterval: flags.heartbeat,
    reconnect: { first: reconnect?.from ?? '', max: reconnect?.to ?? '' },
    stateDirectory: flags['state-dir'],
    witnessDirectory: flags['witness-dir'],
    jobs: jobs && { minMs: parseDuration(jobs.from) ?? 0, maxMs: parseDuration(jobs.to) ?? 0 },
    connected: flags.connected,
    restartAfterMs: restartAfter && {
      min: parseDuration(restartAfter.from) ?? 0,
      max: parseDuration(restartAfter.to) ?? 0,
    },
    seed: whole('seed', 2 ** 32 - 1),
    parentPid: whole('exit-with-parent', 2 ** 31 - 1),
  };
  return faults.all.length > 0 ? { kind: 'refused', faults: faults.all } : { kind: 'run', options };
}

function parseFlags(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      count: { type: 'string', default: '200' },
      first: { type: 'string', default: '1' },
      endpoint: { type: 'string', default: 'http://127.0.0.1:8080' },
      prefix: { type: 'string', default: 'sim' },
      'pool-id': { type: 'string', default: 'sim' },
      'org-id': { type: 'string', default: 'demo-org' },
      heartbeat: { type: 'string', default: '15s' },
      reconnect: { type: 'string', default: '500ms..5s' },
      'state-dir': { type: 'string' },
      'witness-dir': { type: 'string' },
      jobs: { type: 'string' },
      connected: { type: 'boolean', default: false },
      'restart-after': { type: 'string' },
      seed: { type: 'string' },
      'exit-with-parent': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  }).values;
}
