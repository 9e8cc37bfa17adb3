/** Deleting and fencing runners, against the stand-in GitHub. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { writeFile } from 'node:fs/promises';
import { RUNNER_SERVICE } from '@mig/testkit/github/runner-protocol';
import type { RouteName } from '@mig/testkit/github/exchange';
import { vmRecord } from '../../store/samples.contract.js';
import { createTestGitHub, TEST_TOKENS as TOKENS, type TestGitHub } from '../test-github.contract.js';

const MINUTE_MS = 60_000;
/** The first try and both retries. */
const EVERY_TRY = 3;

let test: TestGitHub;
let registrar: TestGitHub['github']['registrar'];

beforeEach(async () => {
  test = await createTestGitHub({
    config: {
      github: { registration: 'token' },
      pools: {
        'pool-a': {},
        large: { labels: ['large'], runner_group: 'big' },
        shop: { repository: 'acme/shop' },
      },
    },
  });
  ({ registrar } = test.github);
});
afterEach(async () => {
  expect(test.standIn.violations()).toEqual([]);
  await test.dispose();
});

const requests = (route: RouteName) => test.standIn.requests().filter((request) => request.route === route);

async function token(vmId = 'vm-1'): Promise<string> {
  const minted = await registrar.mint(vmRecord({ vmId }), {});
  if (minted.kind !== 'ok') throw new Error(minted.reason);
  return String(minted.value['registration_token']);
}

