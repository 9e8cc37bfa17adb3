/**
 * `undrain`: takes a whole drain back, or single VMs out of whatever drained them.
 *
 * A drain is named by its id. VMs get a command each, which works for a VM of a drain and for one that a plain command has
 * drained alike; a VM that waits for its turn in a drain leaves it (the controller sees to that).
 */
import type { DrainResource } from '@mig/common/api/drain-resource';
import type { Client } from '../api/client.js';
import { mapConcurrently } from '../concurrency.js';
import { EXIT, RefusedError, UsageError, type CliError, type ExitCode } from '../errors.js';
import type { Operation, OperationOptions } from '../operate/operation.js';
import { runOperation } from '../operate/run-operation.js';
import { assertSelection, type Selection } from '../operate/targets.js';
import { printResults } from '../output/format.js';
import { count, safe } from '../output/text.js';
import type { Session } from '../session.js';
import { drainListing } from './drain-columns.js';

const OPERATION: Operation = {
  type: 'undrain',
  parameters: {},
  noun: 'undrain',
  done: 'undrained',
  takesOut: false,
  livingOnly: true,
  endsVm: false,
};

/** @throws UsageError if ids of drains and names of VMs are mixed */
export async function undrain(
  session: Session,
  selection: Selection,
  options: OperationOptions,
): Promise<ExitCode> {
  assertSelection(selection);
  const names = [...new Set(selection.names)];
  const found = await mapConcurrently(names, (name) => drainOrNothing(session.client, name));
  const drains = found.filter((drain) => drain !== undefined);
  if (drains.length === 0) return runOperation(session, OPERATION, selection, options);
  if (drains.length < names.length) {
    const other = names.find((_, index) => found[index] === undefined) ?? '';
    throw new UsageError(
      `${drains[0]?.id ?? ''} is a drain, and ${other} is none`,
      'name drains, or VMs, but not both at once',
    );
  }
  if (options.wait || options.deliveryDeadlineMs !== undefined) {
    throw new UsageError(
      'a drain is taken back at once: --wait and --delivery-deadline are for VMs',
      'see `migctl get commands` for how far its VMs have come',
    );
  }
  return takeBack(session, drains, options);
}

/** What `newId` makes of `drain`; no VM of a cloud is called so. */
const DRAIN_ID = /^drain-[0-9a-v]{20}$/;

async function drainOrNothing(client: Client, name: string): Promise<DrainResource | undefined> {
  try {
    return await client.getDrain(name);
  } catch (error) {
    if (error instanceof RefusedError && error.status === 404 && !DRAIN_ID.test(name)) return undefined;
    throw error;
  }
}

/** One that has ended does not keep the others. */
async function takeBack(
  session: Session,
  drains: readonly DrainResource[],
  { output }: OperationOptions,
): Promise<ExitCode> {
  const { client, io } = session;
  const takenBack: DrainResource[] = [];
  const failures: CliError[] = [];
  for (const { id } of drains) {
    try {
      takenBack.push(await client.cancelDrain(id));
    } catch (error) {
      if (!(error instanceof RefusedError) || drains.length === 1) throw error;
      failures.push(error);
    }
  }
  await printResults(io.stdout, drainListing(session, takenBack, drains.length === 1), {
    output,
    lineOf: takenBackText,
    summary: () => `${count(takenBack.length, 'drain')} taken back`,
  });
  for (const { message } of failures) io.stderr.write(`error: ${safe(message)}\n`);
  return failures.length > 0 ? EXIT.failed : EXIT.done;
}

function takenBackText({ id, counts, then }: DrainResource): string {
  const { cancelled, draining, waiting, shuttingDown, done } = counts;
  const doneText =
    then === 'shutdown' ? 'shut down before' : 'drained before: `migctl undrain VM` brings one back';
  return [
    `${id}: taken back: ${count(cancelled + draining + waiting, 'VM')} undrained`,
    ...(shuttingDown > 0 ? [`${shuttingDown} shut down all the same`] : []),
    ...(done > 0 ? [`${done} ${doneText}`] : []),
  ].join('; ');
}
