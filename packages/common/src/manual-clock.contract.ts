/** A clock for tests: time stands still until it is told to move. */
import type { Clock } from './clock.js';

export interface ManualClock extends Clock {
  /** Moves both clocks on, and calls what falls due on the way, in its order. */
  advance(durationMs: number): void;
  /** Sets the wall clock, as an administrator would; the monotonic one goes on as it was. */
  setNow(epochMs: number): void;
  /** Timers that are set and have not fired. */
  readonly timerCount: number;
}

/** 2026-11-21T02:00:00.000Z */
export const TEST_START = Date.UTC(2026, 10, 21, 2);

export function createManualClock(startAt = TEST_START): ManualClock {
  let wallMs = startAt;
  let monotonicMs = 5_000;
  let counter = 0;
  const timers = new Map<number, { readonly dueMs: number; readonly callback: () => void }>();

  function nextDue(untilMs: number): number | undefined {
    let found: number | undefined;
    for (const [id, timer] of timers) {
      if (timer.dueMs > untilMs) continue;
      if (found === undefined || timer.dueMs < (timers.get(found)?.dueMs ?? Infinity)) found = id;
    }
    return found;
  }

  function moveTo(targetMs: number): void {
    wallMs += targetMs - monotonicMs;
    monotonicMs = targetMs;
  }

  return {
    now: () => wallMs,
    monotonicMs: () => monotonicMs,
    setTimer(callback, delayMs) {
      counter += 1;
      timers.set(counter, { dueMs: monotonicMs + Math.max(0, delayMs), callback });
      return counter;
    },
    clearTimer(timer) {
      timers.delete(timer as number);
    },
    advance(durationMs) {
      const targetMs = monotonicMs + durationMs;
      for (let id = nextDue(targetMs); id !== undefined; id = nextDue(targetMs)) {
        const timer = timers.get(id);
        timers.delete(id);
        if (timer === undefined) continue;
        moveTo(Math.max(monotonicMs, timer.dueMs));
        timer.callback();
      }
      moveTo(targetMs);
    },
    setNow(epochMs) {
      wallMs = epochMs;
    },
    get timerCount() {
      return timers.size;
    },
  };
}
