import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  createStandInGitHub,
  type StandInGitHub,
  type StandInGitHubOptions,
} from '../github/stand-in-github.js';
import { until } from '../github/until.js';
import { installStandInRunner, type InstalledRunner } from './install.js';
import { daemonStep, HOSTILE_JOB_NAMES } from './job-steps.js';
import { startObserved, type ObservedProcess } from './observed-process.js';

const STAMP = String.raw`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ: `;
const LISTENING = new RegExp(`${STAMP}Listening for Jobs$`);
const RUNNING = new RegExp(`${STAMP}Running job: (.*)$`);
const CLEAN = { code: 0, signal: null };

let folder: string;
let github: StandInGitHub;
let runner: InstalledRunner;
const running: ObservedProcess[] = [];

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'stand-in-runner-'));
  runner = installStandInRunner(path.join(folder, 'runner'));
  await startGitHub();
});

afterEach(async () => {
  for (const child of running.splice(0)) {
    child.kill('SIGKILL');
    await child.exited;
  }
  await github.close();
  await until('no process is left', () => processesOf(folder).length === 0);
  rmSync(folder, { recursive: true });
});

async function startGitHub(options: Partial<StandInGitHubOptions> = {}): Promise<void> {
  github = await createStandInGitHub({ tokens: ['secret'], pollMs: 500, ...options });
}

/** Processes whose command line has the text. */
function processesOf(text: string): { pid: number; comm: string }[] {
  const read = (pid: string, file: string) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, 'utf8');
    } catch {
      return '';
    }
  };
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && read(pid, 'cmdline').includes(text))
    .map((pid) => ({ pid: Number(pid), comm: read(pid, 'comm').trim() }));
}

function start(file: string, args: readonly string[], env: Record<string, string> = {}): ObservedProcess {
  const child = startObserved(file, args, {
    PATH: process.env['PATH'],
    RUNNER_ALLOW_RUNASROOT: '1',
    STAND_IN_RUNNER_RETRY_MS: '20',
    ...env,
  });
  running.push(child);
  return child;
}

const listen = (env: Record<string, string> = {}) => start(runner.listener, ['run'], env);

/** Registers and configures without a process of its own, which is what `config.sh` is tested for below. */
async function configureByJit(labels = ['self-hosted']): Promise<Record<string, string>> {
  const response = await fetch(`${github.url}/orgs/acme/actions/runners/generate-jitconfig`, {
    method: 'POST',
    headers: { authorization: 'Bearer secret' },
    body: JSON.stringify({ name: 'jit-1', runner_group_id: 1, labels }),
  });
  const { encoded_jit_config: encoded } = (await response.json()) as { encoded_jit_config: string };
  return { ACTIONS_RUNNER_INPUT_JITCONFIG: encoded };
}

const config = (...args: string[]) =>
  start(runner.configScript, ['--url', github.organizationUrl, '--name', 'vm-1', '--unattended', ...args]);

async function configured(...args: string[]): Promise<void> {
  const child = config('--token', github.issueToken('registration'), ...args);
  expect(await child.exited).toEqual(CLEAN);
}

const file = (name: string) => path.join(runner.dir, name);

