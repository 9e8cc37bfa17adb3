import { existsSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../github/until.js';
import { daemonStep, HOSTILE_JOB_NAMES } from './job-steps.js';
import {
  CLEAN,
  LISTENING,
  RUNNING,
  STAMP,
  createRunnerGround,
  processesOf,
  type RunnerGround,
} from './runner-ground.contract.js';

let ground: RunnerGround;
beforeEach(async () => {
  ground = await createRunnerGround();
});
afterEach(() => ground.close());

describe('what a supervisor has to notice by itself', () => {
  it('a listener that stays although its registration is gone', async () => {
    const child = ground.listen({
      ...(await ground.configureByJit()),
      STAND_IN_RUNNER_FAULT: 'once:stays-deregistered',
    });
    await child.waitForLine(LISTENING);
    const headers = { authorization: 'Bearer secret' };
    await fetch(`${ground.github.url}/orgs/acme/actions/runners/1`, { method: 'DELETE', headers });
    const refused = () =>
      ground.github.requests().filter(({ route, status }) => route === 'poll' && status === 404);
    await until('it polled again', () => refused().length > 2);
    expect(child.lines.at(-1)).toMatch(LISTENING);
    child.kill('SIGINT');
    expect(await child.exited).toEqual(CLEAN);
  });

  it('a listener that loses GitHub for a while', async () => {
    const child = ground.listen({
      ...(await ground.configureByJit()),
      STAND_IN_RUNNER_FAULT: 'once:disconnect:50',
    });
    await child.waitForLine(new RegExp(`${STAMP}Runner connect error: .*\\. Retrying until reconnected\\.$`));
    await child.waitForLine(new RegExp(`${STAMP}Runner reconnected\\.$`));
    ground.github.queueJob({ durationMs: 1 });
    expect(await child.exited).toEqual(CLEAN);
    expect(ground.github.jobs()).toMatchObject([{ result: 'Succeeded' }]);
  });

  it('a worker that goes on when its listener is gone', async () => {
    const env = {
      ...(await ground.configureByJit()),
      STAND_IN_RUNNER_FAULT: 'worker-outlives,worker-lingers',
    };
    const child = ground.listen(env);
    const steps = [
      { name: 'step', run: `touch '${ground.folder}/begun'; sleep 0.3; touch '${ground.folder}/ended'` },
    ];
    ground.github.queueJob({ durationMs: 1, steps });
    await until('the step runs', () => existsSync(path.join(ground.folder, 'begun')));
    child.kill('SIGKILL');
    await child.exited;
    await until('the step has ended', () => existsSync(path.join(ground.folder, 'ended')));
    const [worker] = processesOf(ground.runner.worker);
    expect(worker).toBeDefined();
    process.kill(worker?.pid ?? 0, 'SIGKILL');
  });

  it('a daemon that a step leaves', async () => {
    const marker = path.join(ground.folder, 'daemon');
    const child = ground.listen(await ground.configureByJit());
    ground.github.queueJob({ durationMs: 1, steps: [daemonStep(marker)] });
    expect(await child.exited).toEqual(CLEAN);
    await until('the daemon is there', () => processesOf(marker).length > 0);
    for (const { pid } of processesOf(marker)) process.kill(pid, 'SIGKILL');
  });

  it('jobs whose names read like lines of the listener', async () => {
    await ground.configured();
    const child = ground.listen();
    for (const name of HOSTILE_JOB_NAMES) ground.github.queueJob({ name, durationMs: 1 });
    await until('all have ended', () => ground.github.jobs().every(({ result }) => result === 'Succeeded'));
    await until(
      'all are told',
      () => child.lines.filter((line) => RUNNING.test(line)).length === HOSTILE_JOB_NAMES.length,
    );
    const imitations = child.lines.filter((line) => LISTENING.test(line));
    expect(imitations.length).toBeGreaterThan(1);
  });
});
