/** The schedule: the same from the same seed, the beginning of every longer one, and fair. */
import { describe, expect, test } from '@jest/globals';
import { createPlan } from './plan.js';
import { createRandom } from './random.js';
import { isLoad, STORM_MS, type PlanOptions, type Step } from './steps.js';

const OPTIONS: PlanOptions = { seed: 7, minutes: 2, vmCount: 5, simulatedCount: 0 };
const faultsOf = (steps: readonly Step[]): Step[] => steps.filter(({ action }) => !isLoad(action));

describe('decisions by chance', () => {
  test('the same seed and name give the same, any other gives another', () => {
    const draw = (seed: number, name: string): number[] => {
      const random = createRandom(seed, name);
      return Array.from({ length: 20 }, () => random.int(1, 1_000));
    };
    expect(draw(1, 'a')).toEqual(draw(1, 'a'));
    expect(draw(1, 'a')).not.toEqual(draw(2, 'a'));
    expect(draw(1, 'a')).not.toEqual(draw(1, 'b'));
  });

  test('each choice comes as often as its weight says', () => {
    const random = createRandom(1, 'weights');
    const counts = { often: 0, seldom: 0, never: 0 };
    for (let index = 0; index < 10_000; index += 1) {
      counts[
        random.weighted([
          [9, 'often'],
          [1, 'seldom'],
          [0, 'never'],
        ] as const)
      ] += 1;
    }
    expect(counts.seldom).toBeGreaterThan(800);
    expect(counts.seldom).toBeLessThan(1_200);
    expect(counts.never).toBe(0);
  });
});

describe('a schedule', () => {
  test('the same seed gives the same one, another seed another', () => {
    expect(createPlan(OPTIONS)).toEqual(createPlan(OPTIONS));
    expect(createPlan({ ...OPTIONS, seed: 8 })).not.toEqual(createPlan(OPTIONS));
  });

  test('a longer run begins like a shorter one', () => {
    const short = createPlan({ ...OPTIONS, minutes: 1 });
    expect(createPlan({ ...OPTIONS, minutes: 5 }).slice(0, short.length)).toEqual(short);
    expect(short).toHaveLength(2);
  });

  test('simulated VMs change nothing of what is broken, nor of the jobs', () => {
    const kept = (plan: Step[][]): Step[] =>
      plan.flat().filter(({ action }) => !isLoad(action) || action.do === 'job');
    expect(kept(createPlan({ ...OPTIONS, simulatedCount: 100 }))).toEqual(kept(createPlan(OPTIONS)));
  });

  test('steps are in their order, within the storm, and each command has a number of its own', () => {
    const plan = createPlan({ ...OPTIONS, minutes: 10 });
    for (const steps of plan) {
      const times = steps.map(({ atMs }) => atMs);
      expect(times).toEqual([...times].sort((a, b) => a - b));
      expect(Math.max(...times)).toBeLessThan(STORM_MS);
    }
    const numbers = plan.flat().flatMap(({ action }) => (action.do === 'submit' ? [action.n] : []));
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  test('in an hour every kind of fault comes, in every form, and a controller has time between two of its ends', () => {
    const plan = createPlan({ ...OPTIONS, minutes: 60 });
    const kinds = new Set(
      faultsOf(plan.flat()).map(({ action }) =>
        action.do === 'link' || action.do === 'github' ? `${action.do} ${action.fault.kind}` : action.do,
      ),
    );
    expect([...kinds].sort()).toEqual([
      'fillDisk',
      'freeze',
      'github fail',
      'github lag',
      'github slow',
      'github unreachable',
      'kill',
      'link blackHole',
      'link cut',
      'link halfOpen',
      'link narrow',
      'link refuse',
      'link reset',
      'link slow',
      'setClock',
      'terminate',
      'testPoint',
    ]);
    for (const steps of plan) {
      const ends = faultsOf(steps).filter(
        ({ action }) =>
          (action.do === 'kill' || action.do === 'terminate' || action.do === 'testPoint') &&
          action.target === 'controller',
      );
      ends
        .slice(1)
        .forEach((end, index) => expect(end.atMs - (ends[index]?.atMs ?? 0)).toBeGreaterThan(4_999));
    }
  });
});