describe('config.sh', () => {
  it('registers, writes the files of the real runner, refuses a second time, and removes it all', async () => {
    await configured('--labels', 'pool-a,pool-b', '--work', '_jobs', '--ephemeral');
    expect(JSON.parse(readFileSync(file('.runner'), 'utf8'))).toMatchObject({
      agentId: 1,
      agentName: 'vm-1',
      poolId: 1,
      poolName: 'Default',
      serverUrl: github.url,
      gitHubUrl: github.organizationUrl,
      workFolder: '_jobs',
      ephemeral: true,
    });
    for (const name of ['.credentials', '.credentials_rsaparams', '.env', '.path', '_jobs', '_diag']) {
      expect([name, existsSync(file(name))]).toEqual([name, true]);
    }
    expect(github.runners()[0]?.labels.map(({ name }) => name)).toEqual([
      'self-hosted',
      'Linux',
      'X64',
      'pool-a',
      'pool-b',
    ]);

    const again = config('--token', github.issueToken('registration'));
    expect((await again.exited).code).toBe(1);
    await again.waitForLine(/^Cannot configure the runner because it is already configured\. To reconfigure/);

    const removal = start(runner.configScript, ['remove', '--token', github.issueToken('remove')]);
    expect(await removal.exited).toEqual(CLEAN);
    expect(github.runners()).toEqual([]);
    expect(existsSync(file('.runner'))).toBe(false);
  });

  it('takes every argument from the environment', async () => {
    const child = start(runner.configScript, [], {
      ACTIONS_RUNNER_INPUT_URL: github.organizationUrl,
      ACTIONS_RUNNER_INPUT_TOKEN: github.issueToken('registration'),
      ACTIONS_RUNNER_INPUT_NAME: 'from-env',
      ACTIONS_RUNNER_INPUT_LABELS: 'only-this',
      ACTIONS_RUNNER_INPUT_NO_DEFAULT_LABELS: 'true',
    });
    expect(await child.exited).toEqual(CLEAN);
    expect(github.runners()).toMatchObject([{ name: 'from-env', labels: [{ name: 'only-this' }] }]);
  });

  it('fails with a bad token as the real one does', async () => {
    const child = config('--token', 'bad');
    expect((await child.exited).code).toBe(1);
    await child.waitForLine(
      /^Http response code: NotFound from 'POST http:\/\/127\.0\.0\.1:\d+\/.*' \(Request Id: .+\)$/,
    );
    expect(existsSync(file('.runner'))).toBe(false);
  });

  it('does not take the name of another runner, unless it is to replace it', async () => {
    await configured();
    rmSync(file('.runner'));
    const refused = config('--token', github.issueToken('registration'));
    expect((await refused.exited).code).toBe(1);
    await refused.waitForLine(/^A runner exists with the same name vm-1\.$/);
    await configured('--replace');
    expect(github.runners()).toHaveLength(1);
  });

  it('does not run as root unless that is allowed', async () => {
    if (process.getuid?.() !== 0) return;
    const child = start(runner.configScript, [], { RUNNER_ALLOW_RUNASROOT: '' });
    expect((await child.exited).code).toBe(1);
    expect(child.lines).toEqual(['Must not run with sudo']);
  });
});

