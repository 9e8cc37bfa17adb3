/**
 * How many connections come in at once. What a new one costs depends on the machine, on TLS and on what its client does first, so it
 * is not known; what is seen is how late the event loop comes to look. While it is in time more come in at once, and when it is
 * late fewer: a fleet that comes back gets in as fast as the machine can take it, and streams that are open wait for none of it
 * longer than about `LATE_MS`.
 */
import type { Clock } from '@mig/common/clock';

/** Between two looks. */
export const LOOK_MS = 10;
const LATE_MS = 6;
const LEAST = 4;
/** More of them at once would be a halt for everybody else, whatever was seen before. */
const MOST = 32;
const AT_FIRST = 8;
/** After so long without a look it begins anew. */
const CALM_MS = 100;

export interface Pace {
  /** May one more come in before the next look? Then it counts as one. */
  take(): boolean;
  /** To be called `LOOK_MS` after `wait`. */
  look(): void;
  /** A look is awaited from now on. */
  wait(): void;
}

export function createPace(clock: Clock): Pace {
  let allowed = AT_FIRST;
  let entered = 0;
  let sinceMs = clock.monotonicMs();
  let dueMs = sinceMs;

  return {
    take() {
      const nowMs = clock.monotonicMs();
      if (nowMs - sinceMs >= CALM_MS) allowed = AT_FIRST;
      if (nowMs - sinceMs >= LOOK_MS) {
        sinceMs = nowMs;
        entered = 0;
      }
      if (entered >= allowed) return false;
      entered += 1;
      return true;
    },
    look() {
      const nowMs = clock.monotonicMs();
      if (nowMs - dueMs > LATE_MS) allowed = Math.max(LEAST, Math.floor(allowed / 2));
      else if (entered >= allowed) allowed = Math.min(MOST, allowed + Math.ceil(allowed / 4));
      sinceMs = nowMs;
      entered = 0;
    },
    wait() {
      dueMs = clock.monotonicMs() + LOOK_MS;
    },
  };
}