async function register(name = 'vm-1'): Promise<void> {
  const response = await fetch(`${test.standIn.apiUrl}/orgs/acme/actions/runners/generate-jitconfig`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKENS[0]}`, accept: 'application/vnd.github+json' },
    body: JSON.stringify({ name, runner_group_id: 1, labels: ['self-hosted', 'gpu'] }),
  });
  expect(response.status).toBe(201);
}
const labels = () => test.standIn.runners()[0]?.labels.map((label) => label.name);

describe('a deregistration (I5: GitHub is the arbiter)', () => {
  const remove = (name = 'vm-1', beforeFence = async () => {}) =>
    registrar.remove(vmRecord(), name, beforeFence);
  const names = () => test.standIn.runners().map((runner) => runner.name);

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
    test.standIn.faults.failNext('delete-runner', { status: 404 });
    expect((await remove()).outcome).toBe('deleted');
  });

  it('waits when little of the limit is left, but not if its VM registers anew, or has no runner process any more', async () => {
    const drained = vmRecord({ state: 'draining.deregistering' });
    const idle = { state: 'idle', configured: true, name: 'vm-1', labels: [] } as const;
    await register();
    test.standIn.rateLimit.setRemaining(200);
    await remove('nobody'); // GitHub says what is left
    expect(await registrar.remove({ ...drained, runner: idle }, 'vm-1', async () => {})).toMatchObject({
      outcome: 'unavailable',
      message: expect.stringMatching(/kept for what matters more than deletion/),
    });
    expect(names()).toEqual(['vm-1']);
    const ended = { ...drained, runner: { ...idle, state: 'offline' as const } };
    expect(await registrar.remove(ended, 'vm-1', async () => {})).toMatchObject({ outcome: 'deleted' });
    await register();
    const clearing = vmRecord({ state: 'registering.clearing.deregistering', runner: idle });
    expect(await registrar.remove(clearing, 'vm-1', async () => {})).toMatchObject({ outcome: 'deleted' });
    expect(names()).toEqual([]);
  });

  it('of a runner with a job is refused, and its labels are taken so that no other job asks for it', async () => {
    await register();
    test.standIn.faults.failNext('delete-runner', { status: 422 });
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
    test.standIn.faults.failNext('delete-runner', { status: 422 });
    test.standIn.faults.failNext('set-labels', { status: 404 });
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
      test.standIn.faults.failNext(route, { status, count: EVERY_TRY });
      expect((await remove()).outcome).toBe('unavailable');
      test.standIn.faults.clear();
      expect(names()).toEqual(['vm-1']);
      expect(await remove()).toMatchObject({ outcome: 'deleted' });
    },
  );

  it('that GitHub hides for want of a right (404 of the list) is not a deletion', async () => {
    await register();
    test.standIn.faults.failNext('list-runners', { status: 404 });
    expect(await remove()).toMatchObject({ outcome: 'unavailable', message: expect.stringContaining('404') });
    expect(names()).toEqual(['vm-1']);
  });
});

describe('a deregistration of a runner with a JIT configuration', () => {
  const vm = vmRecord({ state: 'registering.awaitingCommand', bootId: '12345678' });
  const name = 'mig-k3x9f2-vm-1-12345678';
  const start = async () => {
    const github = test.create({ github: { registration: 'jit' } });
    expect(await github.registrar.mint(vm, {})).toMatchObject({ value: { runner_name: name } });
    return github.registrar;
  };

  it('needs no look-up: its number is known from its registration, till it is gone', async () => {
    const jit = await start();
    expect(await jit.remove(vm, name, async () => {})).toMatchObject({ outcome: 'deleted' });
    expect(requests('list-runners')).toHaveLength(0);
    expect(test.standIn.runners()).toEqual([]);
    expect(await jit.remove(vm, name, async () => {})).toEqual({
      outcome: 'deleted',
      message: `GitHub has no runner ${name}`,
    });
  });

  it('that GitHub hides for want of a right (404 of everything) is not a deletion', async () => {
    const jit = await start();
    test.standIn.faults.failNext('delete-runner', { status: 404 });
    test.standIn.faults.failNext('list-runners', { status: 404 });
    const answer = await jit.remove(vm, name, async () => {});
    expect(answer).toMatchObject({ outcome: 'unavailable', message: expect.stringContaining('404') });
    expect(await jit.remove(vm, name, async () => {})).toMatchObject({ outcome: 'deleted' });
    expect(test.standIn.runners()).toEqual([]);
  });

  it('of a runner that GitHub has removed already is done', async () => {
    const jit = await start();
    await test.github.runners.remove(
      { kind: 'org', org: 'acme' },
      test.standIn.runners()[0]?.id ?? 0,
      'deletion',
    );
    expect(await jit.remove(vm, name, async () => {})).toMatchObject({ outcome: 'deleted' });
  });

  it('is found by its name by the next controller', async () => {
    await start();
    const next = test.create({ github: { registration: 'jit' } }).registrar;
    expect(await next.remove(vm, name, async () => {})).toMatchObject({ outcome: 'deleted' });
    expect(requests('list-runners')).toHaveLength(1);
    expect(test.standIn.runners()).toEqual([]);
  });

  it('on which a job runs is refused, and keeps its labels: it takes no other job (I5)', async () => {
    const jit = await start();
    test.standIn.faults.failNext('delete-runner', { status: 422 });
    const before = labels();
    let isFenced = false;
    const answer = await jit.remove(vm, name, async () => void (isFenced = true));
    expect(answer).toMatchObject({ outcome: 'busy' });
    expect(labels()).toEqual(before);
    expect(isFenced).toBe(false);
    expect(await jit.remove(vm, name, async () => {})).toMatchObject({ outcome: 'deleted' });
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
    await register();
    await fence();
    const silent = { ...vm([]), poolId: 'large' };
    expect(await registrar.setEligible(silent, 'vm-1', true)).toEqual(DONE);
    expect(labels()).toEqual(['large', 'own']);
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
    test.standIn.faults.failNext('delete-runner', { status: 422 });
    await registrar.remove(vmRecord(), 'vm-1', async () => {});
    expect(await fence()).toEqual(DONE);
    expect(labels()).toEqual(['mig-draining']);
    await free();
    expect(labels()).toEqual(['self-hosted', 'gpu']);
  });

  it('with labels that cannot be taken keeps those, which is logged', async () => {
    const minted = await token();
    const response = await fetch(`${test.standIn.url}${RUNNER_SERVICE}/registrations`, {
      method: 'POST',
      headers: { authorization: `RemoteAuth ${minted}` },
      body: JSON.stringify({
        url: test.standIn.organizationUrl,
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
    expect(test.log.text()).toContain('labels that cannot be taken');
    expect(await free(['self-hosted', 'linux', 'x64', 'gpu'])).toEqual(DONE);
    expect(labels()).toEqual(['self-hosted', 'Linux', 'X64', 'gpu']);
  });

  it('that GitHub does not have, or that goes meanwhile, is said to be missing', async () => {
    expect(await fence()).toEqual({ kind: 'ok', value: 'noRunner' });
    await register();
    test.standIn.faults.failNext('set-labels', { status: 404 });
    expect(await fence()).toEqual({ kind: 'ok', value: 'noRunner' });
  });

  it.each([
    ['list-runners', 500],
    ['list-runners', 404],
    ['set-labels', 502],
    ['set-labels', 'no-answer'],
  ] as const)('may be tried again when GitHub could not be asked (%s: %s)', async (route, status) => {
    await register();
    test.standIn.faults.failNext(route, { status, count: EVERY_TRY });
    expect(await fence()).toMatchObject({ kind: 'retryable' });
    test.standIn.faults.clear();
    expect(await fence()).toEqual(DONE);
  });

  it('is tried again not before the time that GitHub asks for', async () => {
    await register();
    test.standIn.faults.failNext('set-labels', { status: 429 });
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
    test.standIn.faults.failNext('list-runners', { status: 500, count: EVERY_TRY });
    const reasons = [await registrar.remove(vmRecord(), 'vm-1', async () => {})];
    await writeFile(test.tokenFile, 'wrong-secret');
    test.clock.advance(60 * MINUTE_MS);
    const refused = await registrar.mint(vmRecord(), {});
    const text = `${test.log.text()}${JSON.stringify([reasons, refused])}`;
    for (const secret of [...TOKENS, 'wrong-secret', minted]) expect(text).not.toContain(secret);
    expect(JSON.stringify(await registrar.mint(vmRecord(), {}))).not.toContain('secret');
  });
});
