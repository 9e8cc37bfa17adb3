/**
 * How much each may: token buckets by name. A bucket begins full, gives what is asked for while it lasts, and fills again with
 * time; it is kept over reconnects, so that coming back gains nothing.
 */
import type { Clock } from '@mig/common/clock';

export interface BucketOptions {
  /** What comes back in a second. */
  readonly perSecond: number;
  /** What a full one holds. */
  readonly burst: number;
}

export interface Buckets {
  /**
   * Takes `cost` of the bucket of this name.
   * @returns 0, or, if there is not so much in it, how many milliseconds it takes until there is; then nothing was taken
   */
  take(name: string, cost?: number): number;
  /** How often there was not enough. */
  readonly refusedCount: number;
}

/** Names that are kept at a time (I12). A bucket that is forgotten was the one that was asked longest ago. */
const MAX_NAMES = 100_000;

export function createBuckets(clock: Clock, { perSecond, burst }: BucketOptions): Buckets {
  const byName = new Map<string, { left: number; atMs: number }>();
  let refusedCount = 0;
  return {
    take(name, cost = 1) {
      const nowMs = clock.monotonicMs();
      const bucket = byName.get(name) ?? { left: burst, atMs: nowMs };
      byName.delete(name);
      byName.set(name, bucket);
      if (byName.size > MAX_NAMES) {
        const [oldest] = byName.keys();
        if (oldest !== undefined) byName.delete(oldest);
      }
      bucket.left = Math.min(burst, bucket.left + ((nowMs - bucket.atMs) / 1_000) * perSecond);
      bucket.atMs = nowMs;
      // What is larger than the whole bucket is let through when it is full: it would never be otherwise.
      const needed = Math.min(cost, burst);
      if (bucket.left >= needed) {
        bucket.left -= cost;
        return 0;
      }
      refusedCount += 1;
      return Math.ceil(((needed - bucket.left) / perSecond) * 1_000);
    },
    get refusedCount() {
      return refusedCount;
    },
  };
}
