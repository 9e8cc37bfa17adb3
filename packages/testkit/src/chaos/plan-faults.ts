/**
 * What is broken in a storm. One fault after the other with a pause between, so that some of the time most of the fleet works;
 * a controller has time to come back between two of its ends.
 */
import type { TestPoint } from '@mig/common/test-points';
import type { RouteName } from '../github/exchange.js';
import {
  STORM_MS,
  vmIds,
  type FaultAction,
  type GithubFault,
  type LinkFault,
  type PlanOptions,
  type Step,
} from './steps.js';
import { createRandom, type Random } from './random.js';

/** Nothing is broken before, so that something is under way. */
const FIRST_MS = 1_500;
/** Nothing new is broken after. */
const LAST_MS = STORM_MS - 2_000;
const PAUSE_MS = { min: 300, max: 1_900 };
/** Between two ends of the controller. */
const CONTROLLER_PAUSE_MS = 5_000;
const HOUR_MS = 3_600_000;

const MIGLET_POINTS: readonly TestPoint[] = [
  'intake.taken',
  'intake.acknowledged',
  'results.reached',
  'results.journaled',
  'results.sent',
  'results.reported',
  'events.journaled',
  'events.sent',
  'events.acknowledged',
  'session.opened',
  'stream.sent',
  'drain.remembered',
];
const CONTROLLER_POINTS: readonly TestPoint[] = [
  'commands.stored',
  'commands.sentStored',
  'commands.sent',
  'commands.ackStored',
  'events.stored',
  'drains.stored',
  'drains.progress',
  'store.written',
  'store.logged',
];
const GITHUB_ROUTES: readonly RouteName[] = [
  'registration-token',
  'list-runners',
  'delete-runner',
  'set-labels',
];

type Kind =
  | 'controllerKill'
  | 'controllerFreeze'
  | 'controllerTerminate'
  | 'controllerPoint'
  | 'migletKill'
  | 'migletFreeze'
  | 'migletTerminate'
  | 'migletPoint'
  | 'link'
  | 'callerLink'
  | 'github'
  | 'disk'
  | 'clock';

const WEIGHTS: readonly (readonly [number, Kind])[] = [
  [3, 'controllerKill'],
  [1.5, 'controllerFreeze'],
  [1, 'controllerTerminate'],
  [3, 'controllerPoint'],
  [3, 'migletKill'],
  [2, 'migletFreeze'],
  [0.7, 'migletTerminate'],
  [5, 'migletPoint'],
  [6, 'link'],
  [2, 'callerLink'],
  [2.5, 'github'],
  [1, 'disk'],
  [1.5, 'clock'],
];
const ENDS_CONTROLLER: readonly Kind[] = ['controllerKill', 'controllerTerminate', 'controllerPoint'];

export function planFaults(options: PlanOptions, round: number): Step[] {
  const when = createRandom(options.seed, 'faults', round, 'when');
  const what = createRandom(options.seed, 'faults', round, 'what');
  const steps: Step[] = [];
  let controllerFreeAtMs = 0;
  for (let atMs = FIRST_MS; atMs < LAST_MS; atMs += when.int(PAUSE_MS.min, PAUSE_MS.max)) {
    const drawn = what.weighted(WEIGHTS);
    const tooSoon = ENDS_CONTROLLER.includes(drawn) && atMs < controllerFreeAtMs;
    const kind = tooSoon ? 'link' : drawn;
    if (ENDS_CONTROLLER.includes(kind)) controllerFreeAtMs = atMs + CONTROLLER_PAUSE_MS;
    // Each fault draws from a stream of its own: one that draws more than another does not change what follows.
    const random = createRandom(options.seed, 'faults', round, 'fault', steps.length);
    steps.push({ round, atMs, action: createFault(kind, vmIds(options.vmCount), random) });
  }
  return steps;
}

function createFault(kind: Kind, vms: readonly string[], random: Random): FaultAction {
  switch (kind) {
    case 'controllerKill':
      return { do: 'kill', target: 'controller' };
    case 'controllerFreeze':
      return { do: 'freeze', target: 'controller', forMs: random.int(1_000, 8_000) };
    case 'controllerTerminate':
      return { do: 'terminate', target: 'controller' };
    case 'controllerPoint':
      return createTestPoint('controller', CONTROLLER_POINTS, random);
    case 'migletKill':
      return { do: 'kill', target: random.pick(vms) };
    case 'migletFreeze':
      return { do: 'freeze', target: random.pick(vms), forMs: random.int(1_000, 10_000) };
    case 'migletTerminate':
      return { do: 'terminate', target: random.pick(vms) };
    case 'migletPoint':
      return createTestPoint(random.pick(vms), MIGLET_POINTS, random);
    case 'link': {
      const link = random.chance(0.2) ? 'all' : random.pick(vms);
      return { do: 'link', link, fault: createLinkFault(random), forMs: random.int(500, 8_000) };
    }
    case 'callerLink':
      return { do: 'link', link: 'caller', fault: createLinkFault(random), forMs: random.int(300, 2_000) };
    case 'github':
      return random.chance(0.3)
        ? { do: 'link', link: 'github', fault: createLinkFault(random), forMs: random.int(500, 5_000) }
        : { do: 'github', fault: createGithubFault(random), forMs: random.int(1_000, 5_000) };
    case 'disk':
      return { do: 'fillDisk', forMs: random.int(500, 4_000) };
    case 'clock': {
      const target = random.chance(0.5) ? 'controller' : random.pick(vms);
      return { do: 'setClock', target, offsetMs: random.int(-6 * HOUR_MS, 6 * HOUR_MS) };
    }
  }
}

function createTestPoint(target: string, points: readonly TestPoint[], random: Random): FaultAction {
  return {
    do: 'testPoint',
    target,
    point: random.pick(points),
    signal: random.chance(0.75) ? 'kill' : 'stop',
    // The first few passages are at its start: some points are there passed often, some hardly ever.
    passage: random.weighted([
      [4, 1],
      [3, 2],
      [3, random.int(3, 8)],
      [1, random.int(9, 30)],
    ]),
    forMs: random.int(1_000, 5_000),
  };
}

function createLinkFault(random: Random): LinkFault {
  return random.weighted<LinkFault>([
    [2, { kind: 'slow', latencyMs: random.int(20, 600), jitterMs: random.int(0, 600) }],
    [1, { kind: 'narrow', bytesPerSecond: random.int(200, 20_000) }],
    [3, { kind: 'cut' }],
    [2, { kind: 'halfOpen', closedEnd: random.pick(['client', 'server']) }],
    [2, { kind: 'blackHole', direction: random.pick(['up', 'down', 'both']) }],
    [3, { kind: 'reset', afterBytes: random.int(1, 1_500), direction: random.pick(['up', 'down']) }],
    [1, { kind: 'refuse' }],
  ]);
}

function createGithubFault(random: Random): GithubFault {
  const route = random.pick(GITHUB_ROUTES);
  return random.weighted<GithubFault>([
    [
      4,
      {
        kind: 'fail',
        route,
        status: random.pick([500, 502, 503, 429, 'no-answer' as const]),
        count: random.int(1, 4),
        afterEffect: random.chance(0.4),
      },
    ],
    [2, { kind: 'slow', route, delayMs: random.int(200, 4_000) }],
    [2, { kind: 'lag', busyLagMs: random.int(200, 5_000) }],
    [1, { kind: 'unreachable' }],
  ]);
}
