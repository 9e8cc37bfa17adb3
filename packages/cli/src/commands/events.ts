/** `events [VM...] [-f]`: one line for every event. */
import type { EventResource } from '@mig/common/api/history-resource';
import { EXIT, InterruptedError, UsageError, type ExitCode } from '../errors.js';
import { assertVmNames } from '../operate/targets.js';
import { toJson } from '../output/format.js';
import { createProgress } from '../output/progress.js';
import { createColours } from '../output/colour.js';
import { keyValues, safe } from '../output/text.js';
import { formatTime } from '../output/time.js';
import type { Session } from '../session.js';
import { newEvents, recentEvents, type EventScope, type Places } from './event-source.js';

const POLL_INTERVAL_MS = 1_000;

export interface EventsOptions {
  readonly output: 'table' | 'json';
  readonly follow: boolean;
  /** How many that have been before. */
  readonly tail: number;
}

/** @throws UsageError */
export function assertScope({ names, pool }: EventScope): void {
  assertVmNames(names);
  if (names.length > 0 && pool !== undefined) {
    throw new UsageError(
      'VM names and --pool exclude each other',
      'name VMs, or give --pool POOL, or neither for all',
    );
  }
}

/** With `follow` it ends with Ctrl-C, or when nobody reads any more, and that is no failure. */
export async function showEvents(
  session: Session,
  scope: EventScope,
  options: EventsOptions,
): Promise<ExitCode> {
  assertScope(scope);
  const unique = { ...scope, names: [...new Set(scope.names)] };
  const { events, places } = await recentEvents(session.client, unique, options.tail);
  if (events.length === 0 && !options.follow) session.io.stderr.write('No event has come yet.\n');
  print(session, events, options);
  if (!options.follow) return EXIT.done;
  try {
    await follow(session, unique, options, places);
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
  }
  return EXIT.done;
}

/** A controller that restarts is waited for without end: whoever follows events wants to see what it says next. */
async function follow(
  session: Session,
  scope: EventScope,
  options: EventsOptions,
  places: Places,
): Promise<void> {
  const { clock, env, interrupted, stderr, stdout } = session.io;
  const progress = createProgress(stderr, createColours(env, stderr), () => clock.monotonicMs());
  const client = session.client.withPatience({
    forMs: Infinity,
    onTrouble: (trouble) => progress.trouble(trouble),
  });
  const over = AbortSignal.any([interrupted, stdout.closed]);
  try {
    while (!stdout.closed.aborted) {
      await clock.sleep(POLL_INTERVAL_MS, over);
      print(session, await newEvents(client, scope, places), options);
    }
  } finally {
    progress.clear();
  }
}

function print({ io, colours }: Session, events: readonly EventResource[], { output }: EventsOptions): void {
  const lines = events.map((event) => {
    if (output === 'json') return `${toJson(event)}\n`;
    const data = keyValues(event.data);
    const head = `${colours.dim(formatTime(event.timestamp))}  ${safe(event.vm_id)}  ${colours.bold(safe(event.type))}`;
    return `${head}${data === '' ? '' : `  ${data}`}\n`;
  });
  io.stdout.write(lines.join(''));
}
