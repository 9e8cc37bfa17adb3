/** Guessing has a price: an address whose joins failed too often is refused for a while, whatever it brings. */
import type { Clock } from '@mig/common/clock';
import { MigError } from '@mig/common/errors';

/** An address has failed too often. */
export class TooManyAttemptsError extends MigError {
  constructor(readonly retryAfterMs: number) {
    super(
      'too-many-attempts',
      `too many failed attempts from this address: try again in ${Math.ceil(retryAfterMs / 1_000)} s`,
    );
  }
}

export interface Attempts {
  /** @throws TooManyAttemptsError */
  assertAllowed(address: string): void;
  failed(address: string): void;
  /** Addresses that are refused now. */
  readonly lockedCount: number;
}

export interface AttemptsOptions {
  /** Failures in a minute after which an address is locked out. */
  readonly perMinute: number;
  readonly lockoutMs: number;
}

const WINDOW_MS = 60_000;
/** Addresses that are remembered (I12); beyond it the oldest are forgotten. */
const MAX_ADDRESSES = 50_000;

export function createAttempts(clock: Clock, { perMinute, lockoutMs }: AttemptsOptions): Attempts {
  interface Tries {
    sinceMs: number;
    count: number;
    lockedUntilMs: number;
  }
  const byAddress = new Map<string, Tries>();

  return {
    assertAllowed(address) {
      const left = (byAddress.get(address)?.lockedUntilMs ?? 0) - clock.monotonicMs();
      if (left > 0) throw new TooManyAttemptsError(left);
    },
    failed(address) {
      const nowMs = clock.monotonicMs();
      let tries = byAddress.get(address);
      if (tries === undefined || nowMs - tries.sinceMs >= WINDOW_MS)
        tries = { sinceMs: nowMs, count: 0, lockedUntilMs: 0 };
      tries.count += 1;
      if (tries.count >= perMinute) tries.lockedUntilMs = nowMs + lockoutMs;
      byAddress.delete(address);
      byAddress.set(address, tries);
      if (byAddress.size <= MAX_ADDRESSES) return;
      for (const oldest of byAddress.keys()) {
        byAddress.delete(oldest);
        return;
      }
    },
    get lockedCount() {
      const nowMs = clock.monotonicMs();
      return [...byAddress.values()].filter(({ lockedUntilMs }) => lockedUntilMs > nowMs).length;
    },
  };
}
