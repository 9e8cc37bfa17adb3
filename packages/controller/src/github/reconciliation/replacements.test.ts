import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  INTERVAL_MS,
  JOB,
  ROUNDS_TO_ACT,
  createTestFleet,
  nameOf,
  type TestFleet,
} from './test-fleet.contract.js';

let test: TestFleet;
beforeEach(async () => {
  test = await createTestFleet();
});
afterEach(() => test.disposeUnharmed());

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
