/** What config.sh needs before it, and what must not outlive it: the runner, its user, its time. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { fatal, ok, retryable } from '@mig/common/outcome';
import { identify, isAlive } from '@mig/common/process-identity';
import { until } from '@mig/testkit/github/until';
import { configureRunner, type ConfigureOptions } from './configure.js';
import { runnerDirectory } from './runner-directory.js';
import { findUser, resolveRunAs } from './user.js';
import { prepareWorkFolder } from './work-folder.js';

let folder: string;
let dir: string;
const never = new AbortController().signal;

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-configure-'));
  dir = path.join(folder, 'runner');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A runner whose config.sh is this script. */
function makeRunner(script = 'exit 0'): void {
  mkdirSync(path.join(dir, 'bin'), { recursive: true });
  for (const name of ['config.sh', 'bin/Runner.Listener'])
    writeFileSync(path.join(dir, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

const registration = {
  commandId: 'c',
  runnerName: 'vm-1',
  runnerUrl: 'https://github.example/acme',
  runnerGroup: '',
  labels: ['a'],
  token: 'T0KEN-T0KEN',
  jitConfig: '',
};
const configure = (options: Partial<ConfigureOptions> = {}, signal = never, jitConfig = '') =>
  configureRunner(
    { ...registration, jitConfig },
    {
      directory: runnerDirectory(dir),
      env: { PATH: process.env['PATH'] ?? '' },
      ephemeral: false,
      disableUpdate: false,
      workFolder: '_work',
      ...options,
    },
    signal,
  );

/** Processes that the script noted. */
const noted = () =>
  existsSync(path.join(dir, 'pids'))
    ? readFileSync(path.join(dir, 'pids'), 'utf8').split('\n').filter(Boolean).map(Number)
    : [];

describe('a folder without a runner', () => {
  it('gets one first, also for a JIT config, which needs no config.sh', async () => {
    const install = () => {
      makeRunner();
      return Promise.resolve(ok('2.336.0'));
    };
    expect(await configure({ install }, never, 'e30=')).toEqual(ok(undefined));
    rmSync(dir, { recursive: true });
    expect(await configure({ install })).toEqual(ok(undefined));
  });

  it.each([retryable('no network'), fatal('wrong checksum')])('says why it got none: %j', async (outcome) => {
    expect(await configure({ install: () => Promise.resolve(outcome) })).toEqual(outcome);
  });

  it('that has one is used as it is', async () => {
    makeRunner();
    const install = () => Promise.reject(new Error('installed over a runner'));
    expect(await configure({ install })).toEqual(ok(undefined));
  });

  it('but with a listener has one for a JIT config, and nothing is installed over it', async () => {
    makeRunner();
    rmSync(path.join(dir, 'config.sh'));
    const install = () => Promise.reject(new Error('installed over a runner'));
    expect(await configure({ install }, never, 'e30=')).toEqual(ok(undefined));
  });

  it('that lacks config.sh alone says so, also if the installer leaves it alone', async () => {
    makeRunner();
    rmSync(path.join(dir, 'config.sh'));
    const reason = expect.stringContaining(path.join(dir, 'config.sh'));
    for (const options of [{}, { install: () => Promise.resolve(ok(undefined)) }])
      expect(await configure(options)).toMatchObject({ kind: 'fatal', reason });
  });

  it('of a runner that updates itself gets none, and is not configured, before that has ended', async () => {
    const done: string[] = [];
    const install = () => {
      done.push('install');
      makeRunner();
      return Promise.resolve(ok('2.336.0'));
    };
    const updateEnded = () => Promise.resolve(done.push('update')).then(() => ok(undefined));
    expect(await configure({ install, updateEnded })).toEqual(ok(undefined));
    expect(done).toEqual(['update', 'install']);
    const givenUp = { updateEnded: () => Promise.resolve(retryable('given up')) };
    expect(await configure(givenUp)).toEqual(retryable('given up'));
  });

  it('of a MIGlet that may install none says what is missing', async () => {
    expect(await configure()).toMatchObject({ kind: 'fatal', reason: expect.stringContaining('runner.dir') });
  });
});

describe('config.sh', () => {
  it('that takes too long is ended, with what it started, and the reason names the key', async () => {
    makeRunner(`echo $$ >>pids; setsid sh -c 'echo $$ >>pids; exec sleep 60' & wait`);
    const outcome = await configure({ timeoutMs: 500 });
    expect(outcome).toMatchObject({
      kind: 'retryable',
      reason: expect.stringContaining('runner.configure_timeout'),
    });
    expect(noted().length).toBeGreaterThan(0);
    expect(noted().map(identify).filter(isAlive)).toEqual([]);
  });

  it('that leaves something running that holds its output is not waited for: it is ended', async () => {
    makeRunner(`setsid sh -c 'echo $$ >>pids; exec sleep 60' & until [ -e pids ]; do :; done; exit 0`);
    expect(await configure()).toEqual(ok(undefined));
    await until('nothing is left', () => noted().map(identify).filter(isAlive).length === 0);
  });

  it('that is not waited for any more before it began does not run on', async () => {
    makeRunner('echo $$ >>pids; exec sleep 60');
    expect(await configure({}, AbortSignal.abort())).toMatchObject({ kind: 'retryable' });
    expect(noted().map(identify).filter(isAlive)).toEqual([]);
  });

  it('has its token in its environment, and nobody has it among his arguments (I8)', async () => {
    makeRunner(
      'tr "\\0" "\\n" </proc/$$/cmdline >seen; echo "$*" >>seen; [ "$ACTIONS_RUNNER_INPUT_TOKEN" = T0KEN-T0KEN ]',
    );
    expect(await configure()).toEqual(ok(undefined));
    expect(readFileSync(path.join(dir, 'seen'), 'utf8')).toContain('--unattended');
    expect(readFileSync(path.join(dir, 'seen'), 'utf8')).not.toContain('T0KEN');
  });
});

describe('root', () => {
  it('configures no runner without a key that allows it, and says which', async () => {
    makeRunner('echo ran >ran');
    const runAs = resolveRunAs({ user: '', allowRoot: false, uid: 0, searchPath: '' });
    expect(await configure({ runAs }, never, 'e30=')).toMatchObject({
      kind: 'fatal',
      reason: expect.stringMatching(/runner\.user.*runner\.allow_root/),
    });
    expect(existsSync(path.join(dir, 'ran'))).toBe(false);
  });
});

const nobody = findUser('nobody', '/etc/passwd');
const asRoot = process.getuid?.() === 0 && nobody !== undefined ? it : it.skip;

describe('with runner.user', () => {
  const runAs = () =>
    resolveRunAs({ user: 'nobody', allowRoot: false, uid: 0, searchPath: process.env['PATH'] ?? '' });

  asRoot('config.sh runs as that user', async () => {
    makeRunner('id -u >who');
    chmodSync(folder, 0o755);
    chmodSync(dir, 0o777);
    expect(await configure({ runAs: runAs() })).toEqual(ok(undefined));
    expect(readFileSync(path.join(dir, 'who'), 'utf8').trim()).toBe(String(nobody?.uid));
  });

  asRoot('a folder of somebody else is refused with what to do', async () => {
    makeRunner();
    chmodSync(folder, 0o755);
    chmodSync(dir, 0o755);
    expect(await configure({ runAs: runAs() })).toMatchObject({
      kind: 'fatal',
      reason: expect.stringMatching(/cannot write to .*chown -R nobody/),
    });
  });

  asRoot('a work folder elsewhere is made for that user, and one that is there stays as it is', () => {
    const work = path.join(folder, 'disk', 'work');
    prepareWorkFolder(dir, work, nobody);
    expect(statSync(work).uid).toBe(nobody?.uid);
    const mine = path.join(folder, 'mine');
    mkdirSync(mine);
    prepareWorkFolder(dir, mine, nobody);
    expect(statSync(mine).uid).toBe(0);
    prepareWorkFolder(dir, '_work', nobody);
    expect(existsSync(path.join(dir, '_work'))).toBe(false);
  });
});
