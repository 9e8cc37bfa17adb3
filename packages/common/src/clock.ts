import { testClockOffsetMs } from './test-clock.js';

/** A timer that `Clock.clearTimer` takes back. Opaque. */
export type Timer = unknown;

/** Time as a part sees it; injected, so that a test can hold it still. */
export interface Clock {
  /** Wall clock, milliseconds since 1970. May jump; for records and for people, never for intervals. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes back. For intervals and deadlines. */
  monotonicMs(): number;
  /** Calls `callback` once after `delayMs`; does not keep the process alive. */
  setTimer(callback: () => void, delayMs: number): Timer;
  clearTimer(timer: Timer): void;
}

/** The longest delay that a Node timer takes (2^31-1 ms, 24.8 days); a longer one would fire at once. */
const MAX_DELAY_MS = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now() + testClockOffsetMs(),
  monotonicMs: () => performance.now(),
  setTimer: (callback, delayMs) => setTimeout(callback, Math.min(delayMs, MAX_DELAY_MS)).unref(),
  clearTimer: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

/** The last millisecond of the year 9999: RFC 3339 has no later one. */
const MAX_TIME_MS = 253_402_300_799_999;

const SECONDS = new Array<{ readonly second: number; readonly text: string } | undefined>(64).fill(undefined);

/**
 * RFC 3339 in UTC with milliseconds, the one form of a time on the operator API and in files. A time that it cannot say
 * (a VM may report any number) becomes the nearest that it can, from 1970 to 9999.
 */
export function toRfc3339(epochMs: number): string {
  const timeMs = Number.isNaN(epochMs) ? 0 : Math.min(Math.max(Math.trunc(epochMs), 0), MAX_TIME_MS);
  const second = Math.floor(timeMs / 1_000);
  // What is stored at a time is mostly of the same few seconds.
  const slot = second % SECONDS.length;
  let known = SECONDS[slot];
  if (known?.second !== second) {
    known = { second, text: new Date(second * 1_000).toISOString().slice(0, -4) };
    SECONDS[slot] = known;
  }
  return `${known.text}${String(timeMs - second * 1_000).padStart(3, '0')}Z`;
}
