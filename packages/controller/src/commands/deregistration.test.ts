import { describe, expect, test } from '@jest/globals';
import type { CommandQueue } from './command-queue.js';
import { createDeregistration } from './deregistration.js';
import type { Fleet } from '../fleet/fleet.js';
import { createOwnership } from '../github/runners/ownership.js';

const ownership = createOwnership('mig', 'k3x9f2');
const VM = { vmId: 'vm-1', bootId: '0123abcd-4567-4000-8000-000000000000' };

function create() {
  const asked: string[] = [];
  const answers: (() => void)[] = [];
  const registrar = {
    remove: (_: unknown, name: string) => {
      asked.push(name);
      return new Promise<{ outcome: 'deleted'; message: string }>((resolve) =>
        answers.push(() => resolve({ outcome: 'deleted', message: '' })),
      );
    },
  };
  const fleet = { get: (id: string) => (id === VM.vmId ? { record: VM } : undefined) } as unknown as Fleet;
  const queue = {
    list: () => [
      { type: 'register_runner', attempts: 1, parameters: { runner_name: 'named-by-an-operator' } },
      { type: 'register_runner', attempts: 0, parameters: { runner_name: 'asked-for-and-never-sent' } },
    ],
  } as unknown as CommandQueue;
  return {
    asked,
    answers,
    deregistration: createDeregistration({ fleet, queue, registrar, isRunnerOf: ownership.isOf }),
  };
}

describe('a VM that asks for the deletion of a runner', () => {
  test.each([
    'vm-2-0123abcd',
    'vm-10',
    'production',
    'vm-1-0123abcd-4567abcd',
    'vm-1-prod',
    'vm-1',
    'vm-1-ffffffff',
    'asked-for-and-never-sent',
    ownership.runnerName({ ...VM, vmId: 'vm-10' }),
    createOwnership('mig', 'other1').runnerName(VM),
  ])('when %s was never given to it, nothing is asked of GitHub (I10)', async (name) => {
    const { asked, deregistration } = create();
    const answer = await deregistration.remove('vm-1', name);
    expect(answer).toMatchObject({ outcome: 'unavailable', message: expect.stringContaining(name) });
    expect(asked).toEqual([]);
  });

  test.each([
    ownership.runnerName(VM),
    ownership.runnerName(VM, 3),
    ownership.runnerName({ ...VM, bootId: 'ffffffff' }),
    'named-by-an-operator',
  ])('when %s is its own, of this boot or an earlier one, it is deleted', async (name) => {
    const { asked, answers, deregistration } = create();
    const answer = deregistration.remove('vm-1', name);
    answers[0]?.();
    expect(await answer).toMatchObject({ outcome: 'deleted' });
    expect(asked).toEqual([name]);
  });

  test('when it asks again before the answer, it is told to wait, and GitHub is asked once (I12)', async () => {
    const { asked, answers, deregistration } = create();
    const first = deregistration.remove('vm-1', 'named-by-an-operator');
    expect(await deregistration.remove('vm-1', 'named-by-an-operator')).toMatchObject({
      outcome: 'unavailable',
    });
    answers[0]?.();
    await first;
    const third = deregistration.remove('vm-1', 'named-by-an-operator');
    answers[1]?.();
    expect(await third).toMatchObject({ outcome: 'deleted' });
    expect(asked).toHaveLength(2);
  });
});
