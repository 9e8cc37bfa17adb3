/** Registration with a JIT configuration, against the stand-in GitHub. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Parameters } from '@mig/common/domain/command';
import type { VmRecord } from '@mig/common/domain/vm';
import { vmRecord } from '../../store/samples.contract.js';
import { createTestGitHub, TEST_TOKENS, type TestGitHub } from '../test-github.contract.js';
import type { Scope } from '../client/github-client.js';

const BOOT = '0123abcd-4567-4000-8000-000000000000';
const NAME = 'mig-k3x9f2-vm-1-0123abcd';
const ACME: Scope = { kind: 'org', org: 'acme' };

let test: TestGitHub;
beforeEach(async () => {
  test = await createTestGitHub({
    config: {
      pools: {
        'pool-a': {},
        gpu: { labels: ['gpu', 'Large'], runner_group: 'large' },
        lost: { runner_group: 'nowhere' },
        shop: { repository: 'acme/shop' },
        corp: { enterprise: 'corp' },
      },
    },
    standIn: { runnerGroups: ['large'], enterprise: 'corp' },
  });
});
afterEach(async () => {
  expect(test.standIn.violations()).toEqual([]);
  expect(test.standIn.jobsKilled()).toEqual([]);
  await test.dispose();
});

const vm = (fields: Partial<VmRecord> = {}): VmRecord =>
  vmRecord({ bootId: BOOT, state: 'registering.awaitingCommand', ...fields });
const mint = (wanted: Parameters = {}, of = vm()) => test.github.registrar.mint(of, wanted);
async function minted(wanted: Parameters = {}, of = vm()): Promise<Parameters> {
  const outcome = await mint(wanted, of);
  if (outcome.kind !== 'ok') throw new Error(outcome.reason);
  return outcome.value;
}
const names = () => test.standIn.runners().map((runner) => runner.name);

/** Somebody who is not this controller registers a runner. */
async function registerElsewhere(name: string): Promise<number> {
  const response = await fetch(`${test.standIn.apiUrl}/orgs/acme/actions/runners/generate-jitconfig`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TEST_TOKENS[0]}`, accept: 'application/vnd.github+json' },
    body: JSON.stringify({ name, runner_group_id: 1, labels: ['self-hosted'] }),
  });
  expect(response.status).toBe(201);
  return ((await response.json()) as { runner: { id: number } }).runner.id;
}

describe('a registration', () => {
  it('carries the configuration of a runner of the VM, and no token (I9)', async () => {
    const value = await minted();
    expect(value).toEqual({
      jit_config: expect.stringMatching(/^[A-Za-z0-9+/=]{200,}$/) as unknown,
      runner_name: NAME,
      runner_url: 'https://github.example/acme',
      labels: ['self-hosted', 'Linux', 'X64'],
    });
    const config = JSON.parse(Buffer.from(String(value['jit_config']), 'base64').toString()) as object;
    expect(Object.keys(config)).toEqual(['.runner', '.credentials', '.credentials_rsaparams']);
    expect(names()).toEqual([NAME]);
  });

  it.each([
    [{ os: 'linux', architecture: 'arm64' }, ['self-hosted', 'Linux', 'ARM64']],
    [{ os: 'osx', architecture: 'arm64' }, ['self-hosted', 'macOS', 'ARM64']],
    [{ os: 'win', architecture: 'x64' }, ['self-hosted', 'Windows', 'X64']],
  ] as const)('of a VM on %j without labels has those of its system', async (platform, labels) => {
    expect((await minted({}, vm({ platform })))['labels']).toEqual(labels);
    expect(test.standIn.runners()[0]?.labels.map(({ name }) => name)).toEqual(labels);
  });

  it('has exactly the labels of its pool and its VM, each once, and its group; the command may name others', async () => {
    const large = vm({ poolId: 'gpu', labels: ['large', 'blue'] });
    expect(await minted({}, large)).toMatchObject({
      labels: ['gpu', 'Large', 'blue'],
      runner_group: 'large',
    });
    expect(test.standIn.runners()[0]).toMatchObject({ runner_group_id: 2 });
    const wanted = { labels: ['own'], runner_group: 'Default', runner_name: 'chosen' };
    expect(await minted(wanted, large)).toMatchObject(wanted);
  });

  it('with more than 100 labels, or in a group that is not there, fails, and says what to change', async () => {
    const labels = Array.from({ length: 101 }, (_, n) => `l-${n}`);
    expect(await mint({}, vm({ labels }))).toMatchObject({
      kind: 'fatal',
      reason: expect.stringContaining('101 labels, and GitHub takes 100 at most') as unknown,
    });
    expect(await mint({}, vm({ poolId: 'lost' }))).toMatchObject({
      kind: 'retryable',
      afterMs: 60_000,
      reason: expect.stringMatching(
        /no runner group "nowhere" in orgs\/acme: create it at GitHub, or correct pools\.lost\.runner_group/,
      ) as unknown,
    });
    expect(names()).toEqual([]);
  });

  it('asks for the groups once for many VMs', async () => {
    await Promise.all(
      Array.from({ length: 10 }, (_, n) => minted({}, vm({ vmId: `vm-${n}`, poolId: 'gpu' }))),
    );
    expect(test.asked('list-runner-groups')).toBe(1);
    expect(test.asked('generate-jitconfig')).toBe(10);
  });

  it.each([
    ['shop', '/repos/acme/shop', 'https://github.example/acme/shop'],
    ['corp', '/enterprises/corp', 'https://github.example/enterprises/corp'],
  ])('of the pool %s is made at %s', async (poolId, path, url) => {
    expect(await minted({}, vm({ poolId }))).toMatchObject({ runner_url: url });
    const [request] = test.standIn.requests().filter(({ route }) => route === 'generate-jitconfig');
    expect(request?.path).toBe(`${path}/actions/runners/generate-jitconfig`);
  });

  it('elsewhere than where the runners of the VM are is refused: nobody would find it again', async () => {
    expect(await mint({ runner_url: 'https://github.example/other' })).toMatchObject({
      kind: 'fatal',
      reason: expect.stringContaining('leave runner_url out') as unknown,
    });
  });

  it('of a VM that names no organization goes to the default one, and fails for good without one', async () => {
    expect(await mint({}, vm({ orgId: '' }))).toMatchObject({
      kind: 'fatal',
      reason: expect.stringMatching(/^VM vm-1 names no organization: set org_id .* github\.org/) as unknown,
    });
    expect(test.standIn.requests()).toEqual([]);
    const github = test.create({ github: { org: 'acme' } });
    expect(await github.registrar.mint(vm({ orgId: '' }), {})).toMatchObject({ kind: 'ok' });
  });
});

describe('a name that GitHub has already (409)', () => {
  it('of a runner of this VM that was never used gives it up, and takes the next', async () => {
    await minted();
    expect(await minted()).toMatchObject({ runner_name: `${NAME}-2` });
    expect(names()).toEqual([`${NAME}-2`]);
  });

  it('of a runner on which a job runs leaves that alone, and takes the next (I5)', async () => {
    await minted();
    test.standIn.faults.failNext('delete-runner', { status: 422 });
    expect(await minted()).toMatchObject({ runner_name: `${NAME}-2` });
    expect(names()).toEqual([NAME, `${NAME}-2`]);
  });

  it('because the answer to the first try was lost is found out, and that runner is given up', async () => {
    test.standIn.faults.failNext('generate-jitconfig', { status: 502, afterEffect: true });
    expect(await minted()).toMatchObject({ runner_name: `${NAME}-2` });
    expect(names()).toEqual([`${NAME}-2`]);
    test.standIn.faults.failNext('generate-jitconfig', { status: 'no-answer', afterEffect: true });
    const other = vm({ vmId: 'vm-2' });
    expect(await minted({}, other)).toMatchObject({ runner_name: 'mig-k3x9f2-vm-2-0123abcd-2' });
  });

  it('is tried under nine names at most, and again later', async () => {
    for (let n = 0; n < 9; n += 1) {
      test.standIn.faults.failNext('delete-runner', { status: 422, count: 20 });
      await minted();
    }
    const asked = test.asked('generate-jitconfig');
    expect(await mint()).toMatchObject({ kind: 'retryable', afterMs: 60_000 });
    expect(test.asked('generate-jitconfig') - asked).toBe(9);
    expect(names()).toHaveLength(9);
  });

  it('and that was chosen by an operator is left to whose it is', async () => {
    await registerElsewhere('production');
    expect(await mint({ runner_name: 'production' })).toMatchObject({
      kind: 'fatal',
      reason: expect.stringContaining('choose another name') as unknown,
    });
    expect(test.asked('delete-runner')).toBe(0);
    expect(names()).toEqual(['production']);
  });

  it('and that was given to this VM by an operator is made free for it again', async () => {
    test.vms.push(vm());
    expect(await minted({ runner_name: 'gpu-1' })).toMatchObject({ runner_name: 'gpu-1' });
    expect(await mint({ runner_name: 'gpu-1' })).toMatchObject({ kind: 'retryable' });
    expect(await minted({ runner_name: 'gpu-1' })).toMatchObject({ runner_name: 'gpu-1' });
  });

  it('is never that of another VM, whatever the VMs are called', async () => {
    const boots = ['', BOOT, 'ffffffff'];
    const ids = ['vm', 'vm-1', 'vm-1-0123abcd', 'vm-1-2', 'v'.repeat(63), `${'v'.repeat(62)}w`];
    const all = ids.flatMap((vmId) => boots.map((bootId) => vm({ vmId, bootId })));
    for (const of of all) await minted({}, of);
    expect(test.asked('delete-runner')).toBe(0);
    expect(new Set(names()).size).toBe(all.length);
    for (const name of names()) expect(name.length).toBeLessThanOrEqual(64);
  });
});

describe('a VM that has its runner', () => {
  const ready = vm({
    state: 'ready.idle',
    runner: { state: 'idle', configured: true, name: NAME, labels: ['self-hosted'] },
  });

  it('keeps it: nothing is asked of GitHub unless it is to be replaced', async () => {
    await minted();
    expect(await mint({}, ready)).toMatchObject({
      kind: 'fatal',
      reason: expect.stringContaining(`VM vm-1 has its runner ${NAME}, and keeps it`) as unknown,
    });
    expect(names()).toEqual([NAME]);
    expect(await minted({ replace: true }, ready)).toMatchObject({
      runner_name: `${NAME}-2`,
      replace: true,
    });
    // The VM has the old one deleted itself, before it starts the new one.
    expect(names()).toEqual([NAME, `${NAME}-2`]);
  });
});

describe('GitHub that cannot be asked', () => {
  it.each([500, 502, 503, 429, 403, 401, 404])(
    '(%d) is told, and the registration is tried again',
    async (status) => {
      test.standIn.faults.failNext('generate-jitconfig', { status, count: 3 });
      expect(await mint()).toMatchObject({
        kind: 'retryable',
        reason: expect.stringContaining(`GitHub answered ${status}`) as unknown,
      });
      test.standIn.faults.clear();
      test.clock.advance(60_000);
      expect((await mint()).kind).toBe('ok');
    },
  );

  it('because it asks for patience is not asked again before', async () => {
    test.standIn.rateLimit.tripSecondary(90_000);
    expect(await mint()).toMatchObject({ kind: 'retryable', afterMs: 90_000 });
    const asked = test.asked('generate-jitconfig');
    test.clock.advance(89_999);
    expect(await mint()).toMatchObject({ kind: 'retryable' });
    expect(test.asked('generate-jitconfig')).toBe(asked);
    test.clock.advance(1);
    expect((await mint()).kind).toBe('ok');
  });

  it('that finds the request itself wrong (422) ends it', async () => {
    test.standIn.faults.failNext('generate-jitconfig', { status: 422 });
    expect(await mint()).toMatchObject({ kind: 'fatal' });
  });

  it('and something else answers in its place: that is no configuration', async () => {
    await test.dispose();
    test = await createTestGitHub({ fetch: async () => new Response('<html>', { status: 201 }) });
    expect(await mint()).toMatchObject({
      kind: 'retryable',
      reason: expect.stringContaining("is not one of GitHub's") as unknown,
    });
  });
});

describe('secrets (I8)', () => {
  it('are in no log line, no reason and no status', async () => {
    const config = String((await minted())['jit_config']);
    test.standIn.faults.failNext('delete-runner', { status: 500, count: 3 });
    const said = [await mint(), test.github.client.status(), await test.github.runners.list(ACME, 'listing')];
    const text = `${test.log.text()}${JSON.stringify(said)}`;
    for (const secret of [...TEST_TOKENS, config]) expect(text).not.toContain(secret);
  });
});
