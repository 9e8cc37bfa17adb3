/** The runner's processes for real: config.sh and the listener of the stand-in runner, at a stand-in GitHub. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createStandInGitHub, type StandInGitHub } from '@mig/testkit/github/stand-in-github';
import { until } from '@mig/testkit/github/until';
import { installStandInRunner } from '@mig/testkit/runner/install';
import type { Registration } from '../machine/types.js';
import { configureRunner } from './configure.js';
import { runnerEnvironment } from './environment.js';
import { adoptListener, startListener, type Listener, type ListenerExit } from './listener.js';
import type { RunnerLine } from './output.js';
import { runnerDirectory, type RunnerDirectory } from './runner-directory.js';

let folder: string;
let github: StandInGitHub;
let directory: RunnerDirectory;
let registration: Registration;
const listeners: Listener[] = [];

const env = runnerEnvironment({ inherited: process.env, configured: {}, allowRoot: true });
const never = new AbortController().signal;

beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-runner-'));
  github = await createStandInGitHub({ tokens: ['t'], organization: 'acme', sessionTimeoutMs: 1_000 });
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
  for (const listener of listeners.splice(0)) {
    listener.kill();
    listener.release();
  }
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

interface Watched {
  readonly listener: Listener;
  readonly lines: RunnerLine[];
  readonly exits: ListenerExit[];
}

async function start(): Promise<Watched> {
  expect(await configure()).toMatchObject({ kind: 'ok' });
  const watched = { lines: [] as RunnerLine[], exits: [] as ListenerExit[] };
  const listener = await startListener(registration, options(), handlersOf(watched));
  listeners.push(listener);
  return { listener, ...watched };
}

const options = () => ({
  directory,
  env,
  stateDirectory: folder,
  isJournaled: () => true,
  onNoteRefused: () => undefined,
});
const handlersOf = (watched: Omit<Watched, 'listener'>) => ({
  onLine: (line: RunnerLine) => void watched.lines.push(line),
  onExit: (exit: ListenerExit) => void watched.exits.push(exit),
});
const hears = (watched: Watched, kind: RunnerLine['kind']): Promise<RunnerLine> =>
  until(`the runner says ${kind}`, () => watched.lines.find((line) => line.kind === kind));
const ends = (watched: Watched): Promise<ListenerExit> =>
  until('the runner has ended', () => watched.exits[0]);

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
    registration = { ...registration, labels: [] };
    const { listener } = await start();
    expect(listener.runner.labels).toEqual(labels.map((label) => label.name));
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

describe('the listener', () => {
  it('says that it listens, when a job starts and how it ends, and ends when it is told to', async () => {
    const watched = await start();
    await hears(watched, 'listening');
    github.queueJob({ name: 'a job: with result: in its name', durationMs: 300, labels: ['test'] });
    expect(await hears(watched, 'jobStarted')).toMatchObject({
      kind: 'jobStarted',
      name: 'a job: with result: in its name',
    });
    expect(await hears(watched, 'jobCompleted')).toMatchObject({ result: 'Succeeded' });
    watched.listener.interrupt();
    expect(await ends(watched)).toEqual({ code: 0, signal: undefined });
    expect(processes()).toEqual([]);
  });

  it('that crashes tells by which signal, and leaves no worker', async () => {
    install('crash-in-job:100');
    const watched = await start();
    await hears(watched, 'listening');
    github.queueJob({ name: 'a job', durationMs: 60_000, labels: ['test'] });
    expect(await ends(watched)).toEqual({ code: undefined, signal: 'SIGKILL' });
    await until('no process is left', () => processes().length === 0);
  });

  it('that does not end when it is told to is killed with its whole group', async () => {
    install('hang-on-sigint');
    const watched = await start();
    await hears(watched, 'listening');
    github.queueJob({ name: 'a job', durationMs: 60_000, labels: ['test'] });
    await hears(watched, 'jobStarted');
    watched.listener.interrupt();
    watched.listener.kill();
    expect(await ends(watched)).toEqual({ code: undefined, signal: 'SIGKILL' });
    await until('no process is left', () => processes().length === 0);
  });

  it('that cannot be started at all is told at once', async () => {
    directory = runnerDirectory(path.join(folder, 'nothing'));
    await expect(
      startListener(registration, options(), handlersOf({ lines: [], exits: [] })),
    ).rejects.toThrow();
  });
});

describe('a runner that an earlier MIGlet left', () => {
  it('is found with its job, which goes on, and is heard from its beginning (I5)', async () => {
    const first = await start();
    await hears(first, 'listening');
    github.queueJob({ name: 'a job', durationMs: 1_000, labels: ['test'] });
    await hears(first, 'jobStarted');
    first.listener.release();

    const watched = { lines: [] as RunnerLine[], exits: [] as ListenerExit[] };
    const adopted = adoptListener(options(), handlersOf(watched));
    expect(adopted?.runner).toEqual({ name: 'vm-1', labels: ['self-hosted', 'test'] });
    if (adopted === undefined) return;
    listeners.push(adopted);
    const second: Watched = { listener: adopted, ...watched };
    expect(await hears(second, 'jobCompleted')).toMatchObject({ name: 'a job', result: 'Succeeded' });
    expect(second.lines.map((line) => line.kind)).toEqual(['listening', 'jobStarted', 'jobCompleted']);
    adopted.interrupt();
    await ends(second);
    // Nobody is taken for it afterwards.
    expect(adoptListener(options(), handlersOf({ lines: [], exits: [] }))).toBeUndefined();
  });

  it('and that ended meanwhile tells what nobody heard, and that it ended; what was heard is marked as known', async () => {
    const first = await start();
    await hears(first, 'listening');
    github.queueJob({ name: 'a job', durationMs: 300, labels: ['test'] });
    await hears(first, 'jobStarted');
    first.listener.release();
    const { listener } = first;
    await until('the job has ended', () => github.jobs()[0]?.status === 'completed');
    await until('the listener has said so', () =>
      readFileSync(path.join(folder, 'runner-output.log'), 'utf8').includes('completed with result'),
    );
    listener.kill();
    await until('no process is left', () => processes().length === 0);

    const heard: [string, boolean][] = [];
    const exits: ListenerExit[] = [];
    const adopted = adoptListener(options(), {
      onLine: (line, known) => heard.push([line.kind, known]),
      onExit: (exit) => exits.push(exit),
    });
    if (adopted !== undefined) listeners.push(adopted);
    await until('its end is told', () => exits.length === 1);
    expect(heard).toEqual([
      ['listening', true],
      ['jobStarted', true],
      ['jobCompleted', false],
    ]);
  });

  it('before it was noted is found by its program', async () => {
    const first = await start();
    await hears(first, 'listening');
    first.listener.release();
    rmSync(path.join(folder, 'runner.json'));
    const watched = { lines: [] as RunnerLine[], exits: [] as ListenerExit[] };
    const adopted = adoptListener(options(), handlersOf(watched));
    expect(adopted?.runner.name).toBe('vm-1');
    if (adopted === undefined) return;
    listeners.push(adopted);
    await hears({ listener: adopted, ...watched }, 'listening');
    adopted.interrupt();
    await until('no process is left', () => processes().length === 0);
  });
});
