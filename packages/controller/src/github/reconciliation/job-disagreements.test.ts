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
