/** Reconciliation across real processes: the controller, a MIGlet, the stand-in runner, and the stand-in GitHub. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { GitHubResource, RunnerRowResource } from '@mig/common/api/github-resource';
import type { EventResource } from '@mig/common/api/history-resource';
import type { VmResource } from '@mig/common/api/vm-resource';
import { createStandInGitHub, type StandInGitHub } from '@mig/testkit/github/stand-in-github';
import { until } from '@mig/testkit/github/until';
import { installStandInRunner } from '@mig/testkit/runner/install';
import { startChild, type Child } from '@mig/testkit/system/child-process';
import { startControllerProcess, type ControllerProcess } from '@mig/testkit/system/controller-process';
import { processesOf } from '@mig/testkit/system/processes-of';
import { ROOT } from './system.js';

const VM = 'vm-1';
const TOKEN = 'ghp_THE-CONTROLLERS-OWN-SECRET';
const DEADLINE_MS = 30_000;

let folder: string;
let github: StandInGitHub;
let controller: ControllerProcess;

beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-reconciliation-'));
  github = await createStandInGitHub({ tokens: [TOKEN], pollMs: 500, sessionTimeoutMs: 2_000 });
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
      CONTROLLER_GITHUB_RECONCILIATION_INTERVAL: '1s',
      CONTROLLER_GITHUB_RECONCILIATION_GRACE: '2s',
      CONTROLLER_HEARTBEAT_INTERVAL: '1s',
      CONTROLLER_HEARTBEAT_LOST_AFTER: '4s',
    },
    onUnexpectedEnd: (exit) => process.stderr.write(`the controller ended: ${JSON.stringify(exit)}\n`),
  });
});
afterEach(async () => {
  for (const pid of processesOf(folder)) killIfAlive(pid);
  await controller.kill();
  await github.close();
  rmSync(folder, { recursive: true, force: true });
});

function startMiglet(faults = ''): Child {
  const runner = path.join(folder, VM, 'actions-runner');
  mkdirSync(runner, { recursive: true });
  installStandInRunner(runner, {
    env: { STAND_IN_RUNNER_RETRY_MS: '100', ...(faults === '' ? {} : { STAND_IN_RUNNER_FAULT: faults }) },
  });
  return startChild({
    args: [path.join(ROOT, 'packages', 'miglet', 'bundle', 'miglet.mjs')],
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      MIGLET_VM_ID: VM,
      MIGLET_ORG_ID: 'acme',
      MIGLET_STATE_DIR: path.join(folder, VM, 'state'),
      MIGLET_RUNNER_DIR: runner,
      MIGLET_RUNNER_ALLOW_ROOT: process.getuid?.() === 0 ? 'true' : 'false',
      MIGLET_CONTROLLER_ENDPOINT: controller.http,
      MIGLET_HEARTBEAT_INTERVAL: '1s',
    },
    onLog: () => undefined,
  });
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile.
  }
}

async function get<T>(route: string): Promise<T> {
  const response = await fetch(`${controller.http}/api/v1/${route}`);
  if (!response.ok) throw new Error(`GET ${route}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

const vm = () => get<VmResource>(`vms/${VM}`).catch(() => undefined);
const events = async () => (await get<{ events: EventResource[] }>(`vms/${VM}/events`)).events;
const github1 = () => get<GitHubResource>('github');
const rows = async () => (await get<{ runners: RunnerRowResource[] }>('github/runners')).runners;

/** The VM waits for jobs with a runner that GitHub hears; its name. */
const inService = (what: string, isOther: (name: string) => boolean = () => true): Promise<string> =>
  until(
    what,
    async () => {
      const view = await vm();
      const name = view?.state === 'ready.idle' ? view.runner?.runner_name : undefined;
      const online = github.runners().some((runner) => runner.name === name && runner.status === 'online');
      return online && name !== undefined && isOther(name) ? name : undefined;
    },
    DEADLINE_MS,
  );

async function dropRunner(name: string): Promise<void> {
  const id = github.runners().find((runner) => runner.name === name)?.id;
  const response = await fetch(`${github.apiUrl}/orgs/acme/actions/runners/${id}`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  expect(response.status).toBe(204);
}

describe('reconciliation', () => {
  test('when GitHub drops the registration of a runner that hangs and says it listens, then the VM gets another and works', async () => {
    startMiglet('once:stays-deregistered');
    const name = await inService('the VM is registered');
    expect(await rows()).toMatchObject([{ name, ours: true, vm: { vm_id: VM, runner_name: name } }]);
    await dropRunner(name);
    const next = await inService('the VM has another runner', (other) => other !== name);
    expect((await events()).find(({ type }) => type === 'runner_replaced')).toMatchObject({
      data: { runner: name, reason: expect.stringMatching(/GitHub has no such runner/) },
    });
    expect(github.runners().map((runner) => runner.name)).toEqual([next]);

    github.queueJob({ name: 'build', durationMs: 200 });
    await until('its job has ended', () => github.jobs()[0]?.conclusion === 'success', DEADLINE_MS);
    await inService('it is registered again');
    expect(github.jobsKilled()).toEqual([]);
    expect(github.violations()).toEqual([]);
  }, 90_000);

  test('when a VM is gone without a word, then its registration goes too, and no other', async () => {
    startMiglet();
    const name = await inService('the VM is registered');
    await fetch(`${github.apiUrl}/orgs/acme/actions/runners/generate-jitconfig`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify({ name: 'linux-1', runner_group_id: 1, labels: ['self-hosted'] }),
    });
    for (const pid of processesOf(path.join(folder, VM))) killIfAlive(pid);
    await until('the registration is gone', () => github.runners().length === 1, DEADLINE_MS);
    expect(github.runners()).toMatchObject([{ name: 'linux-1' }]);
    await until('it is told', async () => (await events()).some(({ type }) => type === 'runner_deleted'));
    expect((await events()).map(({ type }) => type)).toEqual(
      expect.arrayContaining(['vm_lost', 'runner_deleted']),
    );
    expect((await github1()).reconciliation?.recent).toMatchObject([
      { kind: 'ghost', action: 'delete', runner: name, vm_id: VM, reason: expect.stringMatching(/is lost/) },
    ]);
  }, 90_000);
});
