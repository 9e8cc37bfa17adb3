/** A process that is killed while it installs: there is a whole runner, or none, and nothing beside it. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { runnerDirectory } from '../runner-directory.js';
import { createInstallGround, type InstallGround } from './install-ground.contract.js';

let ground: InstallGround;

beforeEach(async () => {
  ground = await createInstallGround();
});
afterEach(() => ground.close());

describe('a MIGlet that is killed while it installs', () => {
  const PROGRAM = path.resolve('packages/miglet/dist/runner/install/install-runner.js');

  /** Installs in a process of its own. */
  function installElsewhere(): { kill: () => Promise<void>; done: Promise<number | null> } {
    const code = `
      const { createInstaller } = await import(${JSON.stringify(`file://${PROGRAM}`)});
      const logger = new Proxy({}, { get: () => () => undefined });
      const clock = { monotonicMs: () => performance.now() };
      const one = createInstaller(${JSON.stringify(ground.options())}, { clock, logger, onInstalled: () => undefined });
      const outcome = await one.install(new AbortController().signal);
      process.exit(outcome.kind === 'ok' ? 0 : 1);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'inherit' });
    const done = new Promise<number | null>((resolve) => child.once('exit', resolve));
    return {
      kill: async () => {
        child.kill('SIGKILL');
        await done;
      },
      done,
    };
  }

  it('in the middle of the download leaves no runner, and the next start clears it away', async () => {
    ground.server.stallAfter = 1_000;
    const { kill } = installElsewhere();
    await until('it downloads', () => ground.server.requests.length > 0);
    await until('its folder is there', () => existsSync(`${ground.directory}.installing/archive.tar.gz`));
    await kill();
    expect(existsSync(ground.directory)).toBe(false);
    ground.server.stallAfter = undefined;
    ground.installer();
    expect(ground.beside()).toEqual([]);
    expect(await ground.install()).toMatchObject({ kind: 'ok' });
  });

  const inTheMaking = (name: string) => (): boolean =>
    existsSync(path.join(`${ground.directory}.installing`, name));
  it.each([
    ['when its folder is made', () => existsSync(`${ground.directory}.installing`)],
    ['when the archive comes', inTheMaking('archive.tar.gz')],
    ['when the first file is unpacked', inTheMaking('runner/bin')],
    ['when the program is unpacked', inTheMaking('runner/bin/Runner.Listener')],
    ['when it is noted', inTheMaking('runner/.mig-installed.json')],
    ['when it is in its place', () => existsSync(ground.directory)],
  ])('%s leaves a whole runner or none, and nothing beside it', async (_, reached) => {
    const { kill, done } = installElsewhere();
    await Promise.race([until('it is so far', reached), done]);
    await kill();
    expect(existsSync(ground.directory) && runnerDirectory(ground.directory).missing() !== undefined).toBe(
      false,
    );
    ground.installer();
    expect(ground.beside().filter((name) => name !== 'actions-runner')).toEqual([]);
    expect(
      runnerDirectory(ground.directory).missing() === undefined || (await ground.install()).kind === 'ok',
    ).toBe(true);
  });

  it('and comes while another one installs leaves that one alone', async () => {
    ground.server.stallAfter = 1_000;
    const { kill } = installElsewhere();
    await until('its folder is there', () => existsSync(`${ground.directory}.installing/archive.tar.gz`));
    const outcome = await ground.install();
    expect(outcome).toMatchObject({ kind: 'retryable', reason: expect.stringContaining('in use') });
    expect(existsSync(`${ground.directory}.installing/archive.tar.gz`)).toBe(true);
    await kill();
  });
});
