import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  ACME,
  GRACE_MS,
  INTERVAL_MS,
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

describe('a runner of ours that no VM has', () => {
  it('is deleted after two sightings and the grace, not before; of a known VM it is in its history', async () => {
    test.vm('vm-1', {}, 2);
    await test.runner(nameOf('vm-1', 2));
    await test.ghost('vm-1', 1);
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
    await test.ghost();
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
    await test.ghost();
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
    await test.ghost();
    await test.rounds(ROUNDS_TO_ACT - 1);
    test.restart();
    await test.rounds(ROUNDS_TO_ACT - 1);
    expect(test.deletions()).toBe(0);
    await test.rounds(1);
    expect(test.namesAtGitHub()).toEqual([]);
  });

  it('is not deleted when its VM comes after the list was made', async () => {
    await test.ghost('gone-1');
    await test.ghost('gone-2');
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
    const { id } = await test.ghost('vm-1', 1);
    await test.rounds(ROUNDS_TO_ACT - 1);
    await test.api.remove(ACME, id, 'deletion');
    await test.rounds(2);
    expect(test.events).toEqual([]);
    expect(test.open()).toEqual([]);
  });

  it('goes in rounds of 50 when there are very many, which the log says', async () => {
    for (let n = 0; n < 60; n += 1) await test.ghost(`gone-${n}`);
    await test.rounds(ROUNDS_TO_ACT);
    expect(test.namesAtGitHub()).toHaveLength(10);
    expect(test.log.lines()).toContainEqual(expect.objectContaining({ left: 10, maxDeletions: 50 }));
    expect(test.reconciler.status().lastRound).toMatchObject({ deleted: 50, left: 10 });
    await test.rounds(1);
    expect(test.namesAtGitHub()).toEqual([]);
  });
});
