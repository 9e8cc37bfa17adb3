/** `exec`: a command on a VM as if it ran here, or on many with the name of each before its lines. */
import type { CreateTaskBody, TaskResource } from '@mig/common/api/task-resource';
import { createTask } from '../api/task-calls.js';
import { CliError, EXIT, InterruptedError } from '../errors.js';
import { assertSelection, assertVmNames, findTargets, type Selection } from '../operate/targets.js';
import { count, safe } from '../output/text.js';
import type { Session } from '../session.js';
import { createPrefixedLines } from './prefixed-lines.js';
import { runTask, type TaskSink } from './run-task.js';
import { exitCodeOf, outcomeText } from './task-outcome.js';

/** A task but for its VM. */
export type Work = Omit<CreateTaskBody, 'vm_id'>;

/** @returns the exit code of the command */
export async function execOnVm(session: Session, vmId: string, work: Work): Promise<number> {
  assertVmNames([vmId]);
  const { io } = session;
  const { task } = await runTask(session, { ...work, vm_id: vmId, hold_output: true }, directSink(session));
  if (io.stdout.closed.aborted) return EXIT.done;
  const ownWord = task.state === 'completed' || (task.state === 'failed' && (task.exit_code ?? 0) !== 0);
  if (!ownWord || task.message !== undefined)
    io.stderr.write(`migctl: ${safe(vmId)}: ${safe(outcomeText(task))}\n`);
  return exitCodeOf(task);
}

/** Submits it, prints its id, and leaves it to itself. */
export async function startOnVm(session: Session, vmId: string, work: Work): Promise<number> {
  assertVmNames([vmId]);
  const task = await createTask(session.client, { ...work, vm_id: vmId }, session.io.newKey());
  session.io.stdout.write(`${safe(task.id)}\n`);
  return EXIT.done;
}

/** Output as it was written: to pass it on is what it is for. */
export function directSink({ io }: Session): TaskSink {
  return {
    async write(stream, data) {
      io[stream].write(data);
      await io[stream].flush();
    },
    gap: (bytes) => io.stderr.write(`migctl: ${bytes} bytes of output are missing here\n`),
  };
}

interface Outcome {
  readonly vmId: string;
  readonly ok: boolean;
  readonly text: string;
}

/** @returns 0 if the command succeeded on every VM, 1 if not, 130 after Ctrl-C */
export async function execOnMany(
  session: Session,
  selection: Selection,
  work: Work,
  maxParallel: number,
): Promise<number> {
  assertSelection(selection);
  const { io, client } = session;
  const { vmIds } = await findTargets(client, selection, true);
  const width = Math.max(...vmIds.map((vmId) => vmId.length));
  const outcomes: Outcome[] = [];
  const waiting = [...vmIds];
  const worker = async (): Promise<void> => {
    for (let vmId = waiting.shift(); vmId !== undefined; vmId = waiting.shift()) {
      if (io.interrupted.aborted) return;
      outcomes.push(await execOne(session, vmId, width, work));
    }
  };
  await Promise.all(Array.from({ length: Math.min(maxParallel, vmIds.length) }, worker));
  return summarize(session, outcomes, vmIds.length);
}

async function execOne(session: Session, vmId: string, width: number, work: Work): Promise<Outcome> {
  const lines = createPrefixedLines(session.io, vmId.padEnd(width));
  let task: TaskResource;
  try {
    ({ task } = await runTask(session, { ...work, vm_id: vmId, hold_output: true }, lines));
  } catch (error) {
    if (error instanceof CliError)
      return { vmId, ok: false, text: error instanceof InterruptedError ? 'not begun' : error.message };
    throw error;
  } finally {
    await lines.flush();
  }
  return { vmId, ok: task.state === 'completed', text: outcomeText(task) };
}

/** Above it, only a number stands for the VMs. */
const MAX_NAMES = 5;

function summarize({ io, colours }: Session, outcomes: readonly Outcome[], total: number): number {
  const groups = new Map<string, string[]>();
  for (const { vmId, text } of outcomes) groups.set(text, [...(groups.get(text) ?? []), vmId]);
  const okCount = outcomes.filter(({ ok }) => ok).length;
  io.stderr.write(`${colours.bold(`${count(total, 'VM')}: ${okCount} ok, ${total - okCount} not`)}\n`);
  for (const [text, vmIds] of groups) {
    if (text === 'ok') continue;
    const names = vmIds.slice(0, MAX_NAMES).join(', ');
    const more = vmIds.length > MAX_NAMES ? ` and ${vmIds.length - MAX_NAMES} more` : '';
    io.stderr.write(`  ${safe(text)}: ${safe(names)}${more}\n`);
  }
  if (outcomes.length < total) io.stderr.write(`  not begun: ${count(total - outcomes.length, 'VM')}\n`);
  if (io.interrupted.aborted) return EXIT.interrupted;
  return okCount === total ? EXIT.done : EXIT.failed;
}
