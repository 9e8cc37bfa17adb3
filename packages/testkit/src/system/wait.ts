/** Waiting for something that other processes do, with a deadline and an end. */
import { setTimeout as pause } from 'node:timers/promises';

export interface WaitOptions {
  readonly deadlineMs: number;
  /** How often it is looked. Default 100 ms. */
  readonly everyMs?: number;
  /** Ends the waiting with its reason. */
  readonly signal: AbortSignal;
}

/**
 * Resolves to what `condition` returns as soon as that is neither false nor undefined.
 *
 * @throws Error that names `what`, after the deadline; the signal's reason, when it is aborted
 */
export async function waitUntil<T>(
  what: string,
  condition: () => T | false | undefined | Promise<T | false | undefined>,
  options: WaitOptions,
): Promise<T> {
  const deadline = performance.now() + options.deadlineMs;
  for (;;) {
    options.signal.throwIfAborted();
    const value = await condition();
    if (value !== false && value !== undefined) return value;
    if (performance.now() > deadline)
      throw new Error(`${what}: not so after ${options.deadlineMs / 1_000} s`);
    await pause(options.everyMs ?? 100, undefined, { signal: options.signal });
  }
}
