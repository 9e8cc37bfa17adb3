/** What `races` does, and when: a list that follows from the seed alone. */
import type { RouteName, Silence } from '../github/exchange.js';
import { createSeededRandom } from '../system/seeded-random.js';

/** Orders that an operator gives a VM. None of them ends a running job. */
export const ORDERS = ['drain', 'undrain', 'shutdown', 'cordon', 'uncordon', 'replace'] as const;
export type Order = (typeof ORDERS)[number];

export type Deed =
  /** A job for this VM's runner. */
  | { readonly kind: 'job'; readonly vmId: string; readonly durationMs: number }
  /** The VM leaves service; while its deletion is on its way to GitHub, its runner is given a job. */
  | {
      readonly kind: 'jobBeforeDelete';
      readonly vmId: string;
      readonly order: 'drain' | 'shutdown';
      readonly durationMs: number;
    }
  /** The VM leaves service while it has a job, which ends while the deletion is on its way to GitHub. */
  | {
      readonly kind: 'endBeforeDelete';
      readonly vmId: string;
      readonly order: 'drain' | 'shutdown';
      readonly durationMs: number;
    }
  | { readonly kind: 'order'; readonly vmId: string; readonly order: Order }
  /** The next requests of a route fail, with or without having taken effect. */
  | {
      readonly kind: 'fail';
      readonly route: RouteName;
      readonly status: number | Silence;
      readonly afterEffect: boolean;
      readonly count: number;
    }
  | {
      readonly kind: 'slow';
      readonly route: RouteName;
      readonly delayMs: number;
      readonly afterEffect: boolean;
      readonly count: number;
    }
  /** DELETE goes by what was true before, for so long. */
  | {
      readonly kind: 'deleteLag';
      readonly handOverMs: number;
      readonly jobEndMs: number;
      readonly forMs: number;
    }
  /** Nobody reaches GitHub. */
  | { readonly kind: 'unreachable'; readonly forMs: number }
  /** GitHub takes the controller for abusive. */
  | { readonly kind: 'abusive'; readonly forMs: number }
  /** GitHub drops runners that wait (actions/runner issue 4726). */
  | { readonly kind: 'idleRemoval'; readonly idleMs: number; readonly forMs: number }
  /** `kill -9` of the controller, which is started again at once. */
  | { readonly kind: 'killController' }
  /** SIGTERM to a real MIGlet, as when its machine is shut down; and `kill -9`: its runner goes on. */
  | { readonly kind: 'endMiglet'; readonly vmId: string }
  | { readonly kind: 'killMiglet'; readonly vmId: string };

export interface Step {
  readonly atMs: number;
  readonly deed: Deed;
}

export interface PlanOptions {
  readonly seed: number;
  readonly durationMs: number;
  readonly simulated: readonly string[];
  readonly real: readonly string[];
  /** Of the controller. */
  readonly kills: number;
  /** For each VM in a minute, jobs not counted. Default 10. */
  readonly deedsPerMinute?: number;
}

/** Of 100 deeds. Jobs come on top, so many for each VM. */
const SHARES: Readonly<Record<Exclude<Deed['kind'], 'job' | 'killController'>, number>> = {
  jobBeforeDelete: 22,
  endBeforeDelete: 12,
  order: 26,
  fail: 22,
  slow: 6,
  deleteLag: 3,
  unreachable: 1.5,
  abusive: 1,
  idleRemoval: 1.5,
  endMiglet: 3,
  killMiglet: 2,
};
const DEEDS_PER_VM_MINUTE = 10;
const JOBS_PER_VM_MINUTE = 6;

/** What GitHub, or the way to it, may say to a request that changes something. */
const STATUSES: readonly (number | Silence)[] = [422, 404, 500, 502, 503, 'no-answer', 'reset', 'silence'];
/** Reading is not answered with 422, and a 404 says of it that there is no right to read. */
const READ_STATUSES: readonly (number | Silence)[] = [404, 500, 502, 503, 'no-answer', 'reset', 'silence'];
const FAILING: readonly { readonly route: RouteName; readonly reads: boolean; readonly share: number }[] = [
  { route: 'delete-runner', reads: false, share: 0.6 },
  { route: 'generate-jitconfig', reads: false, share: 0.12 },
  { route: 'list-runners', reads: true, share: 0.12 },
  { route: 'get-runner', reads: true, share: 0.04 },
  { route: 'set-labels', reads: false, share: 0.06 },
  { route: 'create-installation-token', reads: false, share: 0.06 },
];

