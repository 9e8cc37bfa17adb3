import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../github/until.js';
import { LISTENING, createRunnerGround, type RunnerGround } from './runner-ground.contract.js';

let ground: RunnerGround;
beforeEach(async () => {
  ground = await createRunnerGround();
});
afterEach(() => ground.close());

describe('updates', () => {
  const updated = () => until('the script is done', () => existsSync(ground.file('update.finished')));

  it.each([
    ['of one job exits with 4', () => ground.configureByJit(), 4],
    ['of many exits with 3', () => ground.configured().then(() => ({})), 3],
  ] as const)(
    'a runner %s, its update is finished later, and it can be started again',
    async (_, prepare, code) => {
      const env = { ...(await prepare()), STAND_IN_RUNNER_FAULT: 'once:update:150' };
      const child = ground.listen(env);
      expect(await child.exited).toEqual({ code, signal: null });
      await child.waitForLine(/^Runner update in progress, do not shutdown runner\.$/);
      expect(existsSync(ground.file('update.finished'))).toBe(false);
      await updated();
      const again = ground.listen({ STAND_IN_RUNNER_FAULT: 'once:update:150' });
      await again.waitForLine(LISTENING);
      expect(ground.github.runners()).toMatchObject([{ status: 'online' }]);
    },
  );

  it('a job that runs ends before the update', async () => {
    await ground.configured();
    const child = ground.listen({ STAND_IN_RUNNER_FAULT: 'once:update-in-job:1' });
    ground.github.queueJob({ name: 'undisturbed', durationMs: 150 });
    expect((await child.exited).code).toBe(3);
    await child.waitForLine(/Job undisturbed completed with result: Succeeded$/);
    expect(ground.github.jobsKilled()).toEqual([]);
    await updated();
  });
});
