import { isValidId } from '@mig/common/domain/ids';
import { cancelTask, getTask, listTasks, type TaskFilter } from '../api/task-calls.js';
import { mapConcurrently } from '../concurrency.js';
import { EXIT, UsageError, type ExitCode } from '../errors.js';
import { assertVmNames } from '../operate/targets.js';
import { printListing, printResults, type Format, type FormatOptions } from '../output/format.js';
import { safe } from '../output/text.js';
import type { Session } from '../session.js';
import { taskListing } from './task-columns.js';

/** `get tasks [ID...]`: what was run on VMs, oldest first. */
export async function getTasks(
  session: Session,
  ids: readonly string[],
  filter: TaskFilter,
  options: FormatOptions,
): Promise<ExitCode> {
  assertTaskIds(ids);
  if (filter.vmId !== undefined) assertVmNames([filter.vmId]);
  const filtered = Object.values(filter).some((value) => value !== undefined);
  if (ids.length > 0 && filtered)
    throw new UsageError(
      'task ids and the filters --vm and --state exclude each other',
      'give ids, or filters',
    );
  const { client, io } = session;
  const tasks =
    ids.length === 0
      ? await listTasks(client, filter)
      : await mapConcurrently(ids, (id) => getTask(client, id));
  if (tasks.length === 0) io.stderr.write(filtered ? 'No task matches.\n' : 'No task was given yet.\n');
  await printListing(io.stdout, taskListing(session, tasks, ids.length === 1), options);
  return EXIT.done;
}

/** `cancel task ID...`: what it started is ended. */
export async function cancelTasks(
  session: Session,
  ids: readonly string[],
  output: Format,
): Promise<ExitCode> {
  assertTaskIds(ids);
  const tasks = await mapConcurrently([...new Set(ids)], (id) => cancelTask(session.client, id));
  await printResults(session.io.stdout, taskListing(session, tasks, ids.length === 1), {
    output,
    lineOf: ({ id, vm_id, state }) =>
      state === 'cancelled' ? `${id}: cancelled` : `${id}: VM ${vm_id} is told to end it`,
    summary: () => `${tasks.length} tasks are cancelled`,
  });
  return EXIT.done;
}

/** @throws UsageError */
function assertTaskIds(ids: readonly string[]): void {
  const wrong = ids.find((id) => !isValidId(id));
  if (wrong === undefined) return;
  throw new UsageError(`${JSON.stringify(safe(wrong))} cannot be the id of a task`, 'see `migctl get tasks`');
}
