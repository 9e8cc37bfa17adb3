/** Against the stand-in GitHub, over HTTP. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createStandInGitHub, type StandInGitHub } from '@mig/testkit/github/stand-in-github';
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

describe('a deregistration (I5: GitHub is the arbiter)', () => {
  const remove = (name = 'vm-1') => registrar.remove(vmRecord(), name);
  const names = () => github.runners().map((runner) => runner.name);
  const labels = () => github.runners()[0]?.labels.map((label) => label.name);

  async function register(name = 'vm-1'): Promise<void> {
    const response = await fetch(`${github.url}/orgs/acme/actions/runners/generate-jitconfig`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKENS[0]}`, accept: 'application/vnd.github+json' },
      body: JSON.stringify({ name, runner_group_id: 1, labels: ['self-hosted', 'gpu'] }),
    });
    expect(response.status).toBe(201);
  }

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
    expect(await remove()).toEqual({
      outcome: 'busy',
      message: 'GitHub refused to delete runner vm-1: a job runs on it',
    });
    expect(names()).toEqual(['vm-1']);
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

describe('secrets (I8, I9)', () => {
  it("neither the controller's own token nor the registration token enters a log line or a reason", async () => {
    const minted = await token();
    github.faults.failNext('list-runners', { status: 500 });
    const reasons = [await registrar.remove(vmRecord(), 'vm-1')];
    await writeFile(tokenFile, 'wrong-secret');
    clock.advance(60 * MINUTE_MS);
    const refused = await registrar.mint(vmRecord(), {});
    const text = `${log.text()}${JSON.stringify([reasons, refused])}`;
    for (const secret of [...TOKENS, 'wrong-secret', minted]) expect(text).not.toContain(secret);
    expect(JSON.stringify(await registrar.mint(vmRecord(), {}))).not.toContain('secret');
  });
});
