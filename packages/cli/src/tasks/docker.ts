/** `docker`: operations of the engine of one VM. */
import type { DockerWorkResource } from '@mig/common/api/docker-work';
import type { TaskResource } from '@mig/common/api/task-resource';
import { EXIT } from '../errors.js';
import { assertVmNames } from '../operate/targets.js';
import { printListing, type FormatOptions } from '../output/format.js';
import { safe } from '../output/text.js';
import { ageOf } from '../output/time.js';
import type { Session } from '../session.js';
import { directSink } from './exec.js';
import { runTask } from './run-task.js';
import { exitCodeOf, outcomeText } from './task-outcome.js';

export interface DockerRunOptions {
  /** Milliseconds; 0 = without end. */
  readonly timeoutMs: number;
  /** What to print when it went well. */
  readonly done?: (task: TaskResource) => string;
}

/** @returns the exit code of the container, or 0 */
export async function runOperation(
  session: Session,
  vmId: string,
  docker: DockerWorkResource,
  { timeoutMs, done }: DockerRunOptions,
): Promise<number> {
  const task = await perform(session, vmId, docker, timeoutMs);
  const code = exitCodeOf(task);
  if (code === EXIT.done) {
    const text = done?.(task) ?? '';
    if (text !== '') session.io.stdout.write(`${safe(text)}\n`);
  }
  return code;
}

export async function listContainers(
  session: Session,
  vmId: string,
  all: boolean,
  timeoutMs: number,
  options: FormatOptions,
): Promise<number> {
  const task = await perform(session, vmId, { list: { all } }, timeoutMs);
  if (exitCodeOf(task) !== EXIT.done) return exitCodeOf(task);
  const containers = task.containers ?? [];
  const nowMs = session.io.clock.now();
  if (containers.length === 0)
    session.io.stderr.write(`No container ${all ? 'is' : 'runs'} on ${safe(vmId)}.\n`);
  await printListing(
    session.io.stdout,
    {
      rows: containers,
      value: { containers },
      nameOf: ({ names, id }) => names[0] ?? id,
      columns: [
        { title: 'ID', text: ({ id }) => id.slice(0, 12) },
        { title: 'NAMES', text: ({ names }) => names.join(',') },
        { title: 'IMAGE', text: ({ image }) => image },
        { title: 'STATE', text: ({ state }) => state },
        { title: 'STATUS', text: ({ status }) => status },
        { title: 'AGE', text: ({ created }) => ageOf(new Date(created * 1_000).toISOString(), nowMs) },
      ],
      wideColumns: [],
    },
    options,
  );
  return EXIT.done;
}

async function perform(
  session: Session,
  vmId: string,
  docker: DockerWorkResource,
  timeoutMs: number,
): Promise<TaskResource> {
  assertVmNames([vmId]);
  const body = { vm_id: vmId, docker, timeout_ms: timeoutMs, hold_output: true };
  const { task } = await runTask(session, body, directSink(session));
  if (task.state !== 'completed' && (task.message !== undefined || task.exit_code === undefined))
    session.io.stderr.write(`migctl: ${safe(vmId)}: ${safe(outcomeText(task))}\n`);
  return task;
}
