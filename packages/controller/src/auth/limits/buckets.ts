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

export interface Bucket {
  /**
   * Takes `cost`.
   * @param nowMs by the monotonic clock
   * @returns 0, or, if there is not so much in it, how many milliseconds it takes until there is; then nothing was taken
   */
  take(cost: number, nowMs: number): number;
  /** Takes `cost`, also where there is less: what is missing is owed. @returns 0, or how many milliseconds it takes until nothing is */
  draw(cost: number, nowMs: number): number;
}

export interface Buckets {
  /** Takes `cost` of the bucket of this name, now; as `Bucket.take`. */
  take(name: string, cost?: number): number;
  /** The bucket of this name, for whoever takes of it often. */
  of(name: string): Bucket;
  /** How often there was not enough. */
  readonly refusedCount: number;
}

/** Names that are kept at a time (I12). A bucket that is forgotten was the one that was asked for longest ago. */
const MAX_NAMES = 100_000;

export function createBuckets(clock: Clock, { perSecond, burst }: BucketOptions): Buckets {
  const byName = new Map<string, TokenBucket>();
  let refusedCount = 0;

  class TokenBucket implements Bucket {
    left = burst;
    atMs: number;

    constructor(nowMs: number) {
      this.atMs = nowMs;
    }

    draw(cost: number, nowMs: number): number {
      this.left = Math.min(burst, this.left + ((nowMs - this.atMs) / 1_000) * perSecond) - cost;
      this.atMs = nowMs;
      return this.left >= 0 ? 0 : Math.ceil((-this.left / perSecond) * 1_000);
    }

    take(cost: number, nowMs: number): number {
      const left = Math.min(burst, this.left + ((nowMs - this.atMs) / 1_000) * perSecond);
      this.atMs = nowMs;
      // What is larger than the whole bucket is let through when it is full: it would never be otherwise.
      const needed = Math.min(cost, burst);
      if (left >= needed) {
        this.left = left - cost;
        return 0;
      }
      this.left = left;
      refusedCount += 1;
      return Math.ceil(((needed - left) / perSecond) * 1_000);
    }
  }

  function of(name: string): TokenBucket {
    const bucket = byName.get(name) ?? new TokenBucket(clock.monotonicMs());
    byName.delete(name);
    byName.set(name, bucket);
    if (byName.size > MAX_NAMES) {
      const [oldest] = byName.keys();
      if (oldest !== undefined) byName.delete(oldest);
    }
    return bucket;
  }

  return {
    take: (name, cost = 1) => of(name).take(cost, clock.monotonicMs()),
    of,
    get refusedCount() {
      return refusedCount;
    },
  };
}