describe('jobs', () => {
  it('runs one after another, in a worker that can be found, and goes on listening', async () => {
    await configured();
    const child = listen();
    await child.waitForLine(LISTENING);
    expect(child.lines).toEqual([
      '',
      '√ Connected to GitHub',
      '',
      "Current runner version: '2.336.0'",
      expect.stringMatching(LISTENING),
    ]);
    github.queueJob({ name: 'first: a [job]', durationMs: 30 });
    github.queueJob({ name: 'second', durationMs: 5_000, result: 'Failed' });
    await child.waitForLine(new RegExp(`${STAMP}Running job: first: a \\[job\\]$`));
    await child.waitForLine(new RegExp(`${STAMP}Job first: a \\[job\\] completed with result: Succeeded$`));
    await child.waitForLine(new RegExp(`${STAMP}Running job: second$`));
    const names = processesOf(runner.dir).map(({ comm }) => comm);
    expect(names.sort()).toEqual(['Runner.Listener', 'Runner.Worker']);
    child.kill('SIGINT');
    expect(await child.exited).toEqual(CLEAN);
  });

  it('ends after its one job if it is ephemeral, and leaves no configuration', async () => {
    const child = listen(await configureByJit());
    github.queueJob({ name: 'only', durationMs: 10 });
    expect(await child.exited).toEqual(CLEAN);
    expect(child.lines.at(-3)).toMatch(/Job only completed with result: Succeeded$/);
    expect(child.lines.slice(-2)).toEqual(['√ Removed .credentials', '√ Removed .runner']);
    expect(readdirSync(runner.dir).filter((name) => /^\.(runner|cred)/.test(name))).toEqual([]);
    expect(github.runners()).toEqual([]);
  });

  it('exits with the result if that is asked for', async () => {
    const env = { ...(await configureByJit()), ACTIONS_RUNNER_RETURN_JOB_RESULT_FOR_HOSTED: '1' };
    const child = listen(env);
    github.queueJob({ durationMs: 1, steps: [{ name: 'fails', run: 'exit 3' }] });
    expect((await child.exited).code).toBe(102);
    expect(github.jobs()).toMatchObject([{ result: 'Failed', ended_by: 'itself' }]);
  });

  it('runs hooks and steps with the job in their environment, and kills what they leave behind', async () => {
    const hook = path.join(folder, 'hook.sh');
    writeFileSync(hook, `env > "${folder}/$HOOK_NAME.env"\n`);
    const script = (name: string) => {
      writeFileSync(path.join(folder, `${name}.sh`), `HOOK_NAME=${name} . "${hook}"\n`);
      return path.join(folder, `${name}.sh`);
    };
    const child = listen({
      ...(await configureByJit()),
      ACTIONS_RUNNER_HOOK_JOB_STARTED: script('started'),
      ACTIONS_RUNNER_HOOK_JOB_COMPLETED: script('completed'),
    });
    const left = path.join(folder, 'left-behind');
    const run = `exec 3>&- ; sh -c 'while :; do sleep 60; done' ${left} & echo "$GITHUB_REPOSITORY" > "${folder}/step"`;
    github.queueJob({ durationMs: 1, repository: 'acme/web', steps: [{ name: 'step', run }] });
    expect(await child.exited).toEqual(CLEAN);
    expect(readFileSync(path.join(folder, 'step'), 'utf8')).toBe('acme/web\n');
    for (const name of ['started', 'completed']) {
      const env = readFileSync(path.join(folder, `${name}.env`), 'utf8').split('\n');
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
    const hook = path.join(folder, 'hook.sh');
    writeFileSync(hook, 'exit 1\n');
    const child = listen({ ...(await configureByJit()), ACTIONS_RUNNER_HOOK_JOB_STARTED: hook });
    github.queueJob({ name: 'hooked', durationMs: 60_000 });
    await child.waitForLine(/Job hooked completed with result: Failed$/);
    expect(await child.exited).toEqual(CLEAN);
  });

  it('fails the job if its worker dies', async () => {
    const child = listen({ ...(await configureByJit()), STAND_IN_RUNNER_FAULT: 'worker-crash:30' });
    github.queueJob({ name: 'crashed', durationMs: 60_000 });
    await child.waitForLine(/Job crashed completed with result: Failed$/);
    expect(await child.exited).toEqual(CLEAN);
    expect(github.jobsKilled()).toMatchObject([{ name: 'crashed', ended_by: 'worker-crash' }]);
  });
});

describe('signals', () => {
  it('ends an idle runner at once and keeps its registration', async () => {
    const child = listen(await configureByJit());
    await child.waitForLine(LISTENING);
    child.kill('SIGINT');
    expect(await child.exited).toEqual(CLEAN);
    expect(child.lines.at(-1)).toBe('Exiting...');
    expect(github.runners()).toMatchObject([{ status: 'offline' }]);
    expect(existsSync(file('.runner'))).toBe(true);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'cancels the running job on %s, without its completed hook',
    async (signal) => {
      const hook = path.join(folder, 'hook.sh');
      writeFileSync(hook, `touch ${folder}/completed\n`);
      const child = listen({ ...(await configureByJit()), ACTIONS_RUNNER_HOOK_JOB_COMPLETED: hook });
      github.queueJob({ name: 'long', durationMs: 0, steps: [{ name: 'sleeps', run: `exec sleep 60` }] });
      await child.waitForLine(RUNNING);
      child.kill(signal);
      expect(await child.exited).toEqual(CLEAN);
      expect(child.lines).toContain('Exiting...');
      await child.waitForLine(/Job long completed with result: Canceled$/);
      expect(existsSync(path.join(folder, 'completed'))).toBe(false);
      expect(github.jobsKilled()).toMatchObject([
        { name: 'long', result: 'Canceled', conclusion: 'failure', ended_by: 'runner-shutdown' },
      ]);
    },
  );

  it('lets a worker live that gets a SIGINT of its own', async () => {
    const child = listen(await configureByJit());
    github.queueJob({ name: 'goes on', durationMs: 300 });
    await child.waitForLine(RUNNING);
    const worker = await until('worker', () => processesOf(runner.worker)[0]);
    await until('worker works', () => readdirSync(file('_diag')).some((name) => name.startsWith('Worker_')));
    process.kill(worker.pid, 'SIGINT');
    await child.waitForLine(/Job goes on completed with result: Succeeded$/);
    expect(await child.exited).toEqual(CLEAN);
  });

  it('can be made to ignore them', async () => {
    const child = listen({ ...(await configureByJit()), STAND_IN_RUNNER_FAULT: 'hang-on-sigint' });
    await child.waitForLine(LISTENING);
    child.kill('SIGINT');
    await child.waitForLine(/^Exiting\.\.\.$/);
    github.queueJob({ durationMs: 1 });
    await child.waitForLine(RUNNING);
  });
});

describe('GitHub', () => {
  it('ends when the registration is gone, and cleans up', async () => {
    await configured();
    const child = listen();
    await child.waitForLine(LISTENING);
    const [{ id } = { id: 0 }] = github.runners();
    const headers = { authorization: 'Bearer secret' };
    const url = `${github.url}/orgs/acme/actions/runners/${id}`;
    expect((await fetch(url, { method: 'DELETE', headers })).status).toBe(204);
    expect(await child.exited).toEqual(CLEAN);
    expect(child.lines.slice(-3)).toEqual([
      'The runner no longer exists on the server. Cleaning up local configuration.',
      '√ Removed .credentials',
      '√ Removed .runner',
    ]);
  });

  it('exits with 1 if the registration was gone before', async () => {
    const env = await configureByJit();
    const headers = { authorization: 'Bearer secret' };
    await fetch(`${github.url}/orgs/acme/actions/runners/1`, { method: 'DELETE', headers });
    const child = listen(env);
    expect((await child.exited).code).toBe(1);
    await child.waitForLine(/^Failed to create a session\. The runner registration has been deleted/);
  });

  it('exits with 5 if another session of the runner stays open', async () => {
    await configured();
    await listen().waitForLine(LISTENING);
    const second = listen({ STAND_IN_RUNNER_SESSION_CONFLICT: '5:2' });
    expect((await second.exited).code).toBe(5);
    await second.waitForLine(/^A session for this runner already exists\.$/);
  });

  it('goes on with its job while GitHub cannot be reached, and reports it afterwards', async () => {
    await configured();
    const child = listen();
    github.queueJob({ name: 'undisturbed', durationMs: 150 });
    await child.waitForLine(RUNNING);
    github.faults.setReachable(false);
    await child.waitForLine(new RegExp(`${STAMP}Runner connect error: .*\\. Retrying until reconnected\\.$`));
    await child.waitForLine(/Job undisturbed completed with result: Succeeded$/);
    expect(github.jobs()).toMatchObject([{ status: 'in_progress' }]);
    github.faults.setReachable(true);
    await child.waitForLine(new RegExp(`${STAMP}Runner reconnected\\.$`));
    await until('reported', () => github.jobs()[0]?.result === 'Succeeded');
    expect(github.jobsKilled()).toEqual([]);
  });

  it('survives that whoever reads its lines is gone', async () => {
    const env = await configureByJit();
    const child = start('/bin/sh', ['-c', `${runner.listener} run | head -n 2`], env);
    await child.waitForLine(/Connected to GitHub/);
    github.queueJob({ durationMs: 50 });
    await until('done', () => github.jobs()[0]?.result === 'Succeeded');
    await child.exited;
  });
});

describe('faults', () => {
  const outcomes: [fault: string, exit: { code: number | null; signal: string | null }][] = [
    ['crash-on-start', { code: null, signal: 'SIGKILL' }],
    ['crash-after-listening:10', { code: null, signal: 'SIGKILL' }],
    ['exit:7', { code: 7, signal: null }],
    ['exit-after-listening:2', { code: 2, signal: null }],
    ['exit-after-listening:5', { code: 5, signal: null }],
    ['version-deprecated', { code: 1, signal: null }],
  ];
  it.each(outcomes)('%s ends the listener with %j', async (fault, exit) => {
    const child = listen({ ...(await configureByJit()), STAND_IN_RUNNER_FAULT: fault });
    expect(await child.exited).toEqual(exit);
  });

  it('loses the job when the listener crashes in it', async () => {
    await github.close();
    await startGitHub({ jobLostAfterMs: 100 });
    const child = listen({ ...(await configureByJit()), STAND_IN_RUNNER_FAULT: 'crash-in-job:20' });
    github.queueJob({ durationMs: 60_000 });
    expect((await child.exited).signal).toBe('SIGKILL');
    await until('lost', () => github.jobsKilled().length === 1);
    expect(github.jobsKilled()).toMatchObject([{ result: 'Lost' }]);
  });

  it('can acknowledge a job and hang', async () => {
    const hanging = listen({
      ...(await configureByJit()),
      STAND_IN_RUNNER_FAULT: 'hang-after-acknowledge',
      ACTIONS_RUNNER_PRINT_LOG_TO_STDOUT: '1',
    });
    github.queueJob();
    await hanging.waitForLine(
      /^\[RUNNER .* INFO BrokerMessageListener\] Acknowledging runner request '1'\.$/,
    );
    hanging.kill('SIGKILL');
    await hanging.exited;
    expect(github.jobs()).toMatchObject([{ status: 'assigned' }]);
  });

  it('can exit without running the job that it was handed', async () => {
    const child = listen({ ...(await configureByJit()), STAND_IN_RUNNER_FAULT: 'exit-without-job' });
    github.queueJob();
    expect(await child.exited).toEqual(CLEAN);
    expect(child.lines.some((line) => RUNNING.test(line))).toBe(false);
    expect(github.jobs()).toMatchObject([{ status: 'assigned' }]);
  });

  it('can keep a worker after its job completed', async () => {
    const child = listen({ ...(await configureByJit()), STAND_IN_RUNNER_FAULT: 'worker-lingers' });
    github.queueJob({ durationMs: 1 });
    await until('completed', () => github.jobs()[0]?.status === 'completed');
    expect(processesOf(runner.worker)).toHaveLength(1);
    expect(child.lines.some((line) => line.includes('completed with result'))).toBe(false);
  });
});

describe('updates', () => {
  const updated = () => until('the script is done', () => existsSync(file('update.finished')));

  it.each([
    ['of one job exits with 4', () => configureByJit(), 4],
    ['of many exits with 3', () => configured().then(() => ({})), 3],
  ] as const)(
    'a runner %s, its update is finished later, and it can be started again',
    async (_, prepare, code) => {
      const env = { ...(await prepare()), STAND_IN_RUNNER_FAULT: 'once:update:150' };
      const child = listen(env);
      expect(await child.exited).toEqual({ code, signal: null });
      await child.waitForLine(/^Runner update in progress, do not shutdown runner\.$/);
      expect(existsSync(file('update.finished'))).toBe(false);
      await updated();
      const again = listen({ STAND_IN_RUNNER_FAULT: 'once:update:150' });
      await again.waitForLine(LISTENING);
      expect(github.runners()).toMatchObject([{ status: 'online' }]);
    },
  );

  it('a job that runs ends before the update', async () => {
    await configured();
    const child = listen({ STAND_IN_RUNNER_FAULT: 'once:update-in-job:1' });
    github.queueJob({ name: 'undisturbed', durationMs: 150 });
    expect((await child.exited).code).toBe(3);
    await child.waitForLine(/Job undisturbed completed with result: Succeeded$/);
    expect(github.jobsKilled()).toEqual([]);
    await updated();
  });
});

describe('what a supervisor has to notice by itself', () => {
  it('a listener that stays although its registration is gone', async () => {
    const child = listen({ ...(await configureByJit()), STAND_IN_RUNNER_FAULT: 'once:stays-deregistered' });
    await child.waitForLine(LISTENING);
    const headers = { authorization: 'Bearer secret' };
    await fetch(`${github.url}/orgs/acme/actions/runners/1`, { method: 'DELETE', headers });
    const refused = () => github.requests().filter(({ route, status }) => route === 'poll' && status === 404);
    await until('it polled again', () => refused().length > 2);
    expect(child.lines.at(-1)).toMatch(LISTENING);
    child.kill('SIGINT');
    expect(await child.exited).toEqual(CLEAN);
  });

  it('a listener that loses GitHub for a while', async () => {
    const child = listen({ ...(await configureByJit()), STAND_IN_RUNNER_FAULT: 'once:disconnect:50' });
    await child.waitForLine(new RegExp(`${STAMP}Runner connect error: .*\\. Retrying until reconnected\\.$`));
    await child.waitForLine(new RegExp(`${STAMP}Runner reconnected\\.$`));
    github.queueJob({ durationMs: 1 });
    expect(await child.exited).toEqual(CLEAN);
    expect(github.jobs()).toMatchObject([{ result: 'Succeeded' }]);
  });

  it('a worker that goes on when its listener is gone', async () => {
    const env = { ...(await configureByJit()), STAND_IN_RUNNER_FAULT: 'worker-outlives,worker-lingers' };
    const child = listen(env);
    const steps = [{ name: 'step', run: `touch '${folder}/begun'; sleep 0.3; touch '${folder}/ended'` }];
    github.queueJob({ durationMs: 1, steps });
    await until('the step runs', () => existsSync(path.join(folder, 'begun')));
    child.kill('SIGKILL');
    await child.exited;
    await until('the step has ended', () => existsSync(path.join(folder, 'ended')));
    const [worker] = processesOf(runner.worker);
    expect(worker).toBeDefined();
    process.kill(worker?.pid ?? 0, 'SIGKILL');
  });

  it('a daemon that a step leaves', async () => {
    const marker = path.join(folder, 'daemon');
    const child = listen(await configureByJit());
    github.queueJob({ durationMs: 1, steps: [daemonStep(marker)] });
    expect(await child.exited).toEqual(CLEAN);
    await until('the daemon is there', () => processesOf(marker).length > 0);
    for (const { pid } of processesOf(marker)) process.kill(pid, 'SIGKILL');
  });

  it('jobs whose names read like lines of the listener', async () => {
    await configured();
    const child = listen();
    for (const name of HOSTILE_JOB_NAMES) github.queueJob({ name, durationMs: 1 });
    await until('all have ended', () => github.jobs().every(({ result }) => result === 'Succeeded'));
    await until(
      'all are told',
      () => child.lines.filter((line) => RUNNING.test(line)).length === HOSTILE_JOB_NAMES.length,
    );
    const imitations = child.lines.filter((line) => LISTENING.test(line));
    expect(imitations.length).toBeGreaterThan(1);
  });
});

describe('run.sh', () => {
  it('hides the exit code of the listener', async () => {
    const child = start(runner.runScript, [], {
      ...(await configureByJit()),
      STAND_IN_RUNNER_FAULT: 'exit:1',
    });
    expect(await child.exited).toEqual(CLEAN);
  });

  it('hands a signal on if it is told to', async () => {
    const env = { ...(await configureByJit()), RUNNER_MANUALLY_TRAP_SIG: '1' };
    const child = start(runner.runScript, [], env);
    await child.waitForLine(LISTENING);
    child.kill('SIGTERM');
    expect((await child.exited).code).toBe(143);
    expect(child.lines).toContain('Exiting...');
  });
});
