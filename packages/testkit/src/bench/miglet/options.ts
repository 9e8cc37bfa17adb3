/** The command line of `npm run bench:miglet`. */
import { parseArgs } from 'node:util';
import { errorMessage } from '@mig/common/errors';

export interface MigletBenchOptions {
  readonly runs: number;
  readonly restMs: number;
  readonly jsonFile: string | undefined;
}

export type MigletBenchOptionsReading =
  | { readonly kind: 'run'; readonly options: MigletBenchOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'refused'; readonly faults: readonly string[] };

export const MIGLET_BENCH_HELP = `Usage: npm run bench:miglet [-- --runs N --rest SECONDS --json FILE]

Starts the bundled MIGlet, with a runner that waits for jobs, against a small controller on 127.0.0.1, and measures: from its
start until its announcement arrives, its memory at rest, and what it takes of a core there. Least, median, most.

  --runs N        starts, 1 to 100 (default 5)
  --rest SECONDS  how long the core is measured, 1 to 3600 (default 30: two heartbeats)
  --json FILE     writes the figures of every start there

Exit codes: 0 measured, 1 could not measure, 2 wrong flags, 130 ended by Ctrl-C.
`;

export function readMigletBenchOptions(args: readonly string[]): MigletBenchOptionsReading {
  let flags;
  try {
    flags = parseArgs({
      args: [...args],
      options: {
        runs: { type: 'string', default: '5' },
        rest: { type: 'string', default: '30' },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    return { kind: 'refused', faults: [errorMessage(error)] };
  }
  if (flags.help) return { kind: 'help' };
  const faults: string[] = [];
  const whole = (flag: string, value: string, max: number): number => {
    if (/^\d{1,9}$/.test(value) && Number(value) >= 1 && Number(value) <= max) return Number(value);
    faults.push(`--${flag} ${JSON.stringify(value)} is not valid: use a whole number from 1 to ${max}`);
    return 1;
  };
  if (flags.json === '') faults.push('--json "" is not valid: use a name');
  const options: MigletBenchOptions = {
    runs: whole('runs', flags.runs, 100),
    restMs: whole('rest', flags.rest, 3_600) * 1_000,
    jsonFile: flags.json,
  };
  return faults.length > 0 ? { kind: 'refused', faults } : { kind: 'run', options };
}
