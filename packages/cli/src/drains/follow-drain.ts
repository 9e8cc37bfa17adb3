/** Looks at a drain again and again until it has ended, or time is up. */
import type { DrainResource } from '@mig/common/api/drain-resource';
import type { Client } from '../api/client.js';
import { UnavailableError } from '../errors.js';
import type { CliClock } from '../io.js';
import type { DrainProgress } from './drain-progress.js';

const FIRST_INTERVAL_MS = 250;
const GROWTH = 1.5;
/** For each VM of the drain: the answer grows with them, and so does the time between two looks. */
const INTERVAL_PER_VM_MS = 1;
const MIN_SLOWEST_MS = 1_000;
const MAX_SLOWEST_MS = 5_000;

export interface FollowDrainDeps {
  readonly client: Client;
  readonly clock: CliClock;
  readonly interrupted: AbortSignal;
  readonly progress: DrainProgress;
}

/**
 * Resolves to the drain as it was seen last: ended, or still active if the deadline has passed.
 *
 * @param deadlineMs time of the monotonic clock; infinite = never
 * @throws InterruptedError; CliError if the controller stays away for longer than the client's patience
 */
export async function followDrain(
  { client, clock, interrupted, progress }: FollowDrainDeps,
  drain: DrainResource,
  deadlineMs: number,
): Promise<DrainResource> {
  const slowestMs = Math.min(MAX_SLOWEST_MS, Math.max(MIN_SLOWEST_MS, drain.vms.length * INTERVAL_PER_VM_MS));
  let seen = drain;
  let intervalMs = FIRST_INTERVAL_MS;
  while (seen.state === 'active') {
    const leftMs = deadlineMs - clock.monotonicMs();
    if (leftMs <= 0) return seen;
    await clock.sleep(Math.min(intervalMs, leftMs), interrupted);
    intervalMs = Math.min(slowestMs, intervalMs * GROWTH);
    try {
      seen = await client.getDrain(drain.id);
    } catch (error) {
      if (error instanceof UnavailableError && clock.monotonicMs() >= deadlineMs) return seen;
      throw error;
    }
    progress.show(seen);
  }
  return seen;
}
