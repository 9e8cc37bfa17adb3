import { describe, expect, it } from '@jest/globals';
import { createRacesPlan, type PlanOptions } from './races-plan.js';

const OPTIONS: PlanOptions = {
  seed: 1,
  durationMs: 60_000,
  simulated: ['sim-1', 'sim-2', 'sim-3'],
  real: ['real-1'],
  kills: 3,
};

describe('the plan of the races', () => {
  it('follows from the seed', () => {
    expect(createRacesPlan(OPTIONS)).toEqual(createRacesPlan(OPTIONS));
    expect(createRacesPlan(OPTIONS)).not.toEqual(createRacesPlan({ ...OPTIONS, seed: 2 }));
  });

  it('has every kind of race, in the order of time, and as many kills as are asked for', () => {
    const plan = createRacesPlan({ ...OPTIONS, durationMs: 1_200_000 });
    const times = plan.map(({ atMs }) => atMs);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(times.at(-1)).toBeLessThanOrEqual(1_200_000);
    expect([...new Set(plan.map(({ deed }) => deed.kind))].sort()).toEqual([
      'abusive',
      'deleteLag',
      'endBeforeDelete',
      'endMiglet',
      'fail',
      'idleRemoval',
      'job',
      'jobBeforeDelete',
      'killController',
      'killMiglet',
      'order',
      'slow',
      'unreachable',
    ]);
    expect(plan.filter(({ deed }) => deed.kind === 'killController')).toHaveLength(3);
  });

  it('lets a deletion be answered in every way, before and after it took effect', () => {
    const plan = createRacesPlan({ ...OPTIONS, durationMs: 1_200_000 });
    const answers = plan.flatMap(({ deed }) =>
      deed.kind === 'fail' && deed.route === 'delete-runner' ? [`${deed.status} ${deed.afterEffect}`] : [],
    );
    for (const status of [422, 404, 500, 502, 503, 'no-answer', 'reset', 'silence'])
      for (const afterEffect of [true, false]) expect(answers).toContain(`${status} ${afterEffect}`);
  });

  it('disturbs simulated VMs alone if there are no real ones', () => {
    const plan = createRacesPlan({ ...OPTIONS, real: [], durationMs: 600_000 });
    expect(plan.some(({ deed }) => deed.kind === 'endMiglet' || deed.kind === 'killMiglet')).toBe(false);
  });
});
