import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createActor, type AnyStateNode } from 'xstate';
import {
  initialContext,
  isTransient,
  leavesOf,
  machine,
  nameOf,
  nodesBelow,
  pathWithin,
  regionNode,
  root,
  step,
  transitionsOf,
  type Region,
} from './chart.contract.js';
import { createHarness, deregisterAnswer, events, inputOf, RUNNER } from './harness.contract.js';
import { EVENT_TYPES, sampleOf } from './table.contract.js';
import type { MigletEvent } from './types.js';

const REGIONS: readonly Region[] = ['lifecycle', 'link', 'runner'];
const nodes = nodesBelow(root);
const source = (file: string): string => readFileSync(path.join(import.meta.dirname, file), 'utf8');
const chart = [
  'miglet-machine.ts',
  'lifecycle-region.ts',
  'registering-state.ts',
  'draining-state.ts',
  'undraining.ts',
  'retirement.ts',
  'link-region.ts',
  'runner-region.ts',
  'timers.ts',
  'hangs.ts',
  'setup.ts',
]
  .map(source)
  .join('\n');

/** Is there an arrow, of its own or of a state around it? */
const hears = (node: AnyStateNode | undefined, type: string): boolean =>
  node !== undefined && (node.transitions.has(type) || hears(node.parent, type));

describe('structure', () => {
  it('every invoke handles its error', () => {
    const invokes = nodes.flatMap((node) => node.invoke.map((invoke) => ({ node, invoke })));
    expect(invokes.map(({ invoke }) => nameOf(invoke.src)).sort()).toEqual([
      'announce',
      'configureRunner',
      'deregister', // of a runner that an earlier MIGlet left
      'deregister', // of a drain
      'flush',
      'link',
      'powerOff',
      'runner',
    ]);
    for (const { node, invoke } of invokes) {
      const handlers = node.transitions.get(`xstate.error.actor.${invoke.id}`) ?? [];
      expect([node.id, handlers.length]).toEqual([node.id, 1]);
      // With a guard, the error could still be dropped.
      expect(handlers[0]?.guard).toBeUndefined();
    }
  });

  it('every port that answers once is listened to, whatever it answers', () => {
    const callbacks = ['link', 'runner'];
    for (const node of nodes) {
      for (const invoke of node.invoke.filter(({ src }) => !callbacks.includes(nameOf(src)))) {
        const handlers = node.transitions.get(`xstate.done.actor.${invoke.id}`) ?? [];
        expect([node.id, handlers.at(-1)?.guard]).toEqual([node.id, undefined]);
        expect(handlers.length).toBeGreaterThan(0);
      }
    }
  });

  it('a port that answers once has a deadline, or a reason to have none', () => {
    const none = nodes.filter(({ invoke }) => invoke.length > 0).filter(({ after }) => after.length === 0);
    expect(none.map(({ id }) => id).sort()).toEqual([
      'miglet', // the runner's actor lives as long as the machine
      'miglet.lifecycle.shutdown.poweringOff', // the machine that it waits for is going down
      'miglet.link.announcing.asking', // its requests' own timeouts end it
      'miglet.link.open', // its `connecting` has one; a stream that is up has keepalive
    ]);
  });

  it('every state is the target of an arrow, or the first of its parent, on a way from the start', () => {
    const reached = new Set<AnyStateNode>();
    const todo: AnyStateNode[] = [root];
    for (let node = todo.pop(); node !== undefined; node = todo.pop()) {
      if (reached.has(node)) continue;
      reached.add(node);
      if (node.parent !== undefined) todo.push(node.parent);
      if (node.type === 'parallel') todo.push(...Object.values(node.states));
      if (node.type === 'compound') todo.push(...(node.initial.target as AnyStateNode[]));
      for (const { target } of transitionsOf(node)) todo.push(...((target ?? []) as AnyStateNode[]));
    }
    expect(nodes.filter((node) => !reached.has(node)).map(({ id }) => id)).toEqual([]);
  });

  it('a state that is left at once always has a way out', () => {
    for (const node of nodes.filter(
      (candidate) => candidate.always !== undefined && candidate.always.length > 0,
    )) {
      const waits = ['connecting', 'awaitingCommand', 'backingOff', 'drained'];
      expect([node.id, isTransient(node) || waits.includes(node.key)]).toEqual([node.id, true]);
    }
  });

  it.each([
    ['actions', Object.keys(machine.implementations.actions)],
    ['guards', Object.keys(machine.implementations.guards)],
    ['delays', Object.keys(machine.implementations.delays)],
    ['actors', Object.keys(machine.implementations.actors)],
  ])('of the %s that are named, every one is used', (_kind, names) => {
    const unused = names.filter((name) => !new RegExp(`['\\s{]${name}['\\s:,]`).test(chart));
    expect(unused).toEqual([]);
  });

  it('every name that is used is defined', () => {
    const { actions, guards, delays, actors } = machine.implementations;
    const used = {
      actions: new Set<string>(),
      guards: new Set<string>(),
      delays: new Set<string>(),
      actors: new Set<string>(),
    };
    const typeOf = (thing: unknown): string | undefined =>
      typeof thing === 'string' ? thing : (thing as { type?: string } | undefined)?.type;
    for (const node of nodes) {
      for (const action of [
        ...node.entry,
        ...node.exit,
        ...transitionsOf(node).flatMap((transition) => transition.actions),
      ]) {
        const name = typeof action === 'function' ? undefined : typeOf(action);
        if (name !== undefined) used.actions.add(name);
      }
      for (const { guard } of transitionsOf(node))
        if (typeof guard !== 'function' && guard) used.guards.add(typeOf(guard) ?? '');
      for (const { delay } of node.after) used.delays.add(String(delay));
      for (const { src } of node.invoke) used.actors.add(nameOf(src));
    }
    expect(Object.keys(actions)).toEqual(expect.arrayContaining([...used.actions]));
    expect(Object.keys(guards)).toEqual(expect.arrayContaining([...used.guards]));
    expect(Object.keys(delays)).toEqual(expect.arrayContaining([...used.delays]));
    expect(Object.keys(actors).sort()).toEqual([...used.actors].sort());
  });

  it('no guard, action or delay is written into the chart: each has a name', () => {
    for (const node of nodes) {
      for (const { guard } of transitionsOf(node)) expect(typeof guard).not.toBe('function');
      for (const { delay } of node.after) expect(typeof delay).toBe('string');
    }
  });

  it('keeps nothing in its context that cannot be written down, but the source of its random numbers', () => {
    const { random, ...plain } = initialContext;
    expect(typeof random).toBe('function');
    expect(Object.values(plain).filter((value) => typeof value === 'function')).toEqual([]);
    expect(structuredClone(plain)).toEqual(plain);
  });
});

