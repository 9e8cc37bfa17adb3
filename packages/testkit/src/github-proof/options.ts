/** The command line of `npm run github-proof`. */
import { parseArgs } from 'node:util';
import { errorMessage } from '@mig/common/errors';
import { createFlagFaults } from '../system/flag-faults.js';

export const PART_NAMES = ['lives', 'races', 'secrets'] as const;
export type PartName = (typeof PART_NAMES)[number];

export interface ProofOptions {
  /** Simulated VMs of `lives`; `races` has half of them. Two real ones come on top. */
  readonly vms: number;
  /** Jobs of each VM in `lives`. */
  readonly rounds: number;
  /** How long `races` disturbs. */
  readonly seconds: number;
  readonly only: readonly PartName[];
  readonly jsonFile: string | undefined;
  readonly seed: number;
  /** Folders of parts are kept, for a person to look at. */
  readonly keep: boolean;
}

export type ProofOptionsReading =
  | { readonly kind: 'run'; readonly options: ProofOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'refused'; readonly faults: readonly string[] };

export const PROOF_HELP = `Usage: npm run github-proof [-- --vms N --rounds N --seconds N --only NAME --json FILE --seed N --keep]

Proves what is promised of GitHub and its runners: the real controller, real MIGlets and many simulated ones, against a
stand-in GitHub that is held against GitHub's own description. All on 127.0.0.1. One part after another:

  lives      VMs are registered, run a job, are registered again, several times; with the limits that GitHub documents
  races      jobs that come while a runner is deleted, deletions that fail in every way, webhooks that are lost, doubled and
             late, drains, shutdowns, kills of the controller: no job is killed, no VM stops with a registration that lives
  secrets    no secret is in what a run leaves behind, nor in what anybody could see of it meanwhile

  --vms N      simulated VMs of lives, 2 to 500; races has half of them (default 100)
  --rounds N   jobs of each VM in lives, 1 to 50 (default 3)
  --seconds N  how long races disturbs, 5 to 3600 (default 90)
  --only NAME  only this part; may be given more than once
  --json FILE  writes everything that was found into FILE
  --seed N     the same seed gives the same orders and the same faults (default 1)
  --keep       keeps the folders of the parts, and says where they are

Needs about 2 GB of memory, and 10 minutes on 2 cores. Exit codes: 0 every promise held, 1 one did not, 2 wrong flags.
`;

export function readProofOptions(args: readonly string[]): ProofOptionsReading {
  let flags: ReturnType<typeof parseFlags>;
  try {
    flags = parseFlags(args);
  } catch (error) {
    return { kind: 'refused', faults: [errorMessage(error)] };
  }
  if (flags.help) return { kind: 'help' };
  const faults = createFlagFaults();
  const whole = (flag: 'vms' | 'rounds' | 'seconds' | 'seed', min: number, max: number): number =>
    faults.whole(flag, flags[flag], min, max);
  const only = faults.some('only', flags.only, PART_NAMES);
  const options: ProofOptions = {
    vms: whole('vms', 2, 500),
    rounds: whole('rounds', 1, 50),
    seconds: whole('seconds', 5, 3_600),
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
      vms: { type: 'string', default: '100' },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '90' },
      only: { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
      seed: { type: 'string', default: '1' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  }).values;
}
