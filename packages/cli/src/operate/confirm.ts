/**
 * Questions before what cannot be taken back.
 *
 * A person at a terminal is asked where one slip costs much: `--all` takes a whole fleet out of work, and `--force` ends the
 * jobs of other people. A script cannot be asked, and a question that nobody reads would hang it: there, `--all` needs
 * `--yes`. `--force` does not; it is the question's answer already. `--yes` answers both beforehand.
 */
import type { VmResource } from '@mig/common/api/vm-resource';
import { InterruptedError, RefusedError, UsageError } from '../errors.js';
import { mapConcurrently } from '../concurrency.js';
import { count, safe } from '../output/text.js';
import type { Session } from '../session.js';
import type { Targets } from './targets.js';

export interface Question {
  /** `drain`: what is done to the VMs. */
  readonly verb: string;
  /** It takes every VM of the controller out of work. */
  readonly wholeFleet: boolean;
  /** Running jobs are ended at once. */
  readonly forced: boolean;
  /** What else whoever says yes should know. */
  readonly consequences?: readonly string[];
  /** `--yes`. */
  readonly yes: boolean;
}

/** @throws UsageError if it must be asked, and nobody is there to answer */
export function assertAnswerable({ io, server }: Session, { verb, wholeFleet, yes }: Question): void {
  if (yes || !wholeFleet || io.ask !== undefined) return;
  throw new UsageError(
    `${verb} --all takes every VM of ${server} out of work, and nobody is there to be asked`,
    'add --yes if that is meant',
  );
}

/**
 * Resolves to false if the person said no.
 *
 * @param findTargets the VMs; called only if there is something to ask
 * @throws InterruptedError
 */
export async function confirm(
  session: Session,
  question: Question,
  findTargets: () => Promise<Targets>,
): Promise<boolean> {
  const { verb, wholeFleet, forced, consequences = [], yes } = question;
  const { ask } = session.io;
  if (yes || ask === undefined || (!forced && !wholeFleet)) return true;
  const targets = await findTargets();
  const jobs = forced ? await runningJobs(session, targets) : [];
  if (!wholeFleet && jobs.length === 0) return true;
  const what = `${verb} ${wholeFleet ? 'all ' : ''}${count(targets.vmIds.length, 'VM')} of ${session.server}`;
  const ended = jobs.length === 0 ? '' : `, and end at once ${listOf(jobs)}`;
  const more = consequences.length === 0 ? '' : ` (${consequences.join('; ')})`;
  const answer = await ask(`${what}${ended}${more}? [y/N] `);
  if (session.io.interrupted.aborted) throw new InterruptedError();
  return ['y', 'yes'].includes(answer.trim().toLowerCase());
}

async function runningJobs({ client }: Session, { vmIds, known }: Targets): Promise<string[]> {
  const vms =
    known.size > 0
      ? [...known.values()]
      : await mapConcurrently(vmIds, (vmId) => vmOrNothing(client.getVm(vmId)));
  return vms.flatMap((vm) =>
    vm?.current_job?.status === 'running' ? [`${vm.current_job.name} on ${vm.vm_id}`] : [],
  );
}

async function vmOrNothing(vm: Promise<VmResource>): Promise<VmResource | undefined> {
  try {
    return await vm;
  } catch (error) {
    // An unknown VM is refused when the command is sent, with the others going on.
    if (error instanceof RefusedError) return undefined;
    throw error;
  }
}

const SHOWN_JOBS = 5;

function listOf(jobs: readonly string[]): string {
  const shown = jobs.slice(0, SHOWN_JOBS).map(safe).join(', ');
  const rest = jobs.length - SHOWN_JOBS;
  return `${count(jobs.length, 'running job')} (${shown}${rest > 0 ? `, and ${rest} more` : ''})`;
}
