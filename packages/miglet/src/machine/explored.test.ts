/**
 * The machine explored by xstate/graph: every state that it can come into, by whatever the controller, the runner and the
 * clock do, and what holds in each of them.
 *
 * Two snapshots are one state if they differ only in texts, ids and counts that no decision is made by.
 */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { getAdjacencyMap, getStateNodes } from 'xstate/graph';
import { ok, retryable } from '@mig/common/outcome';
import { deregisterAnswer, events, LIMITS, SETTINGS } from './harness.contract.js';
import { createMigletMachine } from './miglet-machine.js';
import { statusOf, type MigletSnapshot } from './status.js';
import type { MigletEffects, MigletEvent } from './types.js';

type Step = MigletEvent | { readonly type: `xstate.${string}`; readonly [key: string]: unknown };

/** What the graph knows of a state; its own type is wider than what it holds. */
interface Explored {
  readonly state: MigletSnapshot;
  readonly transitions: Readonly<Record<string, { readonly state: MigletSnapshot }>>;
}

const NO_EFFECTS: MigletEffects = {
  emitEvent: () => undefined,
  settleCommand: () => undefined,
  sendHeartbeat: () => undefined,
  rememberDrained: () => undefined,
  rememberRegistered: () => undefined,
  rememberEnded: () => undefined,
};

/** What people and the controller may do at any time. */
const ORDERS: readonly Step[] = [
  events.register('register-1'),
  events.register('register-2', { replace: true, runnerName: 'vm-2', jitConfig: 'a-jit-config' }),
  events.drain('drain-1'),
  events.drain('drain-2', { deadlineMs: 60_000 }),
  events.drain('drain-3', { force: true }),
  { type: 'undrain.request', commandId: 'undrain-1', reason: '' },
  events.shutdown('shutdown-1'),
  events.shutdown('shutdown-2', { force: true, poweroff: true }),
];

const regionOf = (snapshot: MigletSnapshot, region: string): string =>
  JSON.stringify((snapshot.value as Record<string, unknown>)[region]);

/** What the runner can do now: nothing that a process which is not there would do. */
function runnerSteps(snapshot: MigletSnapshot): Step[] {
  const { context } = snapshot;
  const runner = regionOf(snapshot, 'runner');
  if (!context.processAlive)
    return statusOf(snapshot).state === 'registering.starting' ? [events.started()] : [];
  return [
    ...(runner.includes('starting') ? [events.listening()] : []),
    ...(context.job === undefined && runner.includes('idle') ? [events.jobStarted()] : []),
    ...(context.job === undefined ? [HANGS_AT_ONCE] : [events.jobFinished(), LINGERS]),
    events.exited(0),
    events.exited(1),
    GONE,
    REFUSED,
  ];
}

const HANGS_AT_ONCE = events.hung('no_job_after_acknowledge');
const LINGERS = events.hung('worker_lingers');
const GONE = events.ended({ registrationGone: true });
const REFUSED = events.ended({ well: false, next: 'never', spent: true });

/** How the actor of an invocation may end. */
function endings(id: string, src: unknown): Step[] {
  const done = (output: unknown): Step => ({ type: `xstate.done.actor.${id}`, output, actorId: id });
  const failed: Step = { type: `xstate.error.actor.${id}`, error: new Error('broken'), actorId: id };
  switch (src) {
    case 'announce':
      return [done(ok(undefined)), done(retryable('away')), done({ kind: 'fatal', reason: 'unknown VM' })];
    case 'configureRunner':
      return [done(ok(undefined)), done(retryable('busy')), done({ kind: 'fatal', reason: 'no' }), failed];
    case 'deregister':
      return [
        ...(['deleted', 'busy', 'unavailable', 'notManaged'] as const).map((it) =>
          done(deregisterAnswer(it)),
        ),
        failed,
      ];
    case 'flush':
    case 'powerOff':
      return [done(undefined), failed];
    default:
      return [];
  }
}

/** Everything that can happen next. */
function stepsOf(snapshot: MigletSnapshot): Step[] {
  if (snapshot.status !== 'active') return [];
  const steps: Step[] = [...ORDERS, ...runnerSteps(snapshot)];
  const link = regionOf(snapshot, 'link');
  if (link.includes('connecting')) steps.push(events.up(), events.up({ announceAgain: true }));
  if (link.includes('connecting') || link.includes('online')) steps.push(events.down());
  if (link.includes('online')) steps.push({ type: 'link.reconnect', afterMs: 5_000 });
  if ((snapshot.context.drain?.deadlinesMs.length ?? 0) > 0) steps.push({ type: 'drain.deadlineReached' });
  for (const node of snapshot._nodes) {
    for (const { id, src } of node.invoke) steps.push(...endings(id, src));
    for (const { eventType } of node.after) steps.push({ type: eventType as `xstate.${string}` });
  }
  return steps;
}

