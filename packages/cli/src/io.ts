/** The world as the commands see it. Everything in it is handed in, so that a test can replace any part. */
import { systemClock } from '@mig/common/clock';
import { InterruptedError } from './errors.js';
import type { Output } from './output/output.js';

/** Time, and waiting. Unlike the timers of a server, a wait here keeps the process alive. */
export interface CliClock {
  /** Wall clock, milliseconds since 1970: for ages. */
  now(): number;
  /** Never goes back: for deadlines and durations. */
  monotonicMs(): number;
  /** @throws InterruptedError as soon as `signal` is aborted */
  sleep(delayMs: number, signal: AbortSignal): Promise<void>;
}

export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: CliClock;
  readonly fetch: typeof globalThis.fetch;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly interrupted: AbortSignal;
  /** Asks the person at the terminal and resolves to the answer; undefined if nobody is there to answer. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  /** A new idempotency key. */
  readonly newKey: () => string;
  /** A number in [0, 1), for jitter. */
  readonly random: () => number;
}

export const systemCliClock: CliClock = {
  now: () => systemClock.now(),
  monotonicMs: () => systemClock.monotonicMs(),
  sleep: (delayMs, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(new InterruptedError());
        return;
      }
      const onAbort = () => {
        clearTimeout(timer);
        reject(new InterruptedError());
      };
      const timer = setTimeout(() => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      }, delayMs);
      signal.addEventListener('abort', onAbort, { once: true });
    }),
};
