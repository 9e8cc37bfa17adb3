/** The command line of the demo. */
import { parseArgs } from 'node:util';
import { formatDuration, parseDuration } from '@mig/common/config/duration';
import { errorMessage } from '@mig/common/errors';
import { createFlagFaults } from '../system/flag-faults.js';

export interface DemoOptions {
  readonly vmCount: number;
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly dataDirectory: string;
  /** 0 = no jobs by themselves. */
  readonly jobsEveryMs: number;
  /** The controller asks nobody for a credential. */
  readonly insecure: boolean;
}

export type DemoOptionsReading =
  | { readonly kind: 'run'; readonly options: DemoOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'refused'; readonly faults: readonly string[] };

/** Each VM is a process with a runner of its own; more than these and the demo shows nothing new. */
const MAX_VMS = 50;

export const DEMO_HELP = `Usage: npm start -- [--vms N] [--http-port PORT] [--grpc-port PORT] [--data-dir DIR] [--jobs-every TIME] [--insecure]

Runs the whole system on this machine: a controller, a stand-in GitHub, and MIGlets with stand-in runners, each a process of
its own. Ctrl-C drains the VMs and ends everything.

  --vms N            VMs, 0 to ${MAX_VMS} (default 1)
  --http-port PORT   HTTP of the controller (default 8080; 0 = any free port)
  --grpc-port PORT   gRPC of the controller (default 50051; 0 = any free port)
  --data-dir DIR     where everything is kept from one start to the next (default demo-data)
  --jobs-every TIME  the stand-in GitHub gives a job this often (default 15s; 0 = never)
  --insecure         ask nobody for a credential: for peers of the original contract, which have none

Example:
  npm start -- --vms 5 --jobs-every 3s
`;

export function readDemoOptions(args: readonly string[]): DemoOptionsReading {
  let flags;
  try {
    flags = parseArgs({
      args: [...args],
      options: {
        vms: { type: 'string', default: '1' },
        'http-port': { type: 'string', default: '8080' },
        'grpc-port': { type: 'string', default: '50051' },
        'data-dir': { type: 'string', default: 'demo-data' },
        'jobs-every': { type: 'string', default: '15s' },
        insecure: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    return { kind: 'refused', faults: [errorMessage(error)] };
  }
  if (flags.help) return { kind: 'help' };
  const faults = createFlagFaults();
  const whole = (flag: 'vms' | 'http-port' | 'grpc-port', max: number): number =>
    faults.whole(flag, flags[flag], 0, max);
  const jobsEveryMs = parseDuration(flags['jobs-every']);
  if (jobsEveryMs === undefined || (jobsEveryMs > 0 && jobsEveryMs < 100)) {
    const allowed = `a time of ${formatDuration(100)} or more, such as 3s, or 0 for none`;
    faults.refuse('jobs-every', flags['jobs-every'], allowed);
  }
  if (flags['data-dir'] === '') faults.refuse('data-dir', '', 'the name of a folder');
  const options: DemoOptions = {
    vmCount: whole('vms', MAX_VMS),
    httpPort: whole('http-port', 65_535),
    grpcPort: whole('grpc-port', 65_535),
    dataDirectory: flags['data-dir'],
    jobsEveryMs: jobsEveryMs ?? 0,
    insecure: flags.insecure,
  };
  return faults.all.length > 0 ? { kind: 'refused', faults: faults.all } : { kind: 'run', options };
}
