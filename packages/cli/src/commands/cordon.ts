/** `cordon` and `uncordon`: may VMs take new jobs? What runs on them goes on either way. */
import type { VmResource } from '@mig/common/api/vm-resource';
import { EXIT, type ExitCode } from '../errors.js';
import { assertAnswerable, confirm } from '../operate/confirm.js';
import { reportRefused, sendToEach } from '../operate/each-vm.js';
import { assertSelection, findTargets, type Selection, type Targets } from '../operate/targets.js';
import { createColours } from '../output/colour.js';
import { printResults, type Format } from '../output/format.js';
import { createProgress } from '../output/progress.js';
import { count, safe } from '../output/text.js';
import type { Session } from '../session.js';
import { vmListing } from './vm-columns.js';

/** How long a controller that stops answering in the middle is waited for, milliseconds. */
const RECONNECT_FOR_MS = 60_000;

export interface CordonOptions {
  readonly output: Format;
  /** Ask nothing. */
  readonly yes: boolean;
}

/** @param reason for people; empty = none */
export const cordonVms = (
  session: Session,
  selection: Selection,
  reason: string,
  options: CordonOptions,
): Promise<ExitCode> => change(session, { verb: 'cordon', done: 'cordoned', reason }, selection, options);

export const uncordonVms = (
  session: Session,
  selection: Selection,
  options: CordonOptions,
): Promise<ExitCode> =>
  change(session, { verb: 'uncordon', done: 'uncordoned', reason: '' }, selection, options);

interface Change {
  readonly verb: 'cordon' | 'uncordon';
  readonly done: string;
  readonly reason: string;
}

async function change(
  session: Session,
  { verb, done, reason }: Change,
  selection: Selection,
  { output, yes }: CordonOptions,
): Promise<ExitCode> {
  assertSelection(selection);
  const { io } = session;
  const cordons = verb === 'cordon';
  const question = { verb, wholeFleet: cordons && selection.all === true, forced: false, yes };
  assertAnswerable(session, question);
  const targets = await targetsOf(session, selection, cordons);
  if (targets.vmIds.length === 0) {
    const why = cordons ? 'there is no VM that has not shut down' : 'none of these VMs is cordoned';
    io.stderr.write(`Nothing to do: ${why}.\n`);
    return EXIT.done;
  }
  if (!(await confirm(session, question, () => Promise.resolve(targets)))) {
    io.stderr.write('Nothing was sent.\n');
    return EXIT.failed;
  }
  const progress = createProgress(io.stderr, createColours(io.env, io.stderr), () => io.clock.monotonicMs());
  const client = session.client.withPatience({
    forMs: RECONNECT_FOR_MS,
    onTrouble: (trouble) => progress.trouble(trouble),
  });
  const { answers, refused, unsent, stoppedBy } = await sendToEach(targets.vmIds, (vmId) =>
    cordons ? client.cordon(vmId, reason) : client.uncordon(vmId),
  );
  progress.clear();
  const onlyRefusal = targets.vmIds.length === 1 ? refused[0] : undefined;
  if (onlyRefusal !== undefined) throw onlyRefusal.error;
  if (answers.length === 0 && refused.length === 0 && stoppedBy !== undefined) throw stoppedBy;
  await printResults(io.stdout, vmListing(session, answers, answers.length === 1), {
    output,
    lineOf: (vm) => `${vm.vm_id}: ${done}${remark(vm, cordons)}`,
    summary: () => `${count(answers.length, 'VM')} ${done}`,
  });
  reportRefused(io.stderr, refused);
  if (stoppedBy !== undefined) {
    io.stderr.write(
      `error: ${safe(stoppedBy.message)}: not ${done}, as far as is known: ${unsent.join(', ')}\n`,
    );
    return stoppedBy.exitCode;
  }
  return refused.length > 0 ? EXIT.failed : EXIT.done;
}

/** Of many VMs, those are left out for which nothing would change. Named ones are taken as they are. */
async function targetsOf(session: Session, selection: Selection, cordons: boolean): Promise<Targets> {
  if (selection.names.length > 0) {
    return { vmIds: [...new Set(selection.names)], known: new Map(), skippedCount: 0 };
  }
  const targets = await findTargets(session.client, selection, cordons);
  if (cordons) return targets;
  const cordoned = [...targets.known.values()].filter((vm) => vm.cordon !== undefined);
  return { ...targets, vmIds: cordoned.map(({ vm_id }) => vm_id) };
}

/** What whoever reads "cordoned" or "uncordoned" might take for granted, and is not so. */
function remark(vm: VmResource, cordons: boolean): string {
  if (cordons) return vm.current_job?.status === 'running' ? `; job ${vm.current_job.name} goes on` : '';
  if (vm.drain_id !== undefined) return `, but it is being drained by ${vm.drain_id}`;
  return vm.eligible ? '' : `, but it takes no new jobs yet (${vm.state})`;
}
