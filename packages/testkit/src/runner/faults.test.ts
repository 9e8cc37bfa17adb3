import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../github/until.js';
import {
  CLEAN,
  RUNNING,
  createRunnerGround,
  processesOf,
  type RunnerGround,
} from './runner-ground.contract.js';

let ground: RunnerGround;
beforeEach(async () => {
  ground = await createRunnerGround();
});
afterEach(() => ground.close());

describe('faults', () => {
  const outcomes: [fault: string, exit: { code: number | null; signal: string | null }][] = [
    ['crash-on-start', { code: null, signal: 'SIGKILL' }],
    ['crash-after-listening:10', { code: null, signal: 'SIGKILL' }],
    ['exit:7', { code: 7, signal: null }],
    ['exit-after-listening:2', { code: 2, signal: null }],
    ['exit-after-listening:5', { code: 5, signal: null }],
    ['version-deprecated', { code: 1, signal: null }],
  ];
  it.each(outcomes)('%s ends the listener with %j', async (fault, exit) => {
    const child = ground.listen({ ...(await ground.configureByJit()), STAND_IN_RUNNER_FAULT: fault });
    expect(await child.exited).toEqual(exit);
  });

  it('loses the job when the listener crashes in it', async () => {
    await ground.github.close();
    await ground.startGitHub({ jobLostAfterMs: 100 });
    const child = ground.listen({
      ...(await ground.configureByJit()),
      STAND_IN_RUNNER_FAULT: 'crash-in-job:20',
    });
    ground.github.queueJob({ durationMs: 60_000 });
    expect((await child.exited).signal).toBe('SIGKILL');
    await until('lost', () => ground.github.jobsKilled().length === 1);
    expect(ground.github.jobsKilled()).toMatchObject([{ result: 'Lost' }]);
  });

  it('can acknowledge a job and hang', async () => {
    const hanging = ground.listen({
      ...(await ground.configureByJit()),
      STAND_IN_RUNNER_FAULT: 'hang-after-acknowledge',
      ACTIONS_RUNNER_PRINT_LOG_TO_STDOUT: '1',
    });
    ground.github.queueJob();
    await hanging.waitForLine(
      /^\[RUNNER .* INFO BrokerMessageListener\] Acknowledging runner request '1'\.$/,
    );
    hanging.kill('SIGKILL');
    await hanging.exited;
    expect(ground.github.jobs()).toMatchObject([{ status: 'assigned' }]);
  });

  it('can exit without running the job that it was handed', async () => {
    const child = ground.listen({
      ...(await ground.configureByJit()),
      STAND_IN_RUNNER_FAULT: 'exit-without-job',
    });
    ground.github.queueJob();
    expect(await child.exited).toEqual(CLEAN);
    expect(child.lines.some((line) => RUNNING.test(line))).toBe(false);
    expect(ground.github.jobs()).toMatchObject([{ status: 'assigned' }]);
  });

  it('can keep a worker after its job completed', async () => {
    const child = ground.listen({
      ...(await ground.configureByJit()),
      STAND_IN_RUNNER_FAULT: 'worker-lingers',
    });
    ground.github.queueJob({ durationMs: 1 });
    await until('completed', () => ground.github.jobs()[0]?.status === 'completed');
    expect(processesOf(ground.runner.worker)).toHaveLength(1);
    expect(child.lines.some((line) => line.includes('completed with result'))).toBe(false);
  });
});
