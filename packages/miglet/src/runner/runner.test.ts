/** config.sh of the stand-in runner, at a stand-in GitHub. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createStandInGitHub, type StandInGitHub } from '@mig/testkit/github/stand-in-github';
import { until } from '@mig/testkit/github/until';
import { installStandInRunner } from '@mig/testkit/runner/install';
import type { Registration } from '../machine/types.js';
import { configureRunner, registeredLabels } from './configure.js';
import { runnerEnvironment } from './environment.js';
import { runnerDirectory, type RunnerDirectory } from './runner-directory.js';

let folder: string;
let github: StandInGitHub;
let directory: RunnerDirectory;
let registration: Registration;

const env = runnerEnvironment({ inherited: process.env, configured: {}, allowRoot: true });
const never = new AbortController().signal;

beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-runner-'));
  github = await createStandInGitHub({ tokens: ['t'], organization: 'acme', sessionTimeoutMs: 5_000 });
  install();
  registration = {
    commandId: 'c',
    runnerName: 'vm-1',
    runnerUrl: github.organizationUrl,
    runnerGroup: '',
    labels: ['self-hosted', 'test'],
    token: github.issueToken('registration'),
    jitConfig: '',
  };
});
afterEach(async () => {
  await github.close();
  rmSync(folder, { recursive: true, force: true });
});

function install(faults = ''): void {
  const dir = path.join(folder, 'runner');
  installStandInRunner(dir, { env: faults === '' ? {} : { STAND_IN_RUNNER_FAULT: faults } });
  directory = runnerDirectory(dir);
}

const configure = (signal: AbortSignal = never, wanted: Partial<Registration> = {}) =>
  configureRunner(
    { ...registration, ...wanted },
    { directory, env, ephemeral: false, disableUpdate: false, workFolder: '_work' },
    signal,
  );

/** Processes whose command line names this test's folder. */
const processes = (): string[] =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder);
    } catch {
      return false;
    }
  });

describe('config.sh', () => {
  it('registers the runner with its labels and no others', async () => {
    expect(await configure()).toEqual({ kind: 'ok', value: undefined });
    expect(github.runners()).toMatchObject([{ name: 'vm-1' }]);
    expect(github.runners()[0]?.labels.map((label) => label.name)).toEqual(['self-hosted', 'test']);
  });

  it('without labels gives it the usual ones, as labels that can be taken from it', async () => {
    await configure(never, { labels: [] });
    const labels = github.runners()[0]?.labels ?? [];
    expect(labels[0]?.name).toBe('self-hosted');
    expect(labels).toHaveLength(3);
    expect(labels.every((label) => label.type === 'custom')).toBe(true);
    // The controller gives it these again after it took them.
    expect(registeredLabels({ ...registration, labels: [] })).toEqual(labels.map((label) => label.name));
  });

  it('takes the place of an earlier registration in the folder', async () => {
    await configure();
    expect(await configure()).toMatchObject({ kind: 'ok' });
    expect(github.runners()).toHaveLength(1);
  });

  it('with a token that is not good is not tried again, and the token is not in the reason (I8)', async () => {
    const outcome = await configure(never, { token: 'NOT-A-TOKEN' });
    expect(outcome).toMatchObject({ kind: 'fatal' });
    expect(JSON.stringify(outcome)).not.toContain('NOT-A-TOKEN');
  });

  it('that fails for another reason is tried again, with its last words as the reason', async () => {
    install('config-fails:1');
    expect(await configure()).toMatchObject({
      kind: 'retryable',
      reason: expect.stringMatching(/ended with 1: .+/),
    });
    expect(await configure()).toMatchObject({ kind: 'ok' });
  });

  it('is ended when it is not waited for any more, and leaves no process', async () => {
    const release = github.faults.hold('register');
    const abort = new AbortController();
    const outcome = configure(abort.signal);
    await until('it asks GitHub', () => release.waiting() > 0);
    abort.abort();
    expect(await outcome).toMatchObject({ kind: 'retryable' });
    release.release();
    await until('no process is left', () => processes().length === 0);
  });

  it('in a folder without a runner says what is missing', async () => {
    directory = runnerDirectory(path.join(folder, 'nothing'));
    const outcome = await configure();
    expect(outcome).toMatchObject({ kind: 'fatal', reason: expect.stringContaining('runner.dir') });
  });

  it('is not needed with a JIT config', async () => {
    expect(await configure(never, { token: '', jitConfig: 'aGVsbG8=' })).toMatchObject({ kind: 'ok' });
    expect(github.runners()).toEqual([]);
  });
});
