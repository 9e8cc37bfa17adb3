/** Registration with a registration token, against the stand-in GitHub. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { rm, writeFile } from 'node:fs/promises';
import { until } from '@mig/testkit/github/until';
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

describe('a registration by token', () => {
  it('says where, as whom, and until when', async () => {
    expect(await registrar.mint(vmRecord({ bootId: '12345678-90ab' }), { replace: true })).toEqual({
      kind: 'ok',
      value: {
        runner_url: 'https://github.example/acme',
        runner_name: 'mig-k3x9f2-vm-1-12345678',
        labels: [],
        replace: true,
        registration_token: expect.stringMatching(/^A[0-9A-F]{28}$/),
        expires_at: new Date(test.clock.now() + 60 * MINUTE_MS).toISOString(),
      },
    });
  });

  it('takes labels and group from the pool and the VM, unless the command names its own', async () => {
    const vm = vmRecord({ poolId: 'large', labels: ['gpu', 'LARGE'], bootId: '' });
    expect(await registrar.mint(vm, {})).toMatchObject({
      value: { labels: ['large', 'gpu'], runner_group: 'big', runner_name: 'mig-k3x9f2-vm-1-00000000' },
    });
    const wanted = { labels: ['own'], runner_group: 'small', runner_name: 'n', runner_url: 'https://u' };
    expect(await registrar.mint(vm, wanted)).toMatchObject({ value: wanted });
  });

  it('is made where the pool says', async () => {
    expect(await registrar.mint(vmRecord({ poolId: 'shop' }), {})).toMatchObject({
      value: { runner_url: 'https://github.example/acme/shop' },
    });
    expect(requests('registration-token')[0]?.path).toBe(
      '/repos/acme/shop/actions/runners/registration-token',
    );
  });

  it('under a name that an operator chose leaves the runner of that name to whose it is: config.sh would replace it', async () => {
    const vm = vmRecord();
    test.vms.push(vm);
    const github = test.create({ github: { registration: 'jit' } });
    // By another, whose registration this controller knows nothing of.
    const other = { ...vm, vmId: 'vm-2' };
    expect(await github.registrar.mint(other, { runner_name: 'production' })).toMatchObject({ kind: 'ok' });
    expect(await registrar.mint(vm, { runner_name: 'production' })).toMatchObject({
      kind: 'fatal',
      reason: expect.stringContaining('choose another name') as unknown,
    });
    expect(requests('registration-token')).toEqual([]);
  });

  it('under a name that an operator chose is remembered as the name of a runner of the VM, and may be repeated', async () => {
    const vm = vmRecord();
    test.vms.push(vm);
    expect(await registrar.mint(vm, { runner_name: 'gpu-1' })).toMatchObject({ kind: 'ok' });
    expect(test.vms[0]?.runnerNames).toEqual(['gpu-1']);
    expect(test.github.isRunnerOf(vm, 'GPU-1')).toBe(true);
    expect(test.github.isRunnerOf({ vmId: 'vm-2' }, 'gpu-1')).toBe(false);
    // It has run there since.
    const jit = test.create({ github: { registration: 'jit' } });
    expect(await jit.registrar.mint({ ...vm, vmId: 'vm-9' }, { runner_name: 'gpu-1' })).toMatchObject({
      kind: 'ok',
    });
    expect(await registrar.mint(vm, { runner_name: 'gpu-1' })).toMatchObject({ kind: 'ok' });
    for (let n = 2; n <= 12; n += 1) await registrar.mint(vm, { runner_name: `gpu-${n}` });
    expect(test.vms[0]?.runnerNames).toHaveLength(10);
  });

  it('is what one gets who asks for a token, also where the default is another', async () => {
    const github = test.create({ github: { registration: 'jit' } });
    expect(await github.registrar.mintToken(vmRecord(), {})).toMatchObject({
      value: { registration_token: expect.stringMatching(/^A/) as unknown },
    });
    expect(requests('generate-jitconfig')).toEqual([]);
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
    test.clock.advance(50 * MINUTE_MS - 1);
    expect(await token()).toBe(first);
    test.clock.advance(1);
    const second = await Promise.all(Array.from({ length: 10 }, () => token()));
    expect(new Set(second).size).toBe(1);
    expect(second[0]).not.toBe(first);
    expect(requests('registration-token')).toHaveLength(2);
  });

  it.each([500, 502, 503, 429, 403, 401, 404])(
    'is asked for again after GitHub answered %d, which is told',
    async (status) => {
      test.standIn.faults.failNext('registration-token', { status, count: EVERY_TRY });
      expect(await registrar.mint(vmRecord(), {})).toMatchObject({
        kind: 'retryable',
        reason: expect.stringContaining(`GitHub answered ${status}`),
      });
      test.standIn.faults.clear();
      test.clock.advance(MINUTE_MS);
      expect(await token()).toMatch(/^A/);
    },
  );

  it('is asked for again after GitHub broke the connection, or was not there', async () => {
    test.standIn.faults.failNext('registration-token', { status: 'no-answer', count: EVERY_TRY });
    expect(await registrar.mint(vmRecord(), {})).toMatchObject({ kind: 'retryable' });
    test.standIn.faults.setReachable(false);
    const away = await registrar.mint(vmRecord(), {});
    expect(away).toMatchObject({
      kind: 'retryable',
      reason: expect.stringContaining('GitHub was not reached'),
    });
    test.standIn.faults.setReachable(true);
    expect(await token()).toMatch(/^A/);
  });

  it('is given up on after 10 s without an answer, three times, and asked for again', async () => {
    const hold = test.standIn.faults.hold('registration-token');
    const minting = registrar.mint(vmRecord(), {});
    for (let tried = 1; tried <= EVERY_TRY; tried += 1) {
      await until('GitHub has the request', () => hold.waiting() === tried);
      test.clock.advance(10_000);
    }
    expect(await minting).toMatchObject({
      kind: 'retryable',
      reason: expect.stringContaining('no answer within 10000 ms (github.request_timeout)'),
    });
    hold.release();
    expect(await token()).toMatch(/^A/);
  });

  it('is asked for with what the file holds now, so that it can be rotated; without the file there is none', async () => {
    await rm(test.tokenFile);
    expect(await registrar.mint(vmRecord(), {})).toMatchObject({
      kind: 'retryable',
      reason: expect.stringContaining('ENOENT'),
    });
    await writeFile(test.tokenFile, 'wrong');
    expect(await registrar.mint(vmRecord(), {})).toMatchObject({ reason: expect.stringContaining('401') });
    await writeFile(test.tokenFile, `${TOKENS[1]}`);
    expect(await token()).toMatch(/^A/);
  });
});
