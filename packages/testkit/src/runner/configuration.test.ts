import { existsSync, readFileSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CLEAN, createRunnerGround, type RunnerGround } from './runner-ground.contract.js';

let ground: RunnerGround;
beforeEach(async () => {
  ground = await createRunnerGround();
});
afterEach(() => ground.close());

describe('config.sh', () => {
  it('registers, writes the files of the real runner, refuses a second time, and removes it all', async () => {
    await ground.configured('--labels', 'pool-a,pool-b', '--work', '_jobs', '--ephemeral');
    expect(JSON.parse(readFileSync(ground.file('.runner'), 'utf8'))).toMatchObject({
      agentId: 1,
      agentName: 'vm-1',
      poolId: 1,
      poolName: 'Default',
      serverUrl: ground.github.url,
      gitHubUrl: ground.github.organizationUrl,
      workFolder: '_jobs',
      ephemeral: true,
    });
    for (const name of ['.credentials', '.credentials_rsaparams', '.env', '.path', '_jobs', '_diag']) {
      expect([name, existsSync(ground.file(name))]).toEqual([name, true]);
    }
    expect(ground.github.runners()[0]?.labels.map(({ name }) => name)).toEqual([
      'self-hosted',
      'Linux',
      'X64',
      'pool-a',
      'pool-b',
    ]);

    const again = ground.config('--token', ground.github.issueToken('registration'));
    expect((await again.exited).code).toBe(1);
    await again.waitForLine(/^Cannot configure the runner because it is already configured\. To reconfigure/);

    const removal = ground.start(ground.runner.configScript, [
      'remove',
      '--token',
      ground.github.issueToken('remove'),
    ]);
    expect(await removal.exited).toEqual(CLEAN);
    expect(ground.github.runners()).toEqual([]);
    expect(existsSync(ground.file('.runner'))).toBe(false);
  });

  it('takes every argument from the environment', async () => {
    const child = ground.start(ground.runner.configScript, [], {
      ACTIONS_RUNNER_INPUT_URL: ground.github.organizationUrl,
      ACTIONS_RUNNER_INPUT_TOKEN: ground.github.issueToken('registration'),
      ACTIONS_RUNNER_INPUT_NAME: 'from-env',
      ACTIONS_RUNNER_INPUT_LABELS: 'only-this',
      ACTIONS_RUNNER_INPUT_NO_DEFAULT_LABELS: 'true',
    });
    expect(await child.exited).toEqual(CLEAN);
    expect(ground.github.runners()).toMatchObject([{ name: 'from-env', labels: [{ name: 'only-this' }] }]);
  });

  it('fails with a bad token as the real one does', async () => {
    const child = ground.config('--token', 'bad');
    expect((await child.exited).code).toBe(1);
    await child.waitForLine(
      /^Http response code: NotFound from 'POST http:\/\/127\.0\.0\.1:\d+\/.*' \(Request Id: .+\)$/,
    );
    expect(existsSync(ground.file('.runner'))).toBe(false);
  });

  it('does not take the name of another runner, unless it is to replace it', async () => {
    await ground.configured();
    rmSync(ground.file('.runner'));
    const refused = ground.config('--token', ground.github.issueToken('registration'));
    expect((await refused.exited).code).toBe(1);
    await refused.waitForLine(/^A runner exists with the same name vm-1\.$/);
    await ground.configured('--replace');
    expect(ground.github.runners()).toHaveLength(1);
  });

  it('does not run as root unless that is allowed', async () => {
    if (process.getuid?.() !== 0) return;
    const child = ground.start(ground.runner.configScript, [], { RUNNER_ALLOW_RUNASROOT: '' });
    expect((await child.exited).code).toBe(1);
    expect(child.lines).toEqual(['Must not run with sudo']);
  });
});
