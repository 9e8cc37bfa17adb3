/**
 * Does something for each of many names, at once or a while after it was asked to: what was asked for twice meanwhile is done once.
 * A few at a time, and few in a second while the process is busy: others need its threads and its core more.
 */
import type { Clock } from '@mig/common/clock';
import type { IsBusy } from '@mig/common/process-load';

export interface Soon {
  /** @param when `now`: as soon as its turn comes; `later`: `afterMs` later at the earliest */
  add(name: string, when: 'now' | 'later'): void;
  /** Does now what waits; resolves when it is done. */
  flush(): Promise<void>;
}

export interface SoonOptions {
  readonly afterMs: number;
  /** So many at a time. */
  readonly parallel: number;
  readonly isBusy: IsBusy;
  /** While it is, so many in a second, and as many at once after a second without any. More wait for their turn. */
  readonly perSecondIfBusy: number;
}

/** Whose turn is next is looked at again after this, when there were too many. */
const TURN_MS = 20;

/** @param task must not reject */
export function createSoon(
  clock: Clock,
  task: (name: string) => Promise<void>,
  { afterMs, parallel, isBusy, perSecondIfBusy }: SoonOptions,
): Soon {
  /** When each is due; in that order. */
  const waiting = new Map<string, number>();
  const due = new Set<string>();
  const running = new Set<Promise<void>>();
  let left = perSecondIfBusy;
  let leftAtMs = clock.monotonicMs();
  let timer: unknown;
  let timerAtMs = Infinity;

  function take(name: string): void {
    due.delete(name);
    const done = task(name).finally(() => {
      running.delete(done);
      go();
    });
    running.add(done);
  }

  /** Starts what may be started, and sets the timer for the rest. */
  function go(): void {
    const nowMs = clock.monotonicMs();
    left = Math.min(perSecondIfBusy, left + ((nowMs - leftAtMs) / 1_000) * perSecondIfBusy);
    leftAtMs = nowMs;
    for (const [name, dueMs] of waiting) {
      if (dueMs > nowMs) {
        arm(dueMs);
        break;
      }
      waiting.delete(name);
      due.add(name);
    }
    for (const name of due) {
      if (running.size >= parallel) return;
      if (isBusy()) {
        if (left < 1) return arm(nowMs + TURN_MS);
        left -= 1;
      }
      take(name);
    }
  }

  function arm(atMs: number): void {
    if (atMs >= timerAtMs) return;
    clock.clearTimer(timer);
    timerAtMs = atMs;
    const fire = (): void => {
      timerAtMs = Infinity;
      go();
    };
    timer = clock.setTimer(fire, Math.max(0, atMs - clock.monotonicMs()));
  }

  return {
    add(name, when) {
      if (when === 'now') {
        waiting.delete(name);
        due.add(name);
        if (running.size < parallel) go();
      } else if (!due.has(name) && !waiting.has(name)) {
        const dueMs = clock.monotonicMs() + afterMs;
        waiting.set(name, dueMs);
        arm(dueMs);
      }
    },
    async flush() {
      while (waiting.size + due.size + running.size > 0) {
        for (const name of waiting.keys()) due.add(name);
        waiting.clear();
        for (const name of due) {
          if (running.size >= parallel) break;
          take(name);
        }
        await Promise.race(running);
      }
    },
  };
}