describe('events', () => {
  it('the machine hears every type of event that there is, and no other', () => {
    const heard = machine.events.filter((type) => !type.startsWith('xstate.'));
    expect([...heard].sort()).toEqual([...EVENT_TYPES].sort());
  });

  /**
   * Whoever sends these is the witness of the state that they would contradict, or is itself ended with it; the inspector
   * of miglet.ts logs one that comes nevertheless.
   */
  const CANNOT_COME: Readonly<Record<string, (leaf: Record<Region, string>) => boolean>> = {
    'link.up': ({ link }) => link !== 'open.connecting',
    'link.down': ({ link }) => !link.startsWith('open'),
    'link.reconnect': ({ link }) => link !== 'open.online',
    'heartbeat.policy': ({ link }) => link !== 'open.online',
    'runner.started': ({ runner }) => runner !== 'none',
    'runner.listening': ({ runner }) => runner !== 'alive.starting',
    'job.started': ({ runner }) => runner === 'none',
    'job.finished': ({ runner }) => runner !== 'alive.busy',
    'job.described': ({ runner }) => runner !== 'alive.busy',
    'runner.hung': ({ runner }) => runner === 'none',
    'runner.disconnected': ({ runner }) => runner === 'none',
    'runner.reconnected': ({ runner }) => runner === 'none',
    'runner.updating': ({ runner }) => runner === 'none',
    'runner.restarting': ({ runner }) => runner === 'none',
    'drain.deadlineReached': ({ lifecycle }) => !lifecycle.startsWith('draining'),
  };

  it('every event is heard in every combination of states in which it can come', () => {
    const resting = (region: Region) => [...leavesOf(region)].filter(([, node]) => node.type !== 'final');
    const deaf: string[] = [];
    for (const [lifecycle, lifecycleNode] of resting('lifecycle')) {
      for (const [link, linkNode] of resting('link')) {
        for (const [runner, runnerNode] of resting('runner')) {
          for (const type of EVENT_TYPES) {
            if (CANNOT_COME[type]?.({ lifecycle, link, runner })) continue;
            if ([lifecycleNode, linkNode, runnerNode].some((node) => hears(node, type))) continue;
            deaf.push(`${type} in ${lifecycle}, ${link}, ${runner}`);
          }
        }
      }
    }
    expect(deaf).toEqual([]);
  });

  it('what cannot come is dropped seen: the inspector is told', async () => {
    const harness = createHarness();
    await harness.runnerTells(events.jobFinished());
    expect(harness.dropped).toEqual(['job.finished']);
  });

  it('no event but those that speak of it moves a region', () => {
    const moved = (region: Region, type: MigletEvent['type']): boolean =>
      nodesBelow(regionNode(region)).some((node) => node.transitions.has(type));
    const movers = Object.fromEntries(
      REGIONS.map((region) => [region, EVENT_TYPES.filter((type) => moved(region, type))]),
    );
    expect(movers).toEqual({
      lifecycle: [
        'register.request',
        'drain.request',
        'undrain.request',
        'shutdown.request',
        'drain.deadlineReached',
        'stop.graceEnded',
        'announced',
        'announce.refused',
        'link.up', // only to ask GitHub again
        'runner.started', // only of a VM that is drained
        'runner.listening',
        'job.started',
        'job.finished',
        'runner.exited',
        'runner.hung', // to ask GitHub
      ],
      link: [
        'link.up',
        'link.down',
        'link.reconnect',
        'link.missed',
        'heartbeat.due',
        'heartbeat.policy',
        'lifecycle.ended',
      ],
      runner: [
        'runner.started',
        'runner.listening',
        'job.started',
        'job.finished',
        'runner.exited',
        'job.described',
        'runner.hung',
        'runner.disconnected',
        'runner.reconnected',
        'runner.updating',
        'runner.restarting',
        'lifecycle.ended',
      ],
    });
    const asks = nodesBelow(regionNode('lifecycle')).filter((node) => node.transitions.has('link.up'));
    expect([...new Set(asks.map(({ key }) => key))]).toEqual(['finishingJob', 'lingering', 'waitingToAsk']);
  });
});

