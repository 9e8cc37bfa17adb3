/**
 * A command to VMs, from the checked command line to the exit code: find the VMs, ask if it must be asked, submit, wait,
 * report. Nothing is sent before everything that can be checked here has been.
 */
import { CliError, EXIT, InterruptedError, type ExitCode } from '../errors.js';
import { createColours } from '../output/colour.js';
import { createProgress } from '../output/progress.js';
import { count } from '../output/text.js';
import type { Session } from '../session.js';
import { assertAnswerable, confirm } from './confirm.js';
import type { Followed } from './followed.js';
import { assertOperation, type Operation, type OperationOptions } from './operation.js';
import { howToLook, reportSubmitted, reportWaited } from './report.js';
import { submitToAll, type Submitted } from './submit.js';
import { assertSelection, findTargets, type Selection, type Targets } from './targets.js';
import { waitUntilSettled } from './wait.js';

/** @throws CliError if nothing could be submitted at all, or the controller is lost for good */
export async function runOperation(
  session: Session,
  operation: Operation,
  selection: Selection,
  options: OperationOptions,
): Promise<ExitCode> {
  assertSelection(selection);
  assertOperation(operation);
  const question = {
    verb: operation.noun,
    wholeFleet: operation.takesOut && selection.all === true,
    forced: operation.parameters['force'] === true,
    yes: options.yes,
  };
  assertAnswerable(session, question);
  const { io } = session;
  const targets = await findTargets(session.client, selection, operation.livingOnly);
  if (targets.vmIds.length === 0) {
    const why =
      targets.skippedCount > 0
        ? `${count(targets.skippedCount, 'VM')} there, all shut down already`
        : 'no VM is known';
    io.stderr.write(`Nothing to do: ${why}.\n`);
    return EXIT.done;
  }
  if (!(await confirm(session, question, () => Promise.resolve(targets)))) {
    io.stderr.write('Nothing was sent.\n');
    return EXIT.failed;
  }
  return submitAndWait(session, operation, targets, options);
}

async function submitAndWait(
  session: Session,
  operation: Operation,
  targets: Targets,
  options: OperationOptions,
): Promise<ExitCode> {
  const { io } = session;
  const startedMs = io.clock.monotonicMs();
  const deadlineMs = options.wait && options.timeoutMs > 0 ? startedMs + options.timeoutMs : Infinity;
  const progress = createProgress(io.stderr, createColours(io.env, io.stderr), () => io.clock.monotonicMs());
  const client = session.client.withPatience({
    forMs: options.reconnectForMs,
    deadlineMs,
    onTrouble: (trouble) => progress.trouble(trouble),
  });
  const submitted = await submitToAll(
    client,
    targets.vmIds,
    operation,
    options.deliveryDeadlineMs,
    io.newKey,
  );
  if (!options.wait || submitted.stoppedBy !== undefined || submitted.answers.length === 0) {
    progress.clear();
    return reportSubmitted(session, operation, targets, submitted, options);
  }
  const followed = submitted.answers.map((command): Followed => {
    const vm = targets.known.get(command.vm_id);
    return { vmId: command.vm_id, command, vm, bootId: vm?.boot_id, forgotten: false };
  });
  try {
    const deps = { client, clock: io.clock, interrupted: io.interrupted, progress };
    await waitUntilSettled(deps, followed, { endsVm: operation.endsVm, deadlineMs });
  } catch (error) {
    throw stillGoesOn(session, error, operation, submitted);
  } finally {
    progress.clear();
  }
  return reportWaited(session, operation, submitted, followed, {
    ...options,
    tookMs: io.clock.monotonicMs() - startedMs,
  });
}

/** The wait has ended, but not what was waited for: the error says so. */
function stillGoesOn(
  session: Session,
  error: unknown,
  operation: Operation,
  { answers }: Submitted,
): unknown {
  const look = howToLook(
    session,
    answers.map(({ vm_id }) => vm_id),
  );
  const hint = `the ${operation.noun} goes on; look at it with: ${look}`;
  if (error instanceof InterruptedError) {
    return new CliError('detached', `no longer waiting for ${nameOf(answers)}`, EXIT.interrupted, hint);
  }
  if (error instanceof CliError)
    return new CliError(error.code, error.message, error.exitCode, hint, { cause: error });
  return error;
}

const nameOf = (commands: Submitted['answers']): string =>
  commands.length === 1 ? (commands[0]?.vm_id ?? '') : count(commands.length, 'VM');
