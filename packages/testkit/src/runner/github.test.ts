import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../github/until.js';
import {
  CLEAN,
  LISTENING,
  RUNNING,
  STAMP,
  createRunnerGround,
  type RunnerGround,
} from './runner-ground.contract.js';

let ground: RunnerGround;
beforeEach(async () => {
  ground = await createRunnerGround();
});
afterEach(() => ground.close());

describe('GitHub', () => {
  it('ends when the registration is gone, and cleans up', async () => {
    await ground.configured();
    const child = ground.listen();
    await child.waitForLine(LISTENING);
    const [{ id } = { id: 0 }] = ground.github.runners();
    const headers = { authorization: 'Bearer secret' };
    const url = `${ground.github.url}/orgs/acme/actions/runners/${id}`;
    expect((await fetch(url, { method: 'DELETE', headers })).status).toBe(204);
    expect(await child.exited).toEqual(CLEAN);
    expect(child.lines.slice(-3)).toEqual([
      'The runner no longer exists on the server. Cleaning up local configuration.',
      '√ Removed .credentials',
      '√ Removed .runner',
    ]);
  });

  it('exits with 1 if the registration was gone before', async () => {
    const env = await ground.configureByJit();
    const headers = { authorization: 'Bearer secret' };
    await fetch(`${ground.github.url}/orgs/acme/actions/runners/1`, { method: 'DELETE', headers });
    const child = ground.listen(env);
    expect((await child.exited).code).toBe(1);
    await child.waitForLine(/^Failed to create a session\. The runner registration has been deleted/);
  });

  it('exits with 5 if another session of the runner stays open', async () => {
    await ground.configured();
    await ground.listen().waitForLine(LISTENING);
    const second = ground.listen({ STAND_IN_RUNNER_SESSION_CONFLICT: '5:2' });
    expect((await second.exited).code).toBe(5);
    await second.waitForLine(/^A session for this runner already exists\.$/);
  });

  it('goes on with its job while GitHub cannot be reached, and reports it afterwards', async () => {
    await ground.configured();
    const child = ground.listen();
    ground.github.queueJob({ name: 'undisturbed', durationMs: 150 });
    await child.waitForLine(RUNNING);
    ground.github.faults.setReachable(false);
    await child.waitForLine(new RegExp(`${STAMP}Runner connect error: .*\\. Retrying until reconnected\\.$`));
    await child.waitForLine(/Job undisturbed completed with result: Succeeded$/);
    expect(ground.github.jobs()).toMatchObject([{ status: 'in_progress' }]);
    ground.github.faults.setReachable(true);
    await child.waitForLine(new RegExp(`${STAMP}Runner reconnected\\.$`));
    await until('reported', () => ground.github.jobs()[0]?.result === 'Succeeded');
    expect(ground.github.jobsKilled()).toEqual([]);
  });

  it('survives that whoever reads its lines is gone', async () => {
    const env = await ground.configureByJit();
    const child = ground.start('/bin/sh', ['-c', `${ground.runner.listener} run | head -n 2`], env);
    await child.waitForLine(/Connected to GitHub/);
    ground.github.queueJob({ durationMs: 50 });
    await until('done', () => ground.github.jobs()[0]?.result === 'Succeeded');
    await child.exited;
  });
});
