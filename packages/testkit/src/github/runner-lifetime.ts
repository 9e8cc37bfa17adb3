/**
 * GitHub removes runners by itself, and tells nobody:
 *
 *   ephemeral (JIT too) and not connected for 1 day; others not connected for 14 days   (github-facts 1.13)
 *   JIT, connected, and without a job for as long as `setJitIdleRemovalMs` says         (actions/runner issue 4726)
 *
 * A runner that has a job is never removed. One that was learns of it at its next poll.
 */
import type { Clock, Timer } from '@mig/common/clock';
import type { RemovalReason } from './events.js';
import type { Runner, RunnerRegistry } from './runner-registry.js';

const DAY_MS = 24 * 3_600_000;
const EPHEMERAL_AWAY_MS = DAY_MS;
const OTHERS_AWAY_MS = 14 * DAY_MS;

export interface RunnerLifetime {
  /** To be called whenever a runner was added, came, went, got a job, was free again or was removed. */
  watch(runner: Runner): void;
  /** `jitIdleRemovalMs` is another. */
  watchAll(): void;
  stop(): void;
}

export function createRunnerLifetime(deps: {
  readonly registry: () => RunnerRegistry;
  readonly clock: Clock;
  readonly jitIdleRemovalMs: () => number | undefined;
}): RunnerLifetime {
  const { clock } = deps;
  const timers = new Map<number, Timer>();

  function watch(runner: Runner): void {
    clock.clearTimer(timers.get(runner.id));
    timers.delete(runner.id);
    const end = deps.registry().get(runner.id) === runner ? endOf(runner) : undefined;
    if (end === undefined) return;
    const delayMs = runner.changedAtMs + end.afterMs - clock.monotonicMs();
    timers.set(
      runner.id,
      clock.setTimer(() => deps.registry().remove(runner.id, end.reason), delayMs),
    );
  }

  function endOf(runner: Runner): { readonly afterMs: number; readonly reason: RemovalReason } | undefined {
    if (runner.jobId !== undefined || runner.isSpent) return undefined;
    if (!runner.online) {
      return {
        afterMs: runner.ephemeral ? EPHEMERAL_AWAY_MS : OTHERS_AWAY_MS,
        reason: runner.hasConnected ? 'away' : 'never_connected',
      };
    }
    const idleMs = deps.jitIdleRemovalMs();
    return runner.jit && idleMs !== undefined ? { afterMs: idleMs, reason: 'idle' } : undefined;
  }

  return {
    watch,
    watchAll() {
      for (const runner of deps.registry().list()) watch(runner);
    },
    stop() {
      for (const timer of timers.values()) clock.clearTimer(timer);
      timers.clear();
    },
  };
}
