/**
 * `drain`: from the checked command line to the exit code. One drain is made for all VMs, and the controller does the rest:
 * whoever waits only looks on, and may leave and come back.
 */
import type { CreateDrainBody, DrainResource } from '@mig/common/api/drain-resource';
import type { Client } from '../api/client.js';
import {
  CliError,
  EXIT,
  InterruptedError,
  RefusedError,
  UnavailableError,
  type ExitCode,
} from '../errors.js';
import { assertAnswerable, confirm } from '../operate/confirm.js';
import { assertSelection, findTargets, type Selection } from '../operate/targets.js';
import { createColours } from '../output/colour.js';
import { printListing, type Format } from '../output/format.js';
import { safe } from '../output/text.js';
import type { Session } from '../session.js';
import { drainListing } from './drain-columns.js';
import { createDrainProgress, type DrainProgress } from './drain-progress.js';
import { toDrainBody, type DrainRequest } from './drain-request.js';
import { assertDrainIds, deadlineText, howToReturn, planText } from './drain-text.js';
import { followDrain } from './follow-drain.js';
import { reportDrain } from './report-drain.js';

export interface WaitDrainOptions {
  readonly output: Format;
  /** Milliseconds; 0 = for ever. */
  readonly timeoutMs: number;
  /** How long a controller that stops answering is waited for, milliseconds. */
  readonly reconnectForMs: number;
}

export interface DrainOptions extends WaitDrainOptions {
  readonly wait: boolean;
  /** Ask nothing. */
  readonly yes: boolean;
}

/** Making the drain is tried no longer than this against a controller that restarts, or whose disk is full; milliseconds. */
const MAKE_WITHIN_MS = 60_000;

/** @throws CliError if no drain was made, or if the controller is lost for good */
export async function runDrain(
  session: Session,
  selection: Selection,
  request: DrainRequest,
  options: DrainOptions,
): Promise<ExitCode> {
  assertSelection(selection);
  const body = toDrainBody(selection, request);
  const question = {
    verb: 'drain',
    wholeFleet: selection.all === true,
    forced: request.force,
    consequences: [
      ...(request.force ? [] : [deadlineText({ deadline_ms: request.deadlineMs, force: false })]),
      ...(request.then === 'shutdown' ? ['each VM is shut down then'] : []),
    ],
    yes: options.yes,
  };
  assertAnswerable(session, question);
  if (!(await confirm(session, question, () => findTargets(session.client, selection, true)))) {
    session.io.stderr.write('Nothing was sent.\n');
    return EXIT.failed;
  }
  const watch = startWatch(session, options);
  const drain = await makeDrain(session, watch, body, options.reconnectForMs);
  return options.wait ? watchDrain(session, watch, drain, options) : reportMade(session, drain, options);
}

/** `wait drain ID`: returns to a drain that was made before. @throws CliError */
export async function waitForDrain(
  session: Session,
  drainId: string,
  options: WaitDrainOptions,
): Promise<ExitCode> {
  assertDrainIds([drainId]);
  const watch = startWatch(session, options);
  return watchDrain(session, watch, await watch.client.getDrain(drainId), options);
}

interface Watch {
  readonly client: Client;
  readonly progress: DrainProgress;
  readonly onTrouble: DrainProgress['trouble'];
  /** Time of the monotonic clock; infinite = never. */
  readonly deadlineMs: number;
}

function startWatch({ io, client }: Session, { timeoutMs, reconnectForMs }: WaitDrainOptions): Watch {
  const deadlineMs = timeoutMs > 0 ? io.clock.monotonicMs() + timeoutMs : Infinity;
  const progress = createDrainProgress(io.stderr, createColours(io.env, io.stderr));
  const onTrouble: DrainProgress['trouble'] = (trouble) => progress.trouble(trouble);
  return {
    client: client.withPatience({ forMs: reconnectForMs, deadlineMs, onTrouble }),
    progress,
    onTrouble,
    deadlineMs,
  };
}

async function makeDrain(
  { io, client: once, serverFlag }: Session,
  { deadlineMs, progress, onTrouble }: Watch,
  body: CreateDrainBody,
  reconnectForMs: number,
): Promise<DrainResource> {
  const forMs = Math.min(MAKE_WITHIN_MS, reconnectForMs);
  const client = once.withPatience({ forMs, deadlineMs, onTrouble });
  // A controller that has answered is waited for: then a lost answer is asked for again, under the same key.
  await client.touch();
  try {
    return await client.createDrain(body, io.newKey());
  } catch (error) {
    if (error instanceof RefusedError) {
      const hint = error.hint === undefined ? 'no drain was made' : `no drain was made; ${error.hint}`;
      throw new CliError(error.code, error.message, error.exitCode, hint, { cause: error });
    }
    if (error instanceof UnavailableError || error instanceof InterruptedError) {
      const hint = `whether the drain was made is not known: look with \`migctl get drains${serverFlag}\` before you try again`;
      throw new CliError(error.code, error.message, error.exitCode, hint, { cause: error });
    }
    throw error;
  } finally {
    progress.clear();
  }
}

async function reportMade(
  session: Session,
  drain: DrainResource,
  { output }: WaitDrainOptions,
): Promise<ExitCode> {
  const { stdout, stderr } = session.io;
  if (output === 'table') {
    stdout.write(`${safe(drain.id)}: drains ${planText(drain)}\n`);
    stderr.write(`hint: ${howToReturn(session, drain.id)}\n`);
  } else {
    await printListing(stdout, drainListing(session, [drain], true), { output, headers: true });
  }
  return EXIT.done;
}

async function watchDrain(
  session: Session,
  { client, progress, deadlineMs }: Watch,
  drain: DrainResource,
  options: WaitDrainOptions,
): Promise<ExitCode> {
  const { clock, interrupted, stderr } = session.io;
  // The id is on the screen before anything can go wrong.
  if (drain.state === 'active') stderr.write(`${safe(drain.id)}: drains ${planText(drain)}\n`);
  let ended: DrainResource;
  try {
    ended = await followDrain({ client, clock, interrupted, progress }, drain, deadlineMs);
  } catch (error) {
    throw stillGoesOn(session, error, drain);
  } finally {
    progress.clear();
  }
  return reportDrain(session, ended, options);
}

/** The wait has ended, but not the drain: the error says so, and how to return. */
function stillGoesOn(session: Session, error: unknown, { id }: DrainResource): unknown {
  const hint = howToReturn(session, id);
  if (error instanceof InterruptedError) {
    const message = `no longer following ${safe(id)}, which goes on`;
    return new CliError('detached', message, EXIT.interrupted, hint, { cause: error });
  }
  if (error instanceof UnavailableError) {
    return new CliError(error.code, error.message, error.exitCode, `the drain goes on; ${hint}`, {
      cause: error,
    });
  }
  return error;
}
