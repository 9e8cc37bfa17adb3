/** Misbehaviour on demand: of single routes, of the `busy` flag, of the network. */
import { systemClock, type Clock } from '@mig/common/clock';
import { refusal } from './answers.js';
import type { Answer, RouteName } from './exchange.js';

export interface FailNextOptions {
  /** How many requests fail. Default 1. */
  readonly count?: number;
  /** The status that they are answered with; `no-answer` breaks the connection instead. */
  readonly status: number | 'no-answer';
  /** True: the request takes effect first and only its answer is lost. Default false. */
  readonly afterEffect?: boolean;
}

/**
 * A hold on a route: its requests wait, before they take effect, until `release` is called. They take effect then even
 * if their client has given up, as a request does that was on its way.
 */
export interface Hold {
  /** How many requests wait. */
  waiting(): number;
  release(): void;
}

export interface Faults {
  /** The `busy` flag of GET tells what was true this long ago. DELETE is not affected. Default 0. */
  setBusyLagMs(lagMs: number): void;
  failNext(route: RouteName, options: FailNextOptions): void;
  /** Every request of the route waits this long before it takes effect, whether or not its client waits too; 0 ends that. */
  delay(route: RouteName, delayMs: number): void;
  hold(route: RouteName): Hold;
  /** Ends the hold on a route, if there is one. */
  release(route: RouteName): void;
  /** False: every connection is broken, and so is every new one, until it is set to true again. */
  setReachable(reachable: boolean): void;
  /** Ends every fault. */
  clear(): void;
}

/** What the faults do to one request: `before` it takes effect (an answer ends it there), and `after`. */
export interface RequestFaults {
  before(): Promise<Answer | 'no-answer' | undefined>;
  after(): Answer | 'no-answer' | undefined;
}

export interface FaultDesk extends Faults {
  busyLagMs(): number;
  reachable(): boolean;
  forRequest(route: RouteName): RequestFaults;
}

export function createFaultDesk(options: { onUnreachable: () => void; clock?: Clock }): FaultDesk {
  const clock = options.clock ?? systemClock;
  const failures = new Map<RouteName, (Required<FailNextOptions> & { count: number })[]>();
  const delays = new Map<RouteName, number>();
  const holds = new Map<RouteName, Set<() => void>>();
  let busyLagMs = 0;
  let reachable = true;

  function takeFailure(route: RouteName): Required<FailNextOptions> | undefined {
    const queue = failures.get(route);
    const failure = queue?.[0];
    if (failure === undefined) return undefined;
    failure.count -= 1;
    if (failure.count <= 0) queue?.shift();
    return failure;
  }

  function release(route: RouteName): void {
    const waiters = holds.get(route);
    holds.delete(route);
    for (const go of waiters ?? []) go();
  }

  return {
    setBusyLagMs(lagMs) {
      busyLagMs = lagMs;
    },
    failNext(route, { count = 1, status, afterEffect = false }) {
      const queue = failures.get(route) ?? [];
      queue.push({ count, status, afterEffect });
      failures.set(route, queue);
    },
    delay(route, delayMs) {
      if (delayMs > 0) delays.set(route, delayMs);
      else delays.delete(route);
    },
    hold(route) {
      const waiters = holds.get(route) ?? new Set<() => void>();
      holds.set(route, waiters);
      return { waiting: () => waiters.size, release: () => release(route) };
    },
    release,
    setReachable(value) {
      reachable = value;
      if (!value) options.onUnreachable();
    },
    clear() {
      busyLagMs = 0;
      reachable = true;
      failures.clear();
      delays.clear();
      for (const route of [...holds.keys()]) release(route);
    },
    busyLagMs: () => busyLagMs,
    reachable: () => reachable,
    forRequest(route) {
      const failure = takeFailure(route);
      const delayMs = delays.get(route);
      const waiters = holds.get(route);
      const answer = () =>
        failure?.status === 'no-answer' ? 'no-answer' : failure && toAnswer(failure.status);
      return {
        async before() {
          if (delayMs !== undefined) await new Promise<void>((resolve) => clock.setTimer(resolve, delayMs));
          if (waiters !== undefined) await new Promise<void>((resolve) => waiters.add(resolve));
          return failure?.afterEffect === false ? answer() : undefined;
        },
        after: () => (failure?.afterEffect === true ? answer() : undefined),
      };
    },
  };
}

function toAnswer(status: number): Answer {
  const retryAfter = status === 429 || status === 503 ? { 'retry-after': '1' } : {};
  return { ...refusal(status, `Injected by the stand-in: status ${status}`), headers: retryAfter };
}
