/**
 * Questions before a command that cannot be taken back.
 *
 * Only a person at a terminal is asked, and only where one slip costs much: `--all` takes a whole fleet out of work, and
 * `--force` ends the jobs of other people. A script is never asked; that is the habit of kubectl, and a question that
 * nobody reads would hang it. `--yes` answers beforehand.
 */
import type { VmResource } from '@mig/common/api/vm-resource';
import { InterruptedError, RefusedError } from '../errors.js';
import { mapConcurrently } from '../concurrency.js';
import { count, safe } from '../output/text.js';
import type { Session } from '../session.js';
import type { Operation } from './operation.js';
import type { Selection, Targets } from './targets.js';

/** Resolves to false if the person said no. @throws InterruptedError */
export async function confirm(
  session: Session,
  operation: Operation,
  selection: Selection,
  targets: Targets,
): Promise<boolean> {
  const { ask } = session.io;
  const forced = operation.parameters['force'] === true;
  const wholeFleet = operation.takesOut && selection.all === true;
  if (ask === undefined || (!forced && !wholeFleet)) return true;
  const jobs = forced ? await runningJobs(session, targets) : [];
  if (!wholeFleet && jobs.length === 0) return true;
  const what = `${operation.noun} ${wholeFleet ? 'all ' : ''}${count(targets.vmIds.length, 'VM')} of ${session.server}`;
  const answer = await ask(`${what}${jobs.length === 0 ? '' : `, and end at once ${listOf(jobs)}`}? [y/N] `);
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
