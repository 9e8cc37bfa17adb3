/** What can be done to a fleet, as data: the steps of a schedule (plan.ts). */
import type { TestPoint } from '@mig/common/test-points';
import type { RouteName } from '../github/exchange.js';
import type { Direction } from './tcp-proxy.js';

/** How long a storm lasts. */
export const STORM_MS = 20_000;

/** `controller`, or the id of a VM, whose MIGlet it is. */
export type Target = string;

/** `caller`: of the one who submits; `github`: from the controller to GitHub; else of a VM, or of `all` of them. */
export type LinkName = string;

export type LinkFault =
  | { readonly kind: 'slow'; readonly latencyMs: number; readonly jitterMs: number }
  | { readonly kind: 'narrow'; readonly bytesPerSecond: number }
  | { readonly kind: 'cut' }
  | { readonly kind: 'halfOpen'; readonly closedEnd: 'client' | 'server' }
  | { readonly kind: 'blackHole'; readonly direction: Direction | 'both' }
  | { readonly kind: 'reset'; readonly afterBytes: number; readonly direction: Direction }
  | { readonly kind: 'refuse' };

export type GithubFault =
  | {
      readonly kind: 'fail';
      readonly route: RouteName;
      readonly status: number | 'no-answer';
      readonly count: number;
      readonly afterEffect: boolean;
    }
  | { readonly kind: 'slow'; readonly route: RouteName; readonly delayMs: number }
  | { readonly kind: 'lag'; readonly busyLagMs: number }
  | { readonly kind: 'unreachable' };

export type FaultAction =
  /** SIGKILL. */
  | { readonly do: 'kill'; readonly target: Target }
  /** SIGSTOP, and SIGCONT later. */
  | { readonly do: 'freeze'; readonly target: Target; readonly forMs: number }
  /** SIGTERM: an orderly end. */
  | { readonly do: 'terminate'; readonly target: Target }
  /** Its next life, which begins at once, kills or freezes itself at this passage of a named point. */
  | {
      readonly do: 'testPoint';
      readonly target: Target;
      readonly point: TestPoint;
      readonly signal: 'kill' | 'stop';
      readonly passage: number;
      readonly forMs: number;
    }
  | { readonly do: 'link'; readonly link: LinkName; readonly fault: LinkFault; readonly forMs: number }
  | { readonly do: 'github'; readonly fault: GithubFault; readonly forMs: number }
  | { readonly do: 'fillDisk'; readonly forMs: number }
  /** Its wall clock is off by this from now on. */
  | { readonly do: 'setClock'; readonly target: Target; readonly offsetMs: number };

export type LoadAction =
  | {
      readonly do: 'submit';
      /** Counts the commands of the run. */
      readonly n: number;
      readonly vmId: string;
      readonly type: string;
      readonly parameters: Readonly<Record<string, string | number | boolean>>;
      readonly deliveryDeadlineMs?: number;
      /** It is submitted once more, with the same key, after it was accepted. */
      readonly twice: boolean;
    }
  | { readonly do: 'cancel'; readonly n: number }
  | { readonly do: 'drain'; readonly n: number; readonly body: DrainBody }
  | { readonly do: 'undrain'; readonly n: number }
  | {
      readonly do: 'job';
      readonly n: number;
      readonly durationMs: number;
      readonly result: 'Succeeded' | 'Failed';
    };

export interface DrainBody {
  readonly selector: { readonly pool_id: string } | { readonly vm_ids: readonly string[] };
  readonly reason: string;
  readonly deadline_ms: number;
  readonly force: boolean;
  readonly max_unavailable: number;
  readonly then: 'shutdown' | 'keep';
}

export type Action = FaultAction | LoadAction;

const LOADS: readonly Action['do'][] = ['submit', 'cancel', 'drain', 'undrain', 'job'];
export const isLoad = (action: Action): action is LoadAction => LOADS.includes(action.do);

export interface Step {
  /** From 1. */
  readonly round: number;
  /** After the beginning of the round's storm. */
  readonly atMs: number;
  readonly action: Action;
}

export interface PlanOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly vmCount: number;
  readonly simulatedCount: number;
}

export const POOL = 'chaos';
export const SIMULATED_POOL = 'sim';
export const vmIds = (vmCount: number): string[] =>
  Array.from({ length: vmCount }, (_, index) => `vm-${index + 1}`);
export const simulatedVmIds = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${SIMULATED_POOL}-${index + 1}`);

/** `1  12.340 s  kill vm-3`. */
export function describeStep({ round, atMs, action }: Step): string {
  return `${round}  ${(atMs / 1_000).toFixed(3).padStart(6)} s  ${describeAction(action)}`;
}

function describeAction({ do: verb, ...rest }: Action): string {
  const facts = Object.entries(rest).map(([key, value]) =>
    key === 'target' || key === 'n'
      ? String(value)
      : `${key}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`,
  );
  return [verb, ...facts].join(' ');
}
