import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  ACME,
  INTERVAL_MS,
  JOB,
  ROUNDS_TO_ACT,
  createTestFleet,
  nameOf,
  ownership,
  type TestFleet,
} from './test-fleet.contract.js';

let test: TestFleet;
beforeEach(async () => {
  test = await createTestFleet();
});
afterEach(() => test.disposeUnharmed());

describe('rounds', () => {
  it('come every interval, one at a time, and end when it is stopped', async () => {
    const lists = () => test.github.requests().filter(({ route }) => route === 'list-runners').length;
    test.reconciler.start();
    test.clock.advance(INTERVAL_MS - 1);
    expect(lists()).toBe(0);
    const hold = test.github.faults.hold('list-runners');
    test.clock.advance(1);
    const round = test.reconciler.round();
    expect(test.reconciler.round()).toBe(round);
    test.clock.advance(5 * INTERVAL_MS);
    hold.release();
    await round;
    expect(lists()).toBe(1);
    await test.reconciler.stop();
    expect(test.clock.timerCount).toBe(0);
    test.clock.advance(5 * INTERVAL_MS);
    expect(lists()).toBe(1);
  });

  it('that are stopped begin no further deletion', async () => {
    await test.ghost('gone-1');
    await test.ghost('gone-2');
    await test.rounds(ROUNDS_TO_ACT - 1);
    const hold = test.github.faults.hold('delete-runner');
    test.clock.advance(INTERVAL_MS);
    const round = test.reconciler.round();
    while (hold.waiting() === 0) await new Promise(setImmediate);
    const stopped = test.reconciler.stop();
    hold.release();
    await Promise.all([round, stopped]);
    expect(test.namesAtGitHub()).toEqual([nameOf('gone-2')]);
  });
});

describe('the three views side by side', () => {
  it('show the last list with the VMs as they are now, and what is found', async () => {
    test.vm('vm-1');
    await test.runner(nameOf('vm-1'));
    test.vm('vm-2');
    await test.mint('by-hand');
    await test.ghost();
    await test.rounds(1);
    test.says('vm-1', { state: 'ready.busy', currentJob: JOB });
    const shown = test.reconciler
      .rows()
      .map(({ row, sighting }) => [row.name, row.vm?.state, row.github?.online, sighting?.finding.kind]);
    expect(shown).toEqual([
      [nameOf('gone-1'), undefined, false, 'ghost'],
      [nameOf('vm-1'), 'ready.busy', true, undefined],
      [nameOf('vm-2'), 'ready.idle', undefined, 'missing'],
    ]);
    expect(test.reconciler.status().lastRound).toMatchObject({
      scopes: [{ scope: ACME, ours: 2, runners: { length: 3 } }],
    });
    expect(ownership.isOurs('by-hand')).toBe(false);
  });
});
