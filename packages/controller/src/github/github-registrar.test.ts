/** Against the stand-in GitHub, over HTTP. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createStandInGitHub, type StandInGitHub } from '@mig/testkit/github/stand-in-github';
import { RUNNER_SERVICE } from '@mig/testkit/github/runner-protocol';
import { until } from '@mig/testkit/github/until';
import { createManualClock, type ManualClock } from '../../../common/src/manual-clock.contract.js';
import type { RunnerRegistrar } from '../commands/registrar.js';
import { vmRecord } from '../store/samples.contract.js';
import { createTestLog, type TestLog } from '../test-log.contract.js';
import { createGitHubRegistrar, type GitHubRegistrarOptions } from './github-registrar.js';

const MINUTE_MS = 60_000;
const TOKENS = ['first-secret', 'second-secret'];

let directory: string;
let tokenFile: string;
let clock: ManualClock;
let log: TestLog;
let github: StandInGitHub;
let registrar: RunnerRegistrar;

const create = (options: Partial<GitHubRegistrarOptions> = {}) =>
  createGitHubRegistrar(
    { clock, logger: log.logger },
    {
      apiUrl: github.url,
      webUrl: 'https://github.example',
      tokenFile,
      defaultOrg: '',
      poolOf: () => ({ labels: [], runnerGroup: '' }),
      ...options,
    },
  );

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'mig-registrar-'));
  tokenFile = path.join(directory, 'token');
  await writeFile(tokenFile, `${TOKENS[0]}\n`);
  clock = createManualClock();
  log = createTestLog();
  github = await createStandInGitHub({ tokens: TOKENS, clock });
  registrar = create();
});
afterEach(async () => {
  jest.restoreAllMocks();
  await github.close();
  await rm(directory, { recursive: true, force: true });
});

const requests = (route: string) => github.requests().filter((request) => request.route === route);

async function token(vmId = 'vm-1'): Promise<string> {
  const minted = await registrar.mint(vmRecord({ vmId }), {});
  if (minted.kind !== 'ok') throw new Error(minted.reason);
  return String(minted.value['registration_token']);
}

describe('a registration', () => {
  it('says where, as whom, and until when', async () => {
    expect(await registrar.mint(vmRecord({ bootId: '12345678-90ab' }), {})).toEqual({
      kind: 'ok',
      value: {
        runner_url: 'https://github.example/acme',
        runner_name: 'vm-1-12345678',
        labels: [],
        registration_token: expect.stringMatching(/^A[0-9A-F]{28}$/),
        expires_at: new Date(clock.now() + 60 * MINUTE_MS).toISOString(),
      },
    });
  });

  it('takes labels and group from the pool and the VM, unless the command names its own', async () => {
    registrar = create({ poolOf: (poolId) => ({ labels: [poolId], runnerGroup: 'large' }) });
    const vm = vmRecord({ labels: ['gpu'], bootId: '' });
    expect(await registrar.mint(vm, {})).toMatchObject({
      value: { labels: ['pool-a', 'gpu'], runner_group: 'large', runner_name: 'vm-1' },
    });
    const wanted = { labels: ['own'], runner_group: 'small', runner_name: 'n', runner_url: 'https://u' };
    expect(await registrar.mint(vm, wanted)).toMatchObject({ value: wanted });
  });

  it('has a runner name that GitHub takes (64 characters), and another for another boot', async () => {
    const names = [];
    for (const bootId of ['11111111', '22222222']) {
      const minted = await registrar.mint(vmRecord({ vmId: 'v'.repeat(63), bootId }), {});
      names.push(minted.kind === 'ok' ? String(minted.value['runner_name']) : '');
    }
    expect(names[0]).toHaveLength(64);
    expect(new Set(names).size).toBe(2);
  });

  it('of a VM that names no organization goes to the default one, and fails for good without one', async () => {
    expect(await registrar.mint(vmRecord({ orgId: '' }), {})).toMatchObject({
      kind: 'fatal',
      reason: expect.stringMatching(/^VM vm-1 names no organization: set org_id .* github\.org/),
    });
    expect(github.requests()).toEqual([]);
    registrar = create({ defaultOrg: 'acme' });
    expect(await registrar.mint(vmRecord({ orgId: '' }), {})).toMatchObject({
      value: { runner_url: 'https://github.example/acme' },
    });
  });
});

describe('the registration token', () => {
  it('is one for many VMs, also when they ask at once', async () => {
    const all = await Promise.all(Array.from({ length: 50 }, (_, n) => token(`vm-${n}`)));
    expect(new Set(all).size).toBe(1);
    expect(requests('registration-token')).toHaveLength(1);
  });

  it('is used until ten minutes before its end; then it is one new one for all', async () => {
    const first = await token();
    clock.advance(50 * MINUTE_MS - 1);
    expect(await token()).toBe(first);
    clock.advance(1);
    const second = await Promise.all(Array.from({ length: 10 }, () => token()));
    expect(new Set(second).size).toBe(1);
    expect(second[0]).not.toBe(first);
    expect(requests('registration-token')).toHaveLength(2);
  });

  it.each([500, 502, 503, 429, 403, 401, 404])(
    'is asked for again after GitHub answered %d, which is told',
    async (status) => {
      github.faults.failNext('registration-token', { status });
      expect(await registrar.mint(vmRecord(), {})).toMatchObject({
        kind: 'retryable',
        reason: expect.stringContaining(`GitHub answered ${status}`),
      });
      expect(await token()).toMatch(/^A/);
    },
  );

  it('is asked for again after GitHub broke the connection, or was not there', async () => {
    github.faults.failNext('registration-token', { status: 'no-answer' });
    expect(await registrar.mint(vmRecord(), {})).toMatchObject({ kind: 'retryable' });
    github.faults.setReachable(false);
    const away = await registrar.mint(vmRecord(), {});
    expect(away).toMatchObject({
      kind: 'retryable',
      reason: expect.stringContaining('GitHub was not reached'),
    });
    github.faults.setReachable(true);
    expect(await token()).toMatch(/^A/);
  });

  it('is given up on after 10 s without an answer, and asked for again', async () => {
    const patience = new AbortController();
    const timeout = jest.spyOn(AbortSignal, 'timeout').mockReturnValueOnce(patience.signal);
    const hold = github.faults.hold('registration-token');
    const minting = registrar.mint(vmRecord(), {});
    await until('GitHub has the request', () => hold.waiting() === 1);
    expect(timeout).toHaveBeenCalledWith(10_000);
    patience.abort(new DOMException('signal timed out', 'TimeoutError'));
    expect(await minting).toMatchObject({ kind: 'retryable' });
    hold.release();
    expect(await token()).toMatch(/^A/);
  });

  it('is asked for with what the file holds now, so that it can be rotated; without the file there is none', async () => {
    await rm(tokenFile);
    expect(await registrar.mint(vmRecord(), {})).toMatchObject({
      kind: 'retryable',
      reason: expect.stringContaining('ENOENT'),
    });
    await writeFile(tokenFile, 'wrong');
    expect(await registrar.mint(vmRecord(), {})).toMatchObject({ reason: expect.stringContaining('401') });
    await writeFile(tokenFile, `${TOKENS[1]}`);
    expect(await token()).toMatch(/^A/);
  });
});

async function register(name = 'vm-1'): Promise<void> {
  const response = await fetch(`${github.url}/orgs/acme/actions/runners/generate-jitconfig`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKENS[0]}`, accept: 'application/vnd.github+json' },
    body: JSON.stringify({ name, runner_group_id: 1, labels: ['self-hosted', 'gpu'] }),
  });
  expect(response.status).toBe(201);
}
const labels = () => github.runners()[0]?.labels.map((label) => label.name);

describe('a deregistration (I5: GitHub is the arbiter)', () => {
  const remove = (name = 'vm-1', beforeFence = async () => {}) =>
    registrar.remove(vmRecord(), name, beforeFence);
  const names = () => github.runners().map((runner) => runner.name);

  it('of an idle runner deletes it, and no other', async () => {
    await register('vm-10');
    await register('vm-1');
    expect(await remove()).toEqual({ outcome: 'deleted', message: 'runner vm-1 is deleted' });
    expect(names()).toEqual(['vm-10']);
  });

  it('of a runner that is gone, or never was, has nothing to do', async () => {
    expect(await remove()).toEqual({ outcome: 'deleted', message: 'GitHub has no runner vm-1' });
    expect((await remove('')).outcome).toBe('deleted');
    await register();
    github.faults.failNext('delete-runner', { status: 404 });
    expect((await remove()).outcome).toBe('deleted');
  });

  it('of a runner with a job is refused, and its labels are taken so that no other job asks for it', async () => {
    await register();
    github.faults.failNext('delete-runner', { status: 422 });
    const before: unknown[] = [];
    expect(await remove('vm-1', async () => void before.push(labels()))).toEqual({
      outcome: 'busy',
      message: 'GitHub refused to delete runner vm-1: a job runs on it',
    });
    expect(names()).toEqual(['vm-1']);
    expect(before).toEqual([['self-hosted', 'gpu']]);
    expect(labels()).toContain('mig-draining');
    expect(labels()).not.toContain('gpu');
  });

  it('of a runner that went while it was being fenced is done', async () => {
    await register();
    github.faults.failNext('delete-runner', { status: 422 });
    github.faults.failNext('set-labels', { status: 404 });
    expect((await remove()).outcome).toBe('deleted');
  });

  it.each([
    ['list-runners', 500],
    ['list-runners', 'no-answer'],
    ['delete-runner', 502],
    ['delete-runner', 403],
    ['delete-runner', 'no-answer'],
  ] as const)(
    'that could not be asked for (%s: %s) is told as that, never as deleted',
    async (route, status) => {
      await register();
      github.faults.failNext(route, { status });
      expect((await remove()).outcome).toBe('unavailable');
      expect(names()).toEqual(['vm-1']);
      expect(await remove()).toMatchObject({ outcome: 'deleted' });
    },
  );

  it('that GitHub hides for want of a right (404 of the list) is not a deletion', async () => {
    await register();
    github.faults.failNext('list-runners', { status: 404 });
    expect(await remove()).toMatchObject({ outcome: 'unavailable', message: expect.stringContaining('404') });
    expect(names()).toEqual(['vm-1']);
  });
});

describe('a runner that is kept from jobs, and let in again', () => {
  const DONE = { kind: 'ok', value: 'set' };
  const vm = (runnerLabels: string[]) =>
    vmRecord({
      labels: ['own'],
      runner: { state: 'idle', configured: true, name: 'vm-1', labels: runnerLabels },
    });
  const fence = () => registrar.setEligible(vm(['self-hosted', 'gpu']), 'vm-1', false);
  const free = (runnerLabels = ['self-hosted', 'gpu']) =>
    registrar.setEligible(vm(runnerLabels), 'vm-1', true);
  const puts = () => requests('set-labels').length;

  it('loses its labels, and gets those that it was registered with; what is so already is not done again', async () => {
    await register();
    expect(await fence()).toEqual(DONE);
    expect(labels()).toEqual(['mig-cordoned']);
    expect(await fence()).toEqual(DONE);
    expect(puts()).toBe(1);
    expect(await free()).toEqual(DONE);
    expect(labels()).toEqual(['self-hosted', 'gpu']);
    expect(await free(['GPU', 'self-hosted'])).toEqual(DONE);
    expect(puts()).toBe(2);
  });

  it('that says no labels gets those of its pool and of its VM', async () => {
    registrar = create({ poolOf: () => ({ labels: ['pool'], runnerGroup: '' }) });
    await register();
    await fence();
    expect(await free([])).toEqual(DONE);
    expect(labels()).toEqual(['pool', 'own']);
  });

  it('whose labels nobody knows is not left without any in silence', async () => {
    await register();
    expect(await registrar.setEligible(vmRecord(), 'vm-1', true)).toMatchObject({
      kind: 'fatal',
      reason: expect.stringContaining('the labels of runner vm-1 are not known') as unknown,
    });
    expect(puts()).toBe(0);
  });

  it('and is fenced by a drain already stays as it is', async () => {
    await register();
    github.faults.failNext('delete-runner', { status: 422 });
    await registrar.remove(vmRecord(), 'vm-1', async () => {});
    expect(await fence()).toEqual(DONE);
    expect(labels()).toEqual(['mig-draining']);
    await free();
    expect(labels()).toEqual(['self-hosted', 'gpu']);
  });

  it('with labels that cannot be taken keeps those, which is logged', async () => {
    const minted = await token();
    const response = await fetch(`${github.url}${RUNNER_SERVICE}/registrations`, {
      method: 'POST',
      headers: { authorization: `RemoteAuth ${minted}` },
      body: JSON.stringify({
        url: `${github.url}/acme`,
        name: 'vm-1',
        labels: ['gpu'],
        no_default_labels: false,
        runner_group: '',
        ephemeral: false,
        replace: false,
        os: 'Linux',
        arch: 'X64',
        version: '2.336.0',
      }),
    });
    expect(response.status).toBe(200);
    await fence();
    expect(labels()).toEqual(['self-hosted', 'Linux', 'X64', 'mig-cordoned']);
    expect(log.text()).toContain('labels that cannot be taken');
    expect(await free(['self-hosted', 'linux', 'x64', 'gpu'])).toEqual(DONE);
    expect(labels()).toEqual(['self-hosted', 'Linux', 'X64', 'gpu']);
  });

  it('that GitHub does not have, or that goes meanwhile, is said to be missing', async () => {
    expect(await fence()).toEqual({ kind: 'ok', value: 'noRunner' });
    await register();
    github.faults.failNext('set-labels', { status: 404 });
    expect(await fence()).toEqual({ kind: 'ok', value: 'noRunner' });
  });

  it.each([
    ['list-runners', 500],
    ['list-runners', 404],
    ['set-labels', 502],
    ['set-labels', 'no-answer'],
  ] as const)('may be tried again when GitHub could not be asked (%s: %s)', async (route, status) => {
    await register();
    github.faults.failNext(route, { status });
    expect(await fence()).toMatchObject({ kind: 'retryable' });
    expect(await fence()).toEqual(DONE);
  });

  it('is tried again not before the time that GitHub asks for', async () => {
    await register();
    github.faults.failNext('set-labels', { status: 429 });
    // The stand-in says `retry-after: 1`.
    expect(await fence()).toMatchObject({ kind: 'retryable', afterMs: 1_000 });
  });

  it('of a VM without an organization is told as that', async () => {
    expect(await registrar.setEligible(vmRecord({ orgId: '' }), 'vm-1', false)).toMatchObject({
      kind: 'fatal',
    });
  });
});

describe('secrets (I8, I9)', () => {
  it("neither the controller's own token nor the registration token enters a log line or a reason", async () => {
    const minted = await token();
    github.faults.failNext('list-runners', { status: 500 });
    const reasons = [await registrar.remove(vmRecord(), 'vm-1', async () => {})];
    await writeFile(tokenFile, 'wrong-secret');
    clock.advance(60 * MINUTE_MS);
    const refused = await registrar.mint(vmRecord(), {});
    const text = `${log.text()}${JSON.stringify([reasons, refused])}`;
    for (const secret of [...TOKENS, 'wrong-secret', minted]) expect(text).not.toContain(secret);
    expect(JSON.stringify(await registrar.mint(vmRecord(), {}))).not.toContain('secret');
  });
});
