import type { Clock } from '@mig/common/clock';

/** Each undefined: not limited. */
export interface SecondaryLimitOptions {
  /** Of each caller and operation: 1 for reading, 5 for writing. GitHub's is 900. */
  readonly pointsPerMinute?: number;
  /** Requests of a caller that are not answered yet. GitHub's is 100. */
  readonly concurrent?: number;
  /** POSTs of a caller. GitHub's is 80 for what it calls content; whether a registration is content, it does not say. */
  readonly postsPerMinute?: number;
}

/** What GitHub documents (github-facts 2.3). */
export const GITHUBS_SECONDARY_LIMITS: Required<SecondaryLimitOptions> = {
  pointsPerMinute: 900,
  concurrent: 100,
  postsPerMinute: 80,
};

const MINUTE_MS = 60_000;

/** GitHub's limits against abuse, which say when to come again in `retry-after` alone. */
export interface SecondaryLimit {
  /** Undefined: go on, and call `leave` when it is answered. Otherwise the seconds of `retry-after`. */
  enter(caller: string, method: string, operation: string): number | undefined;
  leave(caller: string): void;
  /** Everything is refused for so long. */
  trip(forMs: number): void;
}

export function createSecondaryLimit(clock: Clock, options: SecondaryLimitOptions): SecondaryLimit {
  const windows = new Map<string, { endsAt: number; used: number }>();
  const inFlight = new Map<string, number>();
  let trippedUntil = 0;

  /** Counts in a window of a minute; the milliseconds until it ends if that is too much. */
  function spend(key: string, amount: number, limit: number | undefined): number | undefined {
    if (limit === undefined) return undefined;
    const now = clock.monotonicMs();
    const known = windows.get(key);
    const window = known !== undefined && known.endsAt > now ? known : { endsAt: now + MINUTE_MS, used: 0 };
    windows.set(key, window);
    window.used += amount;
    return window.used > limit ? window.endsAt - now : undefined;
  }

  return {
    enter(caller, method, operation) {
      const isRead = method === 'GET';
      const running = (inFlight.get(caller) ?? 0) + 1;
      const waits = [
        trippedUntil > clock.monotonicMs() ? trippedUntil - clock.monotonicMs() : undefined,
        running > (options.concurrent ?? Infinity) ? MINUTE_MS : undefined,
        spend(`${caller} ${operation}`, isRead ? 1 : 5, options.pointsPerMinute),
        method === 'POST' ? spend(`${caller} POST`, 1, options.postsPerMinute) : undefined,
      ].filter((wait) => wait !== undefined);
      if (waits.length > 0) return Math.ceil(Math.max(...waits) / 1000);
      inFlight.set(caller, running);
      return undefined;
    },
    leave(caller) {
      inFlight.set(caller, (inFlight.get(caller) ?? 1) - 1);
    },
    trip(forMs) {
      trippedUntil = clock.monotonicMs() + forMs;
    },
  };
}
