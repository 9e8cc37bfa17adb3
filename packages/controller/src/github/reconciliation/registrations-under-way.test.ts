import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ROUNDS_TO_ACT, createTestFleet, nameOf, type TestFleet } from './test-fleet.contract.js';

let test: TestFleet;
beforeEach(async () => {
  test = await createTestFleet();
});
afterEach(() => test.disposeUnharmed());

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
    await test.ghost('a-first');
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
