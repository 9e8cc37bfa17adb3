import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { createHarness } from './harness.contract.js';
import { EVENT_TYPES, sampleOf } from './table.contract.js';
import { COMES_UP, createWorld, moves, type Move } from './world.contract.js';

/** Fixed: the same lists in every run. */
const RUNS = { seed: 20260702, numRuns: 300 };
const lists = fc
  .tuple(fc.boolean(), moves)
  .map(([up, list]): readonly Move[] => (up ? [...COMES_UP, ...list] : list));

describe('whatever comes, in whatever order', () => {
  it('the machine ends, settles every command once (I2), ends no job without force or deadline (I5), and hears every event', async () => {
    const reached = new Set<string>();
    await fc.assert(
      fc.asyncProperty(lists, fc.boolean(), fc.boolean(), async (list, drained, fences) => {
        const world = createWorld({ drained, limits: { fenceAfterMs: fences ? 100_000 : 0 } });
        world.harness.actor.subscribe(() => reached.add(world.harness.lifecycle()));
        await world.play(list);
        await world.end();
        expect(world.harness.failure()).toBeUndefined();
        expect(world.harness.lifecycle()).toBe('ended');
        expect(world.harness.output()).toBeDefined();
        expect(world.harness.settled.map(({ id }) => id).sort()).toEqual([...world.commandIds].sort());
        expect(world.crimes).toEqual([]);
        expect(world.harness.dropped).toEqual([]);
        expect(world.harness.timesEnded()).toBe(1);
        expect(world.harness.emittedTypes().filter((type) => type === 'vm_shutting_down')).toHaveLength(1);
      }),
      RUNS,
    );
    // The lists come everywhere: a property over machines that never leave `booting` would hold too.
    expect([...reached].sort()).toEqual(
      expect.arrayContaining([
        'draining.deregistering',
        'draining.drained',
        'draining.finishingJob',
        'draining.stoppingRunner',
        'draining.waitingToAsk',
        'ready.busy',
        'ready.idle',
        'registering.backingOff',
        'registering.clearing.finishingJob',
        'registering.configuring',
        'registering.starting',
        'shutdown.flushing',
      ]),
    );
  });

  it('even a world that cannot be breaks nothing, and leaves a context that can be written down', async () => {
    const soup = fc.array(fc.constantFrom(...EVENT_TYPES.filter((type) => type !== 'lifecycle.ended')), {
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(soup, async (types) => {
        const harness = createHarness();
        for (const type of types) harness.actor.send(sampleOf(type));
        await harness.atRest();
        expect(harness.failure()).toBeUndefined();
        const { random, ...plain } = harness.context();
        expect(typeof random).toBe('function');
        expect(JSON.parse(JSON.stringify(plain))).toEqual(withoutUndefined(plain));
      }),
      { ...RUNS, numRuns: 60 },
    );
  });
});

const withoutUndefined = (value: object): unknown =>
  Object.fromEntries(
    Object.entries(value)
      .filter(([, entry]) => entry !== undefined)
      .map(([key, entry]: [string, unknown]) => [
        key,
        typeof entry === 'object' && entry !== null && !Array.isArray(entry)
          ? withoutUndefined(entry)
          : entry,
      ]),
  );
