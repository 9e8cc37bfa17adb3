/**
 * Guessing has a price: from an address whose joins failed too often, what fails is answered with 429 for a while. What is good
 * is taken all the same: many VMs may be behind one address, and one of them must not shut out the others. A token has
 * 256 bits, so that who guesses gains nothing by it.
 */
import type { Clock } from '@mig/common/clock';
import { MigError } from '@mig/common/errors';

/** An address has failed too often. */
export class TooManyAttemptsError extends MigError {
  /** @param isAudited it has its entry in the audit log already */
  constructor(
    readonly retryAfterMs: number,
    readonly isAudited = false,
  ) {
    super(
      'too-many-attempts',
      `too many failed attempts from this address: try again in ${Math.ceil(retryAfterMs / 1_000)} s`,
    );
  }
}

export interface Attempts {
  /** A join has failed. @returns how long the address is locked out, if it was before this one; 0 = it was not */
  failed(address: string): number;
  /** Addresses that are locked out now. */
  readonly lockedCount: number;
}

export interface AttemptsOptions {
  /** Failures in a minute after which an address is locked out: the next that fails gets 429. */
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
    failed(address) {
      const nowMs = clock.monotonicMs();
      let tries = byAddress.get(address);
      const leftMs = (tries?.lockedUntilMs ?? 0) - nowMs;
      if (leftMs > 0) return leftMs;
      if (tries === undefined || nowMs - tries.sinceMs >= WINDOW_MS)
        tries = { sinceMs: nowMs, count: 0, lockedUntilMs: 0 };
      tries.count += 1;
      if (tries.count >= perMinute) tries.lockedUntilMs = nowMs + lockoutMs;
      byAddress.delete(address);
      byAddress.set(address, tries);
      for (const oldest of byAddress.size > MAX_ADDRESSES ? byAddress.keys() : []) {
        byAddress.delete(oldest);
        break;
      }
      return 0;
    },
    get lockedCount() {
      const nowMs = clock.monotonicMs();
      return [...byAddress.values()].filter(({ lockedUntilMs }) => lockedUntilMs > nowMs).length;
    },
  };
}
