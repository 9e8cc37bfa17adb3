/** Misbehaviour on demand: of single routes, of the `busy` flag, of the network. */
import { systemClock, type Clock } from '@mig/common/clock';
import { refusal } from './answers.js';
import type { Answer, RouteName, Silence } from './exchange.js';

export interface FailNextOptions {
  /** How many requests fail. Default 1. */
  readonly count?: number;
  /**
   * The status that they are answered with, or none: `no-answer` closes the connection, `reset` resets it, `silence` keeps
   * it open and never says anything.
   */
  readonly status: number | Silence;
  /** True: the request takes effect first and only its answer is lost. Default false. */
  readonly afterEffect?: boolean;
}

export interface DelayNextOptions {
  /** How many requests are slow. Default 1. */
  readonly count?: number;
  readonly delayMs: number;
  /** True: the request takes effect at once, and its answer comes late. Default false. */
  readonly afterEffect?: boolean;
}

/** For how long DELETE of a runner goes by what was true before. */
export interface DeleteLag {
  /**
   * So long after a job was handed over, and only until the runner has acquired it, DELETE takes the runner for idle: 204,
   * the job goes back to the queue, and the runner is refused the job. Default 0.
   */
  readonly handOverMs: number;
  /** So long after a job ended, DELETE is refused as if it still ran. Default 0. */
  readonly jobEndMs: number;
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
  /** What is not given stays as it is. */
  setDeleteLag(lag: Partial<DeleteLag>): void;
  /** An ephemeral runner is on GitHub's lists for so long after its job. Default 0. */
  setRemovalLagMs(lagMs: number): void;
  /**
   * GitHub drops a runner with a JIT configuration that waited so long for a job (actions/runner issue 4726: after 2 to 6
   * minutes). Undefined: it does not; that is the default unless the options say otherwise.
   */
  setJitIdleRemovalMs(idleMs: number | undefined): void;
  failNext(route: RouteName, options: FailNextOptions): void;
  /** Every request of the route waits this long before it takes effect, whether or not its client waits too; 0 ends that. */
  delay(route: RouteName, delayMs: number): void;
  /** The next requests of the route are slow, and no more. */
  delayNext(route: RouteName, options: DelayNextOptions): void;
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
  before(): Promise<Answer | Silence | undefined>;
  after(): Promise<Answer | Silence | undefined>;
}

export interface FaultDesk extends Faults {
  busyLagMs(): number;
  deleteLag(): DeleteLag;
  removalLagMs(): number;
  jitIdleRemovalMs(): number | undefined;
  reachable(): boolean;
  forRequest(route: RouteName): RequestFaults;
}

const NO_DELETE_LAG: DeleteLag = { handOverMs: 0, jobEndMs: 0 };

export interface FaultDeskOptions {
  readonly onUnreachable: () => void;
  /** `setJitIdleRemovalMs` was called. */
  readonly onJitIdleRemoval?: () => void;
  readonly jitIdleRemovalMs?: number | undefined;
  readonly clock?: Clock;
}

export function createFaultDesk(options: FaultDeskOptions): FaultDesk {
  const clock = options.clock ?? systemClock;
  const failures = new Map<RouteName, Counted<FailNextOptions>[]>();
  const slowness = new Map<RouteName, Counted<DelayNextOptions>[]>();
  const delays = new Map<RouteName, number>();
  const holds = new Map<RouteName, Set<() => void>>();
  let busyLagMs = 0;
  let removalLagMs = 0;
  let deleteLag = NO_DELETE_LAG;
  let jitIdleRemovalMs = options.jitIdleRemovalMs;
  let reachable = true;

  function setJitIdleRemovalMs(idleMs: number | undefined): void {
    jitIdleRemovalMs = idleMs;
    options.onJitIdleRemoval?.();
  }

  const pause = (delayMs: number) => new Promise<void>((resolve) => clock.setTimer(resolve, delayMs));

  function release(route: RouteName): void {
    const waiters = holds.get(route);
    holds.delete(route);
    for (const go of waiters ?? []) go();
  }

  return {
    setBusyLagMs(lagMs) {
      busyLagMs = lagMs;
    },
    setDeleteLag(lag) {
      deleteLag = { ...deleteLag, ...lag };
    },
    setRemovalLagMs(lagMs) {
      removalLagMs = lagMs;
    },
    setJitIdleRemovalMs,
    failNext(route, { count = 1, status, afterEffect = false }) {
      enqueue(failures, route, { count, status, afterEffect });
    },
    delay(route, delayMs) {
      if (delayMs > 0) delays.set(route, delayMs);
      else delays.delete(route);
    },
    delayNext(route, { count = 1, delayMs, afterEffect = false }) {
      enqueue(slowness, route, { count, delayMs, afterEffect });
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
      removalLagMs = 0;
      deleteLag = NO_DELETE_LAG;
      setJitIdleRemovalMs(options.jitIdleRemovalMs);
      reachable = true;
      failures.clear();
      slowness.clear();
      delays.clear();
      for (const route of [...holds.keys()]) release(route);
    },
    busyLagMs: () => busyLagMs,
    deleteLag: () => deleteLag,
    removalLagMs: () => removalLagMs,
    jitIdleRemovalMs: () => jitIdleRemovalMs,
    reachable: () => reachable,
    forRequest(route) {
      const failure = takeNext(failures, route);
      const slow = takeNext(slowness, route);
      const delayMs = (delays.get(route) ?? 0) + (slow?.afterEffect === false ? slow.delayMs : 0);
      const waiters = holds.get(route);
      const answer = () =>
        failure && (typeof failure.status === 'number' ? toAnswer(failure.status) : failure.status);
      return {
        async before() {
          if (delayMs > 0) await pause(delayMs);
          if (waiters !== undefined) await new Promise<void>((resolve) => waiters.add(resolve));
          return failure?.afterEffect === false ? answer() : undefined;
        },
        async after() {
          if (slow?.afterEffect === true) await pause(slow.delayMs);
          return failure?.afterEffect === true ? answer() : undefined;
        },
      };
    },
  };
}

type Counted<T> = Required<T> & { count: number };

function enqueue<T>(queues: Map<RouteName, Counted<T>[]>, route: RouteName, fault: Counted<T>): void {
  queues.set(route, [...(queues.get(route) ?? []), fault]);
}

/** The next fault of the route, used once. */
function takeNext<T>(queues: Map<RouteName, Counted<T>[]>, route: RouteName): Counted<T> | undefined {
  const queue = queues.get(route);
  const next = queue?.[0];
  if (next === undefined) return undefined;
  next.count -= 1;
  if (next.count <= 0) queue?.shift();
  return next;
}

function toAnswer(status: number): Answer {
  const retryAfter = status === 429 || status === 503 ? { 'retry-after': '1' } : {};
  return { ...refusal(status, `Injected by the stand-in: status ${status}`), headers: retryAfter };
}
