/** `--wait`: looks again and again until every command has ended, or time is up. */
import type { Client } from '../api/client.js';
import { UnavailableError } from '../errors.js';
import type { CliClock } from '../io.js';
import type { Progress } from '../output/progress.js';
import { describeWaiting, hasSucceeded, isSettled, type Followed } from './followed.js';
import { look } from './look.js';

const FIRST_INTERVAL_MS = 250;
const MAX_INTERVAL_MS = 1_000;
const GROWTH = 1.5;

export interface WaitDeps {
  readonly client: Client;
  readonly clock: CliClock;
  readonly interrupted: AbortSignal;
  readonly progress: Progress;
}

export interface WaitOptions {
  /** Also wait until the VM has gone. */
  readonly endsVm: boolean;
  /** Time of the monotonic clock; infinite = never. */
  readonly deadlineMs: number;
}

/**
 * Resolves when every command is settled, or the deadline has passed; what became of each is in `followed`.
 *
 * @param followed is brought up to date in place
 * @throws InterruptedError; CliError if the controller stays away for longer than the client's patience
 */
export async function waitUntilSettled(
  deps: WaitDeps,
  followed: readonly Followed[],
  options: WaitOptions,
): Promise<void> {
  const { client, clock, progress } = deps;
  const pending = () => followed.filter((one) => !isSettled(one, options.endsVm));
  let intervalMs = FIRST_INTERVAL_MS;
  for (;;) {
    try {
      await look(client, pending(), options.endsVm);
    } catch (error) {
      if (error instanceof UnavailableError && clock.monotonicMs() >= options.deadlineMs) return;
      throw error;
    }
    const waiting = pending();
    const nowMs = clock.now();
    progress.show({
      settled: followed
        .filter((one) => isSettled(one, options.endsVm))
        .map((one) => ({ vmId: one.vmId, ok: hasSucceeded(one) })),
      waiting: waiting.map((one) => ({ vmId: one.vmId, ...describeWaiting(one, nowMs) })),
    });
    const leftMs = options.deadlineMs - clock.monotonicMs();
    if (waiting.length === 0 || leftMs <= 0) return;
    await clock.sleep(Math.min(intervalMs, leftMs), deps.interrupted);
    intervalMs = Math.min(MAX_INTERVAL_MS, intervalMs * GROWTH);
  }
}