describe('the end', () => {
  /** The port or fact that moves each state of an ending on. */
  const NEXT: readonly [RegExp, (path: string) => { type: string }][] = [
    [/deregistering$/, (at) => done(`0.miglet.lifecycle.${at}`, deregisterAnswer('deleted'))],
    [/waitingToAsk$/, (at) => ({ type: `xstate.after.deregisterRetry.miglet.lifecycle.${at}` })],
    [/finishingJob$/, () => events.jobFinished()],
    [/stoppingRunner$/, () => events.exited(0)],
    [/flushing$/, (at) => done(`0.miglet.lifecycle.${at}`, undefined)],
    [/poweringOff$/, (at) => done(`0.miglet.lifecycle.${at}`, undefined)],
  ];
  const done = (id: string, output: unknown) =>
    Object.assign({ type: `xstate.done.actor.${id}` }, { output });

  const places = [...leavesOf('lifecycle').values()]
    .filter((node) => !isTransient(node))
    .map(pathWithin)
    .filter((leaf) => !leaf.startsWith('shutdown'));
  it.each(places)('from %s, a shutdown comes to it with an outcome', (leaf) => {
    const runner = /ready|clearing|deregistering|finishing|waiting|stopping|starting/.test(leaf)
      ? 'alive.idle'
      : 'none';
    let now = step(
      { lifecycle: leaf, link: 'open.online', runner },
      { runner: runner === 'none' ? undefined : RUNNER, processAlive: runner !== 'none', linkUp: true },
      sampleOf('shutdown.request'),
    );
    for (let move = 0; move < 10 && now.lifecycle !== 'ended'; move += 1) {
      const [, next] = NEXT.find(([pattern]) => pattern.test(now.lifecycle)) ?? [];
      if (next === undefined) throw new Error(`nothing leads on from ${now.lifecycle}`);
      now = step(now, now.context, next(now.lifecycle));
    }
    expect([now.lifecycle, now.link, now.runner]).toEqual(['ended', 'closed', 'closed']);
    expect(now.context.ending).toMatchObject({ outcome: 'drained' });
  });

  it('a machine whose ports are not provided does not hang or fail silently: it goes on trying', async () => {
    const actor = createActor(machine, { input: inputOf() });
    actor.start();
    for (let turn = 0; turn < 6; turn += 1) await Promise.resolve();
    expect(actor.getSnapshot().context.note).toBe('actor announce is not provided');
    actor.stop();
  });
});
