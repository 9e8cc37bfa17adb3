/** A VM without a runner, across real processes: it installs one, as the right user, tells what it did, and leaves nothing behind. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { EventResource } from '@mig/common/api/history-resource';
import type { VmResource } from '@mig/common/api/vm-resource';
import { createStandInGitHub, type StandInGitHub } from '@mig/testkit/github/stand-in-github';
import { until } from '@mig/testkit/github/until';
import {
  createDownloadServer,
  LOOPBACK_CERTIFICATE,
  type DownloadServer,
} from '@mig/testkit/runner/download-server';
import { packStandInRunner, type RunnerPackage } from '@mig/testkit/runner/runner-package';
import { startChild, type Child } from '@mig/testkit/system/child-process';
import { startControllerProcess, type ControllerProcess } from '@mig/testkit/system/controller-process';
import { processesOf } from '@mig/testkit/system/processes-of';
import { ROOT } from './system.js';

const VM = 'vm-1';
const TOKEN = 'ghp_THE-CONTROLLERS-OWN-SECRET';
const DEADLINE_MS = 30_000;
const isRoot = process.getuid?.() === 0;

let folder: string;
let runnerPackage: RunnerPackage;
let downloads: DownloadServer;
let github: StandInGitHub;
let controller: ControllerProcess;
let miglet: Child | undefined;
const log: Readonly<Record<string, unknown>>[] = [];

beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-vm-'));
  chmodSync(folder, 0o755);
  log.splice(0);
});
afterEach(async () => {
  for (const pid of processesOf(folder)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself meanwhile.
    }
  }
  await controller.kill();
  await github.close();
  await downloads.close();
  rmSync(folder, { recursive: true, force: true });
});

/** @param switches of the runner that is offered (testkit, switches.ts) */
async function startWorld(switches: Readonly<Record<string, string>> = {}): Promise<void> {
  runnerPackage = packStandInRunner(folder, { env: { STAND_IN_RUNNER_RETRY_MS: '100', ...switches } });
  downloads = await createDownloadServer({ file: runnerPackage.file, protocol: 'https' });
  github = await createStandInGitHub({
    tokens: [TOKEN],
    pollMs: 500,
    sessionTimeoutMs: 2_000,
    runnerDownloads: [runnerPackage.toDownload(downloads.url)],
  });
  writeFileSync(path.join(folder, 'token'), TOKEN);
  controller = await startControllerProcess({
    program: path.join(ROOT, 'packages', 'controller', 'bundle', 'controller.mjs'),
    dataDirectory: path.join(folder, 'data'),
    env: {
      PATH: process.env['PATH'],
      CONTROLLER_CONTROLLER_ID: 'k3x9',
      CONTROLLER_INSECURE: 'true',
      CONTROLLER_GITHUB_AUTH: 'token',
      CONTROLLER_GITHUB_ORG: 'acme',
      CONTROLLER_GITHUB_API_URL: github.apiUrl,
      CONTROLLER_GITHUB_WEB_URL: github.url,
      CONTROLLER_GITHUB_TOKEN_FILE: path.join(folder, 'token'),
    },
    onUnexpectedEnd: (exit) => process.stderr.write(`the controller ended: ${JSON.stringify(exit)}\n`),
  });
}

const runnerDirectory = (): string => path.join(folder, VM, 'actions-runner');

function startMiglet(env: Readonly<Record<string, string>> = {}): void {
  mkdirSync(path.join(folder, VM), { recursive: true });
  miglet = startChild({
    args: [path.join(ROOT, 'packages', 'miglet', 'bundle', 'miglet.mjs')],
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      NODE_EXTRA_CA_CERTS: LOOPBACK_CERTIFICATE,
      MIGLET_VM_ID: VM,
      MIGLET_ORG_ID: 'acme',
      MIGLET_STATE_DIR: path.join(folder, VM, 'state'),
      MIGLET_RUNNER_DIR: runnerDirectory(),
      MIGLET_CONTROLLER_ENDPOINT: controller.http,
      MIGLET_HEARTBEAT_INTERVAL: '1s',
      MIGLET_REGISTRATION_RETRY_FIRST: '200ms',
      ...(isRoot ? { MIGLET_RUNNER_ALLOW_ROOT: 'true' } : {}),
      ...env,
    },
    onLog: (entry) => log.push(entry),
  });
}

