/** Against the stand-in GitHub, over HTTP; a fleet in memory, and one manual clock for all. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { GitHubCallError } from '../client/github-client.js';
import {
  ACME,
  GRACE_MS,
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
afterEach(async () => {
  expect(test.github.violations()).toEqual([]);
  expect(test.github.jobsKilled()).toEqual([]);
  await test.dispose();
});

const ghost = (vmId = 'gone-1', life = 1) => test.mint(nameOf(vmId, life));

describe('a runner of ours that no VM has', () => {
  it('is deleted after two sightings and the grace, not before; of a known VM it is in its history', async () => {
    test.vm('vm-1', {}, 2);
    await test.runner(nameOf('vm-1', 2));
    await ghost('vm-1', 1);
    await test.rounds(ROUNDS_TO_ACT - 1);
    expect(test.namesAtGitHub()).toContain(nameOf('vm-1', 1));
    expect(test.open()).toEqual([`ghost ${nameOf('vm-1', 1)}`]);
    await test.rounds(1);
    expect(test.namesAtGitHub()).toEqual([nameOf('vm-1', 2)]);
    expect(test.events).toEqual([
      {
        type: 'runner_deleted',
        vmId: 'vm-1',
        data: {
          runner: nameOf('vm-1', 1),
          reason: 'VM vm-1 is in another boot now',
          since: new Date(test.clock.now() - GRACE_MS).toISOString(),
        },
      },
    ]);
    expect(test.open()).toEqual([]);
    expect(test.reconciler.status().deeds).toMatchObject([{ finding: { action: 'delete' } }]);
  });

  it('of a VM that nobody knows is deleted, and the log says so', async () => {
    await ghost();
    await test.rounds(ROUNDS_TO_ACT);
    expect(test.namesAtGitHub()).toEqual([]);
    expect(test.events).toEqual([]);
    expect(test.log.lines()).toContainEqual(
      expect.objectContaining({
        event: 'runner_deleted',
        runner: nameOf('gone-1'),
        reason: 'no VM of this name is known',
      }),
    );
  });

  it('of a VM that was killed between the end of its runner and its deletion, and then shut down, is deleted', async () => {
    test.vm('vm-1');
    await test.mint(nameOf('vm-1'));
    test.saysNoRunner('vm-1', 'draining.deregistering');
    test.silence('vm-1', true);
    test.fleet.apply({
      ...{ vmId: 'vm-1', poolId: 'pool-a', orgId: 'acme', at: 0, sequence: 0 },
      bootId: test.fleet.get('vm-1')?.record.bootId ?? '',
      type: 'vm_shutting_down',
      data: { outcome: 'failed' },
    });
    await test.rounds(ROUNDS_TO_ACT);
    expect(test.namesAtGitHub()).toEqual([]);
    expect(test.events).toMatchObject([
      { type: 'runner_deleted', data: { reason: expect.stringMatching(/has ended/) } },
    ]);
  });

  it('of a VM that is lost is deleted when GitHub does not hear it, and left while GitHub does', async () => {
    test.vm('vm-1');
    test.vm('vm-2');
    await test.mint(nameOf('vm-1'));
    const { runner, session } = await test.runner(nameOf('vm-2'));
    test.silence('vm-1', true);
    test.silence('vm-2', true);
    await test.rounds(ROUNDS_TO_ACT + 2);
    expect(test.namesAtGitHub()).toEqual([nameOf('vm-2')]);
    await runner.closeSession(session);
    await test.rounds(ROUNDS_TO_ACT);
    expect(test.namesAtGitHub()).toEqual([]);
  });

  it('is not deleted when its VM is only silent for less than its time', async () => {
    test.vm('vm-1');
    await test.mint(nameOf('vm-1'));
    for (let round = 0; round < 2 * ROUNDS_TO_ACT; round += 1) {
      test.clock.advance(INTERVAL_MS);
      expect(test.fleet.get('vm-1')?.liveness).toBe('suspect');
      await test.reconciler.round();
      test.fleet.heard('vm-1');
    }
    expect(test.namesAtGitHub()).toEqual([nameOf('vm-1')]);
    expect(test.replacements('vm-1')).toEqual([]);
  });

  it('begins anew when something about it changes on the way', async () => {
    await ghost();
    await test.rounds(ROUNDS_TO_ACT - 1);
    const { encodedJitConfig } = await test.mint('elsewhere');
    expect(encodedJitConfig).not.toBe('');
    // A VM of its name comes, and goes again.
    test.vm('gone-1');
    await test.rounds(1);
    expect(test.open()).toEqual([`offline ${nameOf('gone-1')}`]);
    expect(test.deletions()).toBe(0);
  });

  it('and that is not ours, by its name, is never touched', async () => {
    const foreign = ['linux-1', 'mig-zzzz-gone-1-11111111', 'mig-k3x9', 'MIG-K3X9-gone-2-11111111'];
    for (const name of foreign) await test.mint(name);
    await test.rounds(3 * ROUNDS_TO_ACT);
    expect(test.namesAtGitHub()).toEqual(foreign);
    expect(test.deletions()).toBe(0);
  });

  it('is deleted by a controller that has started only after two sightings and the grace of its own', async () => {
    await ghost();
    await test.rounds(ROUNDS_TO_ACT - 1);
    test.restart();
    await test.rounds(ROUNDS_TO_ACT - 1);
    expect(test.deletions()).toBe(0);
    await test.rounds(1);
    expect(test.namesAtGitHub()).toEqual([]);
  });

  it('is not deleted when its VM comes after the list was made', async () => {
    await ghost('gone-1');
    await ghost('gone-2');
    await test.rounds(ROUNDS_TO_ACT - 1);
    test.overrides.remove = async (scope, id, callClass) => {
      test.vm('gone-2');
      return test.api.remove(scope, id, callClass);
    };
    await test.rounds(1);
    expect(test.namesAtGitHub()).toEqual([nameOf('gone-2')]);
  });

  it('is not said to be deleted by us when somebody else was faster', async () => {
    test.vm('vm-1', {}, 2);
    await test.runner(nameOf('vm-1', 2));
    const { id } = await ghost('vm-1', 1);
    await test.rounds(ROUNDS_TO_ACT - 1);
    await test.api.remove(ACME, id, 'deletion');
    await test.rounds(2);
    expect(test.events).toEqual([]);
    expect(test.open()).toEqual([]);
  });

  it('goes in rounds of 50 when there are very many, which the log says', async () => {
    for (let n = 0; n < 60; n += 1) await ghost(`gone-${n}`);
    await test.rounds(ROUNDS_TO_ACT);
    expect(test.namesAtGitHub()).toHaveLength(10);
    expect(test.log.lines()).toContainEqual(expect.objectContaining({ left: 10, maxDeletions: 50 }));
    expect(test.reconciler.status().lastRound).toMatchObject({ deleted: 50, left: 10 });
    await test.rounds(1);
    expect(test.namesAtGitHub()).toEqual([]);
  });
});

describe('a registration under way', () => {
  it('keeps a runner that its VM does not name yet from being deleted', async () => {
    test.vm('vm-1');
    test.saysNoRunner('vm-1', 'registering.awaitingCommand');
    await test.mint(nameOf('vm-1'));
    await test.rounds(2 * ROUNDS_TO_ACT);
    expect(test.namesAtGitHub()).toEqual([nameOf('vm-1')]);
  });

  it('that begins between the list and the deletion keeps the runner', async () => {
    test.vm('vm-1');
    test.saysNoRunner('vm-1', 'draining.drained');
    await test.mint(nameOf('vm-1'));
    await test.rounds(ROUNDS_TO_ACT - 1);
    expect(test.open()).toHaveLength(1);
    test.overrides.list = async (scope, callClass) => {
      const list = await test.api.list(scope, callClass);
      await test.submit({ type: 'register_runner', parameters: {} });
      return list;
    };
    await test.rounds(1);
    expect(test.deletions()).toBe(0);
  });

  it('that begins while another deletion is made keeps the runner', async () => {
    await ghost('a-first');
    test.vm('vm-1');
    test.saysNoRunner('vm-1', 'draining.drained');
    await test.mint(nameOf('vm-1'));
    await test.rounds(ROUNDS_TO_ACT - 1);
    test.overrides.remove = async (scope, id, callClass) => {
      await test.submit({ type: 'register_runner', parameters: {} });
      return test.api.remove(scope, id, callClass);
    };
    await test.rounds(1);
    expect(test.namesAtGitHub()).toEqual([nameOf('vm-1')]);
  });
});

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
    const { id } = await ghost();
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
    await ghost('gone-1');
    await ghost('gone-2');
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
    await ghost('vm-1', 1);
    await test.rounds(ROUNDS_TO_ACT - 1);
    test.github.faults.failNext('delete-runner', { status: 'no-answer', afterEffect: true });
    await test.rounds(1);
    expect(test.events).toEqual([]);
    await test.rounds(1);
    expect(test.events).toMatchObject([{ type: 'runner_deleted', data: { runner: nameOf('vm-1', 1) } }]);
    expect(test.open()).toEqual([]);
  });

  it('that is refused for another reason than a job is noted, and the others go on', async () => {
    await ghost('gone-1');
    await ghost('gone-2');
    await test.rounds(ROUNDS_TO_ACT - 1);
    test.github.faults.failNext('delete-runner', { status: 403 });
    await test.rounds(1);
    expect(test.namesAtGitHub()).toEqual([nameOf('gone-1')]);
    expect(test.reconciler.status().open).toMatchObject([{ note: 'GitHub answered 403' }]);
  });
});

describe('a list', () => {
  it('that fails finds nothing in its scope, and what was seen before waits', async () => {
    await ghost();
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
    await ghost();
    await test.rounds(ROUNDS_TO_ACT - 1);
    test.github.faults.failNext('list-runners', { status: 502, count: 5 });
    await test.rounds(6);
    expect(test.deletions()).toBe(0);
    expect(test.reconciler.status().open).toMatchObject([{ count: 1 }]);
  });
});

describe('a VM that waits for jobs with a runner that GitHub', () => {
  it('does not have is told to replace it, once, after two sightings and the grace', async () => {
    test.vm('vm-1');
    await test.rounds(ROUNDS_TO_ACT - 1);
    expect(test.replacements('vm-1')).toEqual([]);
    await test.rounds(1);
    const [command] = test.replacements('vm-1');
    expect(command).toMatchObject({
      parameters: { replace: true },
      createdBy: 'controller',
      forBoot: expect.stringMatching(/vm-1$/),
    });
    expect(test.events).toMatchObject([
      { type: 'runner_replaced', vmId: 'vm-1', data: { runner: nameOf('vm-1'), command_id: command?.id } },
    ]);
    // As long as the command is open nothing else is done.
    await test.rounds(ROUNDS_TO_ACT);
    expect(test.replacements('vm-1')).toHaveLength(1);
  });

  it('dropped, because a JIT runner waited for too long, is told to replace it', async () => {
    test.vm('vm-1');
    await test.runner(nameOf('vm-1'));
    await test.rounds(2);
    expect(test.open()).toEqual([]);
    test.github.faults.setJitIdleRemovalMs(3 * INTERVAL_MS);
    await test.rounds(ROUNDS_TO_ACT + 1);
    expect(test.namesAtGitHub()).toEqual([]);
    expect(test.replacements('vm-1')).toHaveLength(1);
  });

  it('never hears is told to replace it', async () => {
    test.vm('vm-1');
    await test.mint(nameOf('vm-1'));
    await test.rounds(ROUNDS_TO_ACT);
    expect(test.events).toMatchObject([
      { type: 'runner_replaced', data: { reason: expect.stringMatching(/does not hear its runner/) } },
    ]);
    expect(test.replacements('vm-1')).toHaveLength(1);
  });

  it('does not list, but finds by its name, keeps it', async () => {
    test.vm('vm-1');
    await test.runner(nameOf('vm-1'));
    test.overrides.list = async (scope, callClass) =>
      (await test.api.list(scope, callClass)).filter(({ name }) => name !== nameOf('vm-1'));
    await test.rounds(3 * ROUNDS_TO_ACT);
    expect(test.replacements('vm-1')).toEqual([]);
  });

  it('did not list only once, because a page was shifted, keeps it', async () => {
    test.vm('vm-1');
    await test.runner(nameOf('vm-1'));
    let round = 0;
    test.overrides.list = async (scope, callClass) =>
      (round += 1) % 2 === 0 ? [] : test.api.list(scope, callClass);
    await test.rounds(3 * ROUNDS_TO_ACT);
    expect(test.replacements('vm-1')).toEqual([]);
  });

  it('does not have, but which has not spoken again since that was seen first, keeps it', async () => {
    test.vm('vm-1');
    for (let round = 0; round < 2 * ROUNDS_TO_ACT; round += 1) {
      test.clock.advance(INTERVAL_MS);
      // Something came on its stream, but not a word on its runner.
      test.fleet.heard('vm-1');
      await test.reconciler.round();
    }
    expect(test.open()).toEqual([`missing ${nameOf('vm-1')}`]);
    expect(test.replacements('vm-1')).toEqual([]);
  });

  it('does not have, and that gets a job while GitHub is asked for it, keeps it', async () => {
    test.vm('vm-1');
    await test.rounds(ROUNDS_TO_ACT - 1);
    test.overrides.findByName = async () => {
      test.says('vm-1', { state: 'ready.busy', currentJob: JOB });
      return undefined;
    };
    await test.rounds(1);
    expect(test.replacements('vm-1')).toEqual([]);
  });

  it.each(['cordoned', 'being drained', 'without a stream'])(
    'does not have, and that is %s, keeps it',
    async (how) => {
      const link = test.vm('vm-1');
      if (how === 'cordoned')
        await test.fleet.decide('vm-1', { cordon: { reason: '', by: 'operator', at: 0 } });
      if (how === 'being drained') test.draining.add('vm-1');
      if (how === 'without a stream') test.disconnect(link);
      await test.rounds(2 * ROUNDS_TO_ACT);
      expect(test.replacements('vm-1')).toEqual([]);
    },
  );

  it('does not have is told again when its first try failed and nothing has changed', async () => {
    test.vm('vm-1');
    await test.rounds(ROUNDS_TO_ACT);
    const [command] = test.replacements('vm-1');
    test.queue.end(command?.id ?? '', 'failed', 'a job runs');
    await test.rounds(ROUNDS_TO_ACT - 1);
    expect(test.replacements('vm-1')).toHaveLength(1);
    await test.rounds(1);
    expect(test.replacements('vm-1')).toHaveLength(2);
  });

  it('does not have is one of 20 that are told in a round', async () => {
    await test.mint('by-hand');
    for (let n = 0; n < 25; n += 1) test.vm(`vm-${n}`);
    await test.rounds(ROUNDS_TO_ACT);
    expect(test.reconciler.status().lastRound).toMatchObject({ replaced: 20, left: 5 });
    await test.rounds(1);
    expect(test.reconciler.status().lastRound).toMatchObject({ replaced: 5, left: 0 });
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

describe('a job that GitHub and the VM disagree about', () => {
  const busy = { state: 'ready.busy', currentJob: JOB };

  it('is told once, after the grace, and nothing is done', async () => {
    test.vm('vm-1', busy);
    await test.runner(nameOf('vm-1'));
    await test.rounds(ROUNDS_TO_ACT - 1);
    expect(test.events).toEqual([]);
    await test.rounds(2 * ROUNDS_TO_ACT);
    expect(test.events).toMatchObject([
      {
        type: 'job_disagreement',
        vmId: 'vm-1',
        data: {
          runner: nameOf('vm-1'),
          reason: expect.stringMatching(/no job runs, and VM vm-1 runs build/),
        },
      },
    ]);
    expect(test.replacements('vm-1')).toEqual([]);
    expect(test.deletions()).toBe(0);
  });

  it('is told again when it is about another job', async () => {
    test.vm('vm-1', busy);
    await test.runner(nameOf('vm-1'));
    await test.rounds(ROUNDS_TO_ACT);
    test.says('vm-1', { currentJob: { ...JOB, jobId: 'job-2' } });
    await test.rounds(ROUNDS_TO_ACT);
    expect(test.events).toHaveLength(2);
  });

  it('is not told when GitHub only lags behind', async () => {
    test.github.faults.setBusyLagMs(2.5 * INTERVAL_MS);
    test.vm('vm-1');
    const at = await test.runner(nameOf('vm-1'));
    const job = await test.startJob(at);
    test.says('vm-1', busy);
    await test.rounds(2);
    expect(test.open()).toEqual([`job_disagreement ${nameOf('vm-1')}`]);
    await test.rounds(2 * ROUNDS_TO_ACT);
    expect(test.open()).toEqual([]);
    await test.endJob(at, job);
    test.saysNoRunner('vm-1', 'registering.awaitingCommand');
    await test.rounds(ROUNDS_TO_ACT);
    expect(test.events).toEqual([]);
  });

  it('is told when GitHub says that one runs, and the VM that it waits', async () => {
    test.vm('vm-1');
    const at = await test.runner(nameOf('vm-1'));
    const job = await test.startJob(at);
    await test.rounds(ROUNDS_TO_ACT);
    expect(test.events).toMatchObject([
      { type: 'job_disagreement', data: { reason: expect.stringMatching(/that it waits for one/) } },
    ]);
    await test.endJob(at, job);
  });
});

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
    await ghost('gone-1');
    await ghost('gone-2');
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
    await ghost();
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
