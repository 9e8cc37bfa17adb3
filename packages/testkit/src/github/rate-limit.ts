import type { Clock } from '@mig/common/clock';

export interface RateLimitOptions {
  /** Requests per window, of each caller. Default 5000, that of an installation. */
  readonly limit?: number;
  /** Default one hour. */
  readonly windowMs?: number;
  /** GitHub answers with one or the other when nothing remains. Default 403. */
  readonly exceededStatus?: 403 | 429;
}

/** Schema `rate-limit` of GitHub's REST description; `reset` is in seconds since 1970. */
export interface RateLimitState {
  readonly limit: number;
  readonly remaining: number;
  readonly reset: number;
  readonly used: number;
}

/** GitHub's primary rate limit: a fixed window that begins with its first request (github-facts 2.3). */
export interface RateLimit {
  /** Counts a request. False if the window has none left. */
  take(): boolean;
  /** Takes back what `take` counted last. */
  giveBack(): void;
  state(): RateLimitState;
  /** Leaves this many requests in the window. */
  setRemaining(count: number): void;
}

/** One rate limit for each caller: `user` (all tokens of the options), `app`, `installation <id>`. */
export interface RateLimits {
  of(caller: string): RateLimit;
  /** Leaves this many requests in the window of one caller, or of all, with those who have not asked yet. */
  setRemaining(count: number, caller?: string): void;
}

export function createRateLimits(clock: Clock, options: RateLimitOptions): RateLimits {
  const limits = new Map<string, RateLimit>();
  let forNewcomers: number | undefined;

  function of(caller: string): RateLimit {
    const known = limits.get(caller);
    if (known !== undefined) return known;
    const created = createRateLimit(clock, options);
    if (forNewcomers !== undefined) created.setRemaining(forNewcomers);
    limits.set(caller, created);
    return created;
  }

  return {
    of,
    setRemaining(count, caller) {
      if (caller !== undefined) return of(caller).setRemaining(count);
      forNewcomers = count;
      for (const limit of limits.values()) limit.setRemaining(count);
    },
  };
}

function createRateLimit(clock: Clock, options: RateLimitOptions): RateLimit {
  const limit = options.limit ?? 5_000;
  const windowMs = options.windowMs ?? 3_600_000;
  let used = 0;
  let endsAt = 0;

  function roll(): void {
    if (clock.now() < endsAt) return;
    used = 0;
    endsAt = clock.now() + windowMs;
  }

  return {
    take() {
      roll();
      if (used >= limit) return false;
      used += 1;
      return true;
    },
    giveBack() {
      used = Math.max(0, used - 1);
    },
    state() {
      roll();
      return { limit, remaining: limit - used, reset: Math.ceil(endsAt / 1000), used };
    },
    setRemaining(count) {
      roll();
      used = limit - Math.max(0, Math.min(count, limit));
    },
  };
}

/** As GitHub sends them with every answer of its API. */
export function toRateLimitHeaders(state: RateLimitState): Record<string, string> {
  return {
    'x-ratelimit-limit': String(state.limit),
    'x-ratelimit-remaining': String(state.remaining),
    'x-ratelimit-used': String(state.used),
    'x-ratelimit-reset': String(state.reset),
    'x-ratelimit-resource': 'core',
  };
}
