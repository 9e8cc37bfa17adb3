import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { GitHubCallError } from '../client/github-client.js';
import { ROUNDS_TO_ACT, createTestFleet, nameOf, type TestFleet } from './test-fleet.contract.js';

let test: TestFleet;
beforeEach(async () => {
  test = await createTestFleet();
});
afterEach(() => test.disposeUnharmed());

describe('a list', () => {
  it('that fails finds nothing in its scope, and what was seen before waits', async () => {
    await test.ghost();
    await test.rounds(ROUNDS_TO_ACT - 2);
    test.github.faults.failNext('list-runners', { status: 502, count: 1 });
    await test.rounds(1);
    expect(test.reconciler.status()).toMatchObject({
      problem: '/orgs/acme: GitHub answered 502',
      lastRound: { scopes: [{ runners: [{ name: nameOf('gone-1') }] }] },
    });
    expect(test.open()).toHaveLength(1);
    await test.rounds(1);
    expect(test.reconciler.status().problem).toBeUndefined();
    expect(test.namesAtGitHub()).toEqual([]);
  });

  it('that fails again and again is told once for each reason', async () => {
    for (const [status, count] of [
      [502, 3],
      [403, 2],
    ] as const)
      test.github.faults.failNext('list-runners', { status, count });
    await test.rounds(5);
    const warnings = test.log
      .lines()
      .filter(({ level, msg }) => level === 'warn' && msg === 'the runners of a scope could not be listed');
    expect(warnings.map(({ reason }) => reason)).toEqual(['GitHub answered 502', 'GitHub answered 403']);
  });

  it('that is put off by the budget is skipped, and said to be', async () => {
    test.vm('vm-1');
    test.overrides.list = async () => {
      throw new GitHubCallError(
        'budget',
        'the rest of the limit is kept for registrations',
        undefined,
        60_000,
      );
    };
    await test.rounds(2 * ROUNDS_TO_ACT);
    expect(test.open()).toEqual([]);
    expect(test.reconciler.status().problem).toMatch(/^\/orgs\/acme: skipped: the rest of the limit is kept/);
  });

  it('that is refused with 404 or 403, as to a token without the right, is not taken for an empty one', async () => {
    for (let n = 0; n < 3; n += 1) test.vm(`vm-${n}`);
    for (const status of [403, 404]) {
      test.github.faults.failNext('list-runners', { status, count: 2 * ROUNDS_TO_ACT });
      await test.rounds(2 * ROUNDS_TO_ACT);
      expect(test.open()).toEqual([]);
      expect(test.reconciler.status().problem).toMatch(new RegExp(`GitHub answered ${status}`));
    }
    expect(test.replacements('vm-0')).toEqual([]);
  });

  it('that was not had for long makes what was seen before begin anew', async () => {
    await test.ghost();
    await test.rounds(ROUNDS_TO_ACT - 1);
    test.github.faults.failNext('list-runners', { status: 502, count: 5 });
    await test.rounds(6);
    expect(test.deletions()).toBe(0);
    expect(test.reconciler.status().open).toMatchObject([{ count: 1 }]);
  });
});

describe('an empty list, while more than three VMs say that they have runners', () => {
  const replaced = () => Array.from({ length: 6 }, (_, n) => test.replacements(`vm-${n}`).length);
  const sum = (counts: readonly number[]) => counts.reduce((all, one) => all + one, 0);
  beforeEach(() => {
    for (let n = 0; n < 6; n += 1) test.vm(`vm-${n}`);
  });

  it('has one VM replaced in a grace, and no more, while it stays empty; and says what to look at', async () => {
    await test.rounds(ROUNDS_TO_ACT + 3);
    expect(sum(replaced())).toBe(1);
    expect(test.reconciler.status().problem).toMatch(/lists no runner at all, and 6 VMs say .* credentials/);
    await test.rounds(2);
    expect(sum(replaced())).toBe(2);
  });

  it('is believed when these VMs are not heard any more: what they said last is no word of today', async () => {
    for (let n = 0; n < 6; n += 1) test.silence(`vm-${n}`, true);
    await test.rounds(3);
    expect(test.reconciler.status().problem).toBeUndefined();
  });

  it('has the others replaced when the new runner of the first is on it', async () => {
    await test.rounds(ROUNDS_TO_ACT);
    const first = replaced().indexOf(1);
    const [command] = test.replacements(`vm-${first}`);
    await test.runner(nameOf(`vm-${first}`));
    test.queue.end(command?.id ?? '', 'failed', 'as if done');
    await test.rounds(1);
    expect(replaced()).toEqual([1, 1, 1, 1, 1, 1]);
    expect(test.reconciler.status().problem).toBeUndefined();
  });
});