/** In the order of their times. */
export function createRacesPlan(options: PlanOptions): Step[] {
  const { durationMs, simulated, real, kills } = options;
  const random = createSeededRandom(options.seed);
  const vmIds = [...simulated, ...real];
  const between = (min: number, max: number): number => Math.round(min + random() * (max - min));
  const one = <T>(items: readonly T[]): T => {
    const item = items[Math.floor(random() * items.length)];
    if (item === undefined) throw new Error('there is nothing to choose from');
    return item;
  };
  const leaves = () => one(['drain', 'drain', 'shutdown'] as const);

  function deedOf(kind: keyof typeof SHARES): Deed {
    switch (kind) {
      case 'jobBeforeDelete':
        return { kind, vmId: one(vmIds), order: leaves(), durationMs: between(100, 4_000) };
      case 'endBeforeDelete':
        return { kind, vmId: one(vmIds), order: leaves(), durationMs: between(200, 1_500) };
      case 'order':
        return { kind, vmId: one(vmIds), order: one(ORDERS) };
      case 'fail': {
        const { route, reads } = chooseFailing(random());
        const status = one(reads ? READ_STATUSES : STATUSES);
        return { kind, route, status, afterEffect: random() < 0.5, count: between(1, 3) };
      }
      case 'slow':
        return {
          kind,
          route: one(['delete-runner', 'generate-jitconfig', 'list-runners'] as const),
          delayMs: between(200, 4_000),
          afterEffect: random() < 0.5,
          count: between(1, 4),
        };
      case 'deleteLag':
        return {
          kind,
          handOverMs: between(0, 1_000),
          jobEndMs: between(0, 3_000),
          forMs: between(2_000, 8_000),
        };
      case 'unreachable':
        return { kind, forMs: between(300, 3_000) };
      case 'abusive':
        return { kind, forMs: between(1_000, 2_000) };
      case 'idleRemoval':
        return { kind, idleMs: between(500, 2_000), forMs: between(500, 2_000) };
      case 'endMiglet':
      case 'killMiglet':
        return real.length === 0
          ? { kind: 'order', vmId: one(vmIds), order: 'drain' }
          : { kind, vmId: one(real) };
    }
  }

  const minutes = durationMs / 60_000;
  const steps: Step[] = [];
  for (
    let left = Math.round((options.deedsPerMinute ?? DEEDS_PER_VM_MINUTE) * minutes * vmIds.length);
    left > 0;
    left -= 1
  )
    steps.push({ atMs: between(0, durationMs), deed: deedOf(chooseKind(random())) });
  for (const vmId of vmIds) {
    for (let left = Math.round(JOBS_PER_VM_MINUTE * minutes); left > 0; left -= 1)
      steps.push({
        atMs: between(0, durationMs),
        deed: { kind: 'job', vmId, durationMs: between(50, 3_000) },
      });
  }
  for (let kill = 0; kill < kills; kill += 1) {
    const slice = durationMs / kills;
    steps.push({
      atMs: Math.round(slice * kill + between(slice * 0.2, slice * 0.8)),
      deed: { kind: 'killController' },
    });
  }
  return steps.sort((a, b) => a.atMs - b.atMs);
}

function chooseKind(chance: number): keyof typeof SHARES {
  const total = Object.values(SHARES).reduce((sum, share) => sum + share, 0);
  let left = chance * total;
  for (const [kind, share] of Object.entries(SHARES)) {
    left -= share;
    if (left < 0) return kind as keyof typeof SHARES;
  }
  return 'order';
}

function chooseFailing(chance: number): (typeof FAILING)[number] {
  let left = chance;
  for (const failing of FAILING) {
    left -= failing.share;
    if (left < 0) return failing;
  }
  return { route: 'delete-runner', reads: false, share: 1 };
}
