import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  CLEAN,
  LISTENING,
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

describe('jobs', () => {
  it('runs one after another, in a worker that can be found, and goes on listening', async () => {
    await ground.configured();
    const child = ground.listen();
    await child.waitForLine(LISTENING);
    expect(child.lines).toEqual([
      '',
      '√ Connected to GitHub',
      '',
      "Current runner version: '2.336.0'",
      expect.stringMatching(LISTENING),
    ]);
    ground.github.queueJob({ name: 'first: a [job]', durationMs: 30 });
    ground.github.queueJob({ name: 'second', durationMs: 5_000, result: 'Failed' });
    await child.waitForLine(new RegExp(`${STAMP}Running job: first: a \\[job\\]$`));
    await child.waitForLine(new RegExp(`${STAMP}Job first: a \\[job\\] completed with result: Succeeded$`));
    await child.waitForLine(new RegExp(`${STAMP}Running job: second$`));
    const names = processesOf(ground.runner.dir).map(({ comm }) => comm);
    expect(names.sort()).toEqual(['Runner.Listener', 'Runner.Worker']);
    child.kill('SIGINT');
    expect(await child.exited).toEqual(CLEAN);
  });

  it('ends after its one job if it is ephemeral, and leaves no configuration', async () => {
    const child = ground.listen(await ground.configureByJit());
    ground.github.queueJob({ name: 'only', durationMs: 10 });
    expect(await child.exited).toEqual(CLEAN);
    expect(child.lines.at(-3)).toMatch(/Job only completed with result: Succeeded$/);
    expect(child.lines.slice(-2)).toEqual(['√ Removed .credentials', '√ Removed .runner']);
    expect(readdirSync(ground.runner.dir).filter((name) => /^\.(runner|cred)/.test(name))).toEqual([]);
    expect(ground.github.runners()).toEqual([]);
  });

  it('exits with the result if that is asked for', async () => {
    const env = { ...(await ground.configureByJit()), ACTIONS_RUNNER_RETURN_JOB_RESULT_FOR_HOSTED: '1' };
    const child = ground.listen(env);
    ground.github.queueJob({ durationMs: 1, steps: [{ name: 'fails', run: 'exit 3' }] });
    expect((await child.exited).code).toBe(102);
    expect(ground.github.jobs()).toMatchObject([{ result: 'Failed', ended_by: 'itself' }]);
  });

  it('runs hooks and steps with the job in their environment, and kills what they leave behind', async () => {
    const hook = path.join(ground.folder, 'hook.sh');
    writeFileSync(hook, `env > "${ground.folder}/$HOOK_NAME.env"\n`);
    const script = (name: string) => {
      writeFileSync(path.join(ground.folder, `${name}.sh`), `HOOK_NAME=${name} . "${hook}"\n`);
      return path.join(ground.folder, `${name}.sh`);
    };
    const child = ground.listen({
      ...(await ground.configureByJit()),
      ACTIONS_RUNNER_HOOK_JOB_STARTED: script('started'),
      ACTIONS_RUNNER_HOOK_JOB_COMPLETED: script('completed'),
    });
    const left = path.join(ground.folder, 'left-behind');
    const run = `exec 3>&- ; sh -c 'while :; do sleep 60; done' ${left} & echo "$GITHUB_REPOSITORY" > "${ground.folder}/step"`;
    ground.github.queueJob({ durationMs: 1, repository: 'acme/web', steps: [{ name: 'step', run }] });
    expect(await child.exited).toEqual(CLEAN);
    expect(readFileSync(path.join(ground.folder, 'step'), 'utf8')).toBe('acme/web\n');
    for (const name of ['started', 'completed']) {
      const env = readFileSync(path.join(ground.folder, `${name}.env`), 'utf8').split('\n');
      expect(env).toEqual(
        expect.arrayContaining([
          'GITHUB_REPOSITORY=acme/web',
          'GITHUB_RUN_ID=1000001',
          'GITHUB_REF=refs/heads/main',
          'RUNNER_NAME=jit-1',
          'RUNNER_OS=Linux',
        ]),
      );
      expect(env.filter((line) => line.startsWith('ACTIONS_RUNNER_INPUT'))).toEqual([]);
    }
    expect(processesOf(left)).toEqual([]);
  });

  it('fails the job if a hook fails', async () => {
    const hook = path.join(ground.folder, 'hook.sh');
    writeFileSync(hook, 'exit 1\n');
    const child = ground.listen({
      ...(await ground.configureByJit()),
      ACTIONS_RUNNER_HOOK_JOB_STARTED: hook,
    });
    ground.github.queueJob({ name: 'hooked', durationMs: 60_000 });
    await child.waitForLine(/Job hooked completed with result: Failed$/);
    expect(await child.exited).toEqual(CLEAN);
  });

  it('fails the job if its worker dies', async () => {
    const child = ground.listen({
      ...(await ground.configureByJit()),
      STAND_IN_RUNNER_FAULT: 'worker-crash:30',
    });
    ground.github.queueJob({ name: 'crashed', durationMs: 60_000 });
    await child.waitForLine(/Job crashed completed with result: Failed$/);
    expect(await child.exited).toEqual(CLEAN);
    expect(ground.github.jobsKilled()).toMatchObject([{ name: 'crashed', ended_by: 'worker-crash' }]);
  });
});
