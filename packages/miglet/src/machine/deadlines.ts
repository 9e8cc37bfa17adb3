/** The deadlines of a drain: pure reckoning. Their timers are in timers.ts. */
import type { DrainRequest, MigletContext } from './types.js';

/** A first drain that names no deadline has that of the settings; a later one changes nothing. */
export const deadlineOf = (request: DrainRequest, { drain, settings }: MigletContext): number | undefined =>
  request.deadlineMs ?? (drain === undefined ? settings.drainDeadlineMs : undefined);

/** The last that was named is the shortest: a longer one is not taken. Undefined = never. */
export const shortestDeadline = (context: MigletContext): number | undefined =>
  context.drain?.deadlinesMs.at(-1);

export const isShorter = (deadlineMs: number | undefined, than: number | undefined): deadlineMs is number =>
  deadlineMs !== undefined && deadlineMs > 0 && (than === undefined || deadlineMs < than);
