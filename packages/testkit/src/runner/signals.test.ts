import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../github/until.js';
import {
  CLEAN,
  LISTENING,
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

describe('signals', () => {
  it('ends an idle runner at once and keeps its registration', async () => {
    const child = ground.listen(await ground.configureByJit());
    await child.waitForLine(LISTENING);
    child.kill('SIGINT');
    expect(await child.exited).toEqual(CLEAN);
    expect(child.lines.at(-1)).toBe('Exiting...');
    expect(ground.github.runners()).toMatchObject([{ status: 'offline' }]);
    expect(existsSync(ground.file('.runner'))).toBe(true);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'cancels the running job on %s, without its completed hook',
    async (signal) => {
      const hook = path.join(ground.folder, 'hook.sh');
      writeFileSync(hook, `touch ${ground.folder}/completed\n`);
      const child = ground.listen({
        ...(await ground.configureByJit()),
        ACTIONS_RUNNER_HOOK_JOB_COMPLETED: hook,
      });
      ground.github.queueJob({
        name: 'long',
        durationMs: 0,
        steps: [{ name: 'sleeps', run: `exec sleep 60` }],
      });
      await child.waitForLine(RUNNING);
      child.kill(signal);
      expect(await child.exited).toEqual(CLEAN);
      expect(child.lines).toContain('Exiting...');
      await child.waitForLine(/Job long completed with result: Canceled$/);
      expect(existsSync(path.join(ground.folder, 'completed'))).toBe(false);
      expect(ground.github.jobsKilled()).toMatchObject([
        { name: 'long', result: 'Canceled', conclusion: 'failure', ended_by: 'runner-shutdown' },
      ]);
    },
  );

  it('lets a worker live that gets a SIGINT of its own', async () => {
    const child = ground.listen(await ground.configureByJit());
    ground.github.queueJob({ name: 'goes on', durationMs: 300 });
    await child.waitForLine(RUNNING);
    const worker = await until('worker', () => processesOf(ground.runner.worker)[0]);
    await until('worker works', () =>
      readdirSync(ground.file('_diag')).some((name) => name.startsWith('Worker_')),
    );
    process.kill(worker.pid, 'SIGINT');
    await child.waitForLine(/Job goes on completed with result: Succeeded$/);
    expect(await child.exited).toEqual(CLEAN);
  });

  it('can be made to ignore them', async () => {
    const child = ground.listen({
      ...(await ground.configureByJit()),
      STAND_IN_RUNNER_FAULT: 'hang-on-sigint',
    });
    await child.waitForLine(LISTENING);
    child.kill('SIGINT');
    await child.waitForLine(/^Exiting\.\.\.$/);
    ground.github.queueJob({ durationMs: 1 });
    await child.waitForLine(RUNNING);
  });
});
