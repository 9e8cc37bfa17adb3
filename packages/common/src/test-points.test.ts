import { describe, expect, it } from '@jest/globals';
import { createPlan, TEST_POINTS, testPoint, type TestPoint } from './test-points.js';

/** Numbers of the passages at which each signal was sent. */
function passagesOf(plan: string, points: readonly TestPoint[]): string[] {
  const sent: string[] = [];
  let passage = 0;
  const pass = createPlan(plan, (signal) => sent.push(`${signal} at ${passage}`));
  for (const point of points) {
    passage += 1;
    pass(point);
  }
  return sent;
}
const times = (count: number, point: TestPoint): TestPoint[] => Array<TestPoint>(count).fill(point);

describe('test points', () => {
  it('that are not built in do nothing', () => {
    for (const name of TEST_POINTS) testPoint(name);
  });

  it('a plan that names nothing sends nothing', () => {
    expect(passagesOf('', [...TEST_POINTS])).toEqual([]);
  });

  it('a signal is sent at the passage of its number, of its own point', () => {
    const points = [...times(2, 'intake.taken'), ...times(6, 'stream.sent'), 'intake.taken'] as const;
    expect(passagesOf('intake.taken=kill@3,stream.sent=stop@5', points)).toEqual([
      'SIGSTOP at 7',
      'SIGKILL at 9',
    ]);
  });

  it('a signal by chance comes about as often as it says, and the same again with the same seed', () => {
    const at = (seed: number) =>
      passagesOf(`events.sent=kill@p0.02;seed=${seed}`, times(10_000, 'events.sent'));
    expect(at(7)).toEqual(at(7));
    expect(at(7)).not.toEqual(at(8));
    expect(at(7).length).toBeGreaterThan(100);
    expect(at(7).length).toBeLessThan(300);
  });

  it.each([
    'nowhere=kill@1',
    'intake.taken=maim@1',
    'intake.taken=kill@0',
    'intake.taken=kill@1.5',
    'intake.taken=kill@p1.5',
    'intake.taken',
    'intake.taken=kill@1;salt=1',
  ])('a plan like %s is refused with its fault', (plan) => {
    expect(() => createPlan(plan, () => undefined)).toThrow('MIG_TEST_POINTS_PLAN');
  });
});
