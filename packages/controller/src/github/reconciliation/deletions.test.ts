import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ROUNDS_TO_ACT, createTestFleet, nameOf, type TestFleet } from './test-fleet.contract.js';

let test: TestFleet;
beforeEach(async () => {
  test = await createTestFleet();
});
afterEach(() => test.disposeUnharmed());

describe('a runner of ours with a job', () => {
  it('is never deleted while GitHub says that it is busy, and goes when the job has ended', async () => {
    const at = await test.runner(nameOf('gone-1'));
    const job = await test.startJob(at);
    await test.rounds(2 * ROUNDS_TO_ACT);
    expect(test.deletions()).toBe(0);
    expect(test.reconciler.status().open).toMatchObject([{ finding: { kind: 'ghost', action: 'none' } }]);
    await test.endJob(at, job);
    expect(test.github.jobs()).toMatchObject([{ conclusion: 'success' }]);
  });

  it('that GitHub says is idle, because its word lags, is refused by DELETE and left, and looked at again after the grace', async () => {
    test.github.faults.setBusyLagMs(7 * 86_400_000);
    const at = await test.runner(nameOf('gone-1'));
    const job = await test.startJob(at);
    await test.rounds(ROUNDS_TO_ACT);
    expect(test.deletions()).toBe(1);
    expect(test.reconciler.status().open).toMatchObject([
      { count: 1, note: expect.stringMatching(/refused to delete it: a job runs/) },
    ]);
    await test.rounds(ROUNDS_TO_ACT - 2);
    expect(test.deletions()).toBe(1);
    await test.rounds(1);
    expect(test.deletions()).toBe(2);
    await test.endJob(at, job);
    expect(test.github.jobs()).toMatchObject([{ conclusion: 'success' }]);
  });
});

describe('a deletion', () => {
  it('that is answered 404 has been done by somebody else', async () => {
    const { id } = await test.ghost();
    await test.rounds(ROUNDS_TO_ACT - 1);
    test.overrides.list = async (scope, callClass) => {
      const list = await test.api.list(scope, callClass);
      await test.api.remove(scope, id, callClass);
      return list;
    };
    await test.rounds(1);
    expect(test.reconciler.status()).toMatchObject({ open: [], lastRound: { deleted: 1 } });
  });

  it('that fails with 5xx is tried again in the next round; the others of the scope wait with it', async () => {
    await test.ghost('gone-1');
    await test.ghost('gone-2');
    await test.rounds(ROUNDS_TO_ACT - 1);
    test.github.faults.failNext('delete-runner', { status: 502 });
    await test.rounds(1);
    expect(test.namesAtGitHub()).toHaveLength(2);
    expect(test.reconciler.status().lastRound).toMatchObject({ deleted: 0, left: 1 });
    expect(test.reconciler.status().open).toMatchObject([{ note: 'GitHub answered 502' }, {}]);
    await test.rounds(1);
    expect(test.namesAtGitHub()).toEqual([]);
  });

  it('whose answer is lost is known by the next list, and told then', async () => {
    test.vm('vm-1', {}, 2);
    await test.runner(nameOf('vm-1', 2));
    await test.ghost('vm-1', 1);
    await test.rounds(ROUNDS_TO_ACT - 1);
    test.github.faults.failNext('delete-runner', { status: 'no-answer', afterEffect: true });
    await test.rounds(1);
    expect(test.events).toEqual([]);
    await test.rounds(1);
    expect(test.events).toMatchObject([{ type: 'runner_deleted', data: { runner: nameOf('vm-1', 1) } }]);
    expect(test.open()).toEqual([]);
  });

  it('that is refused for another reason than a job is noted, and the others go on', async () => {
    await test.ghost('gone-1');
    await test.ghost('gone-2');
    await test.rounds(ROUNDS_TO_ACT - 1);
    test.github.faults.failNext('delete-runner', { status: 403 });
    await test.rounds(1);
    expect(test.namesAtGitHub()).toEqual([nameOf('gone-1')]);
    expect(test.reconciler.status().open).toMatchObject([{ note: 'GitHub answered 403' }]);
  });
});