function keyOf(snapshot: MigletSnapshot): string {
  const { context } = snapshot;
  return JSON.stringify([
    snapshot.value,
    context.linkUp,
    context.registration !== undefined,
    Math.min(context.registrationFailures, 2),
    context.runner !== undefined,
    context.leftBehind.length > 0,
    context.lingering,
    context.processAlive,
    context.stopRequested,
    context.job !== undefined,
    Math.min(context.deregisterFailures, 1),
    context.drain === undefined ? undefined : context.drain.deadlinesMs.length > 0,
    context.forced,
    context.ending?.outcome,
  ]);
}

let map: Readonly<Record<string, Explored>>;

beforeAll(() => {
  const machine = createMigletMachine(NO_EFFECTS);
  map = getAdjacencyMap(machine as never, {
    input: {
      settings: SETTINGS,
      limits: {
        ...LIMITS,
        maxRegistrationFailures: 2,
        maxDeregisterFailures: 1,
        maxForcedDeregisterFailures: 1,
        maxClearFailures: 1,
      },
      random: () => 0.5,
      drained: false,
      registeredAs: ['vm-0'],
    },
    events: stepsOf as never,
    serializeState: keyOf as never,
    limit: 1_000_000,
  }) as unknown as typeof map;
});

const all = (): MigletSnapshot[] => Object.values(map).map(({ state }) => state);
const where = (holds: (snapshot: MigletSnapshot) => boolean): string[] =>
  all()
    .filter((snapshot) => !holds(snapshot))
    .map(keyOf);
const stateOf = (snapshot: MigletSnapshot): string => statusOf(snapshot).state;

describe('every state that the machine can come into', () => {
  it('all of its states are among them, but those that it only passes through', () => {
    const reached = new Set(all().flatMap((snapshot) => snapshot._nodes.map((node) => node.id)));
    const missing = getStateNodes(createMigletMachine(NO_EFFECTS).root)
      .filter((node) => (node.always ?? []).length === 0 && node.type !== 'final')
      .map((node) => node.id)
      .filter((id) => !reached.has(id));
    expect(missing).toEqual([]);
    expect(Object.keys(map).length).toBeGreaterThan(500);
  });

  it('a runner with a job is told to stop only by force (I5)', () => {
    expect(
      where(({ context, ...rest }) =>
        stateOf({ context, ...rest }).endsWith('stoppingRunner') && context.job !== undefined
          ? // … or when GitHub has said that it is none any more.
            context.forced || (context.lingering && context.runner === undefined)
          : true,
      ),
    ).toEqual([]);
  });

  it('an idle runner that is still registered is never told to stop, but by force (I5)', () => {
    expect(
      where((snapshot) =>
        stateOf(snapshot).endsWith('stoppingRunner')
          ? snapshot.context.runner === undefined || snapshot.context.forced
          : true,
      ),
    ).toEqual([]);
  });

  it('a VM that is drained or ends has no runner process', () => {
    expect(
      where((snapshot) =>
        /drained|^shutdown/.test(stateOf(snapshot)) ? !snapshot.context.processAlive : true,
      ),
    ).toEqual([]);
  });

  it('a VM is ready only with a process that listens or works, and busy only with a job', () => {
    expect(
      where((snapshot) => (stateOf(snapshot).startsWith('ready') ? snapshot.context.processAlive : true)),
    ).toEqual([]);
    expect(
      where(
        (snapshot) =>
          (stateOf(snapshot) === 'ready.busy') ===
          (snapshot.context.job !== undefined && stateOf(snapshot).startsWith('ready')),
      ),
    ).toEqual([]);
  });

  it('from each of them the end can be reached: the machine is never stuck', () => {
    const before: Record<string, Set<string>> = {};
    const ended: string[] = [];
    for (const [key, { state, transitions }] of Object.entries(map)) {
      if (state.status === 'done') ended.push(key);
      for (const { state: next } of Object.values(transitions)) (before[keyOf(next)] ??= new Set()).add(key);
    }
    const canEnd = new Set(ended);
    for (const key of canEnd) for (const earlier of before[key] ?? []) canEnd.add(earlier);
    expect(ended.length).toBeGreaterThan(0);
    expect(Object.keys(map).filter((key) => !canEnd.has(key))).toEqual([]);
  });
});