async function get<T>(route: string): Promise<T> {
  const response = await fetch(`${controller.http}/api/v1/${route}`);
  if (!response.ok) throw new Error(`GET ${route}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}
const vm = () => get<VmResource>(`vms/${VM}`).catch(() => undefined);
const events = async () => (await get<{ events: EventResource[] }>(`vms/${VM}/events?limit=1000`)).events;
const told = (type: string) =>
  until(
    `the VM tells ${type}`,
    async () => (await events()).find((event) => event.type === type),
    DEADLINE_MS,
  );
const inService = () =>
  until('the VM waits for jobs', async () => (await vm())?.state === 'ready.idle', DEADLINE_MS);

/** Leaves a daemon that clears what could name it, and that SIGTERM does not end. */
function queueJob(name: string, durationMs: number): () => number[] {
  const pids = path.join(folder, `daemon of ${name}`);
  writeFileSync(pids, '');
  chmodSync(pids, 0o666);
  github.queueJob({
    name,
    durationMs,
    steps: [
      {
        name: 'leave',
        run: `RUNNER_TRACKING_ID= setsid sh -c 'trap "" TERM INT HUP; echo $$ >>"${pids}"; while :; do sleep 1; done' >/dev/null 2>&1 &
until [ -s "${pids}" ]; do sleep 0.05; done`,
      },
    ],
  });
  return () =>
    readFileSync(pids, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map(Number)
      .filter((pid) => existsSync(`/proc/${pid}/exe`) && statIsAlive(pid));
}

function statIsAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Arguments of this VM's processes that are as long as a JIT config, which is a secret (I8). */
const longArguments = (): string[] =>
  processesOf(path.join(folder, VM)).flatMap((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      .split('\0')
      .filter((argument) => /^[A-Za-z0-9+/=]{100,}$/.test(argument)),
  );

/** Everything that the run left on disk or said, but what the stand-in runner itself keeps. */
function everythingSaid(): string {
  const files = (directory: string): string[] =>
    existsSync(directory)
      ? readdirSync(directory, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => readFileSync(path.join(entry.parentPath, entry.name), 'utf8'))
      : [];
  return [
    ...files(path.join(folder, VM, 'state')),
    ...files(path.join(folder, VM, 'state-hooks')),
    ...files(path.join(folder, 'data')),
    JSON.stringify(log),
  ].join('\n');
}

describe('a VM without a runner', () => {
  test('when it is registered, then it installs one, takes a job, says of which repository it is, and leaves no process', async () => {
    await startWorld();
    startMiglet();
    await inService();
    expect((await told('runner_installed')).data).toMatchObject({
      version: runnerPackage.version,
      bytes: expect.stringMatching(/^\d+$/),
    });
    expect(readdirSync(path.join(folder, VM)).sort()).toEqual(['actions-runner', 'state']);
    expect(longArguments()).toEqual([]);
    const daemon = queueJob('build', 500);
    expect((await told('job_completed')).data).toMatchObject({ name: 'build', repository: 'acme/app' });
    await until('what the job left is gone', () => daemon().length === 0);
    expect(downloads.offsets).toEqual([0]);
    miglet?.signal('SIGTERM');
    expect(await miglet?.exited).toMatchObject({ code: 0 });
    expect(processesOf(path.join(folder, VM))).toEqual([]);
    expect((await events()).map(({ type }) => type)).toContain('runner_diag');
    expect(everythingSaid()).not.toContain(TOKEN);
  });

  test('when the download breaks off, then it goes on where it was', async () => {
    await startWorld();
    downloads.cutNextAfter(200);
    startMiglet();
    await inService();
    expect(downloads.offsets).toEqual([0, 200]);
  });

  test('when its runner crashes in a job, then the end of its log is told, and none of what it ran is left', async () => {
    await startWorld({ STAND_IN_RUNNER_FAULT: 'once:crash-in-job:300' });
    startMiglet();
    await inService();
    const daemon = queueJob('dies', 60_000);
    await told('runner_crashed');
    const diag = await told('runner_diag');
    expect(diag.data['runner_log']).toContain('Running job: dies');
    await until('what the job left is gone', () => daemon().length === 0);
  });
});

const nobodyCanRead = (): boolean =>
  isRoot &&
  spawnSync('setpriv', [
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    'ls',
    path.join(ROOT, 'packages', 'testkit', 'dist'),
  ]).status === 0;
const asUser = nobodyCanRead() ? test : test.skip;

describe('a VM with runner.user', () => {
  asUser(
    'when it has no runner, then it installs one for that user, and its jobs run as that user and not as root',
    async () => {
      await startWorld();
      startMiglet({ MIGLET_RUNNER_USER: 'nobody', MIGLET_RUNNER_ALLOW_ROOT: 'false' });
      await inService();
      expect(statSync(runnerDirectory()).uid).toBe(65534);
      const who = path.join(folder, 'who');
      writeFileSync(who, '');
      chmodSync(who, 0o666);
      const state = path.join(folder, VM, 'state');
      github.queueJob({
        name: 'who',
        durationMs: 100,
        steps: [
          { name: 'who', run: `id -u >"${who}"; ls "${state}" >>"${who}" 2>&1 || echo closed >>"${who}"` },
        ],
      });
      expect((await told('job_completed')).data).toMatchObject({
        name: 'who',
        repository: 'acme/app',
        result: 'Succeeded',
      });
      expect(readFileSync(who, 'utf8').split('\n')[0]).toBe('65534');
      expect(readFileSync(who, 'utf8')).toContain('closed');
      miglet?.signal('SIGTERM');
      expect(await miglet?.exited).toMatchObject({ code: 0 });
      expect(processesOf(path.join(folder, VM))).toEqual([]);
    },
  );

  test('when there is no such user, then the MIGlet says so and does not start', async () => {
    await startWorld();
    startMiglet({ MIGLET_RUNNER_USER: 'nosuchuser' });
    expect(await miglet?.exited).toMatchObject({
      code: 2,
      lastError: expect.stringContaining('runner.user nosuchuser'),
    });
  });
});
