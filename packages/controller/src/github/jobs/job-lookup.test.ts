/** Jobs whose webhooks are not even on GitHub's list, against the stand-in GitHub. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { VmRecord } from '@mig/common/domain/vm';
import { GitHubCallError } from '../client/github-client.js';
import { vmRecord } from '../../store/samples.contract.js';
import { startTestWebhooks, type TestWebhooks } from '../webhooks/test-webhooks.contract.js';
import { payloadOf } from '../webhooks/test-webhook.contract.js';
import { toNews } from '../webhooks/workflow-job-payload.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

let test: TestWebhooks;
beforeEach(async () => {
  test = await startTestWebhooks();
});
afterEach(() => test.dispose());

const lookups = () => test.github.requests().filter(({ route }) => route === 'get-job');
const status = () => test.webhooks.status().lookup;
const job = (id: number) => test.webhooks.jobs.get(String(id));

/** GitHub says of a job that it has made what it does not say of itself: that it runs. */
async function tellRunning(id: number, runnerName: string): Promise<void> {
  const fields = { id, run_attempt: 1, status: 'in_progress', conclusion: null, completed_at: null };
  const payload = payloadOf({ ...fields, runner_name: runnerName });
  const repository = { full_name: 'acme/app', owner: { login: 'acme' } };
  const news = toNews({ ...payload, repository }, `guid-${id}`, test.clock.now());
  if (news.kind !== 'news') throw new Error('the payload is wrong');
  await test.webhooks.jobs.take(news.news);
}

const aVm = (fields: Partial<VmRecord> = {}): VmRecord => {
  const vm = vmRecord({ bootId: '0f3c9a1e-1', ...fields });
  test.fleet.set(vm.vmId, vm);
  return vm;
};
const running = {
  jobId: '1',
  runId: '',
  name: 'build',
  repository: '',
  branch: '',
  commit: '',
  status: 'running',
  startedAt: 0,
} as const;

describe('a queued job that nothing is heard of', () => {
  it('when it was cancelled and nobody told, then it is asked for after 10 minutes, and ends as GitHub has it', async () => {
    const { id, run_id } = test.github.queueJob();
    await test.github.webhooks.settled();
    test.github.webhooks.faults.loseNext({ recorded: false });
    await test.client.call({ kind: 'org', org: 'acme' }, 'registration', (octokit) =>
      octokit.rest.actions.cancelWorkflowRun({ owner: 'acme', repo: 'app', run_id }),
    );
    await test.pass(9 * MINUTE_MS);
    expect(job(id)).toMatchObject({ status: 'queued' });
    await test.pass(2 * MINUTE_MS);
    expect(lookups()).toHaveLength(1);
    expect(job(id)).toMatchObject({ status: 'completed', conclusion: 'cancelled' });
    expect(status()).toMatchObject({ asked: 1, corrected: 1, problem: undefined });
    await test.pass(HOUR_MS);
    expect(lookups()).toHaveLength(1);
    expect(test.github.violations()).toEqual([]);
  });

  it('when GitHub says that it still waits, then it is asked for again every 10 minutes', async () => {
    test.github.queueJob();
    await test.github.webhooks.settled();
    await test.pass(32 * MINUTE_MS);
    expect(lookups()).toHaveLength(3);
    expect(status()).toMatchObject({ asked: 3, corrected: 0, problem: undefined });
    expect(test.client.calls.filter((each) => each !== 'listing')).toEqual([]);
  });

  it('when there are very many, then ten are asked for in a minute, and each has its turn', async () => {
    for (let n = 0; n < 35; n += 1) test.github.queueJob();
    await test.github.webhooks.settled();
    await test.pass(11 * MINUTE_MS);
    expect(lookups().length).toBeGreaterThanOrEqual(10);
    await test.pass(4 * MINUTE_MS);
    expect(new Set(lookups().map(({ path }) => path)).size).toBe(35);
    const perMinute = new Map<number, number>();
    for (const { at } of lookups()) perMinute.set(at, (perMinute.get(at) ?? 0) + 1);
    expect(Math.max(...perMinute.values())).toBe(10);
  });

  it('when there are very many, then one that should run on a VM of ours is asked for before them', async () => {
    for (let n = 0; n < 60; n += 1) test.github.queueJob();
    const { id } = test.github.queueJob({ environment: 'production' });
    await test.github.webhooks.settled();
    await test.pass(8 * MINUTE_MS);
    await tellRunning(id, test.ownership.runnerName(aVm()));
    await test.pass(6 * MINUTE_MS);
    expect(new Set(lookups().map(({ path }) => path)).size).toBeLessThan(60);
    expect(lookups().some(({ path }) => path.endsWith(`/${id}`))).toBe(true);
  });
});

describe('a job that runs', () => {
  it('when its VM runs a job, then it is not asked for; when the VM has none any more, then after 2 minutes, and it ends', async () => {
    const { id } = test.github.queueJob({ environment: 'production' });
    await test.github.webhooks.settled();
    const vm = aVm({ state: 'ready.busy', currentJob: running });
    await tellRunning(id, test.ownership.runnerName(vm));
    expect(test.webhooks.vms.vmOf(job(id) ?? { runnerName: undefined })).toBe('vm-1');
    await test.pass(3 * HOUR_MS);
    expect(lookups()).toEqual([]);
    test.fleet.set(vm.vmId, { ...vm, currentJob: undefined });
    await test.pass(2 * MINUTE_MS);
    expect(lookups()).toHaveLength(1);
    // GitHub's answer is behind what the webhook said: nothing goes back.
    expect(job(id)).toMatchObject({ status: 'in_progress' });
  });

  it('when another boot of the VM has a job, or the VM is forgotten, then it is asked for; elsewhere only after an hour', async () => {
    const ids = [1, 2, 3].map(() => test.github.queueJob({ environment: 'production' }).id);
    await test.github.webhooks.settled();
    const vm = aVm({ currentJob: running });
    await tellRunning(ids[0] ?? 0, test.ownership.runnerName({ ...vm, bootId: 'ffffffff' }));
    await tellRunning(ids[1] ?? 0, test.ownership.runnerName({ ...vm, vmId: 'vm-gone' }));
    await tellRunning(ids[2] ?? 0, 'GitHub Actions 5');
    await test.pass(7 * MINUTE_MS);
    expect(
      lookups()
        .map(({ path }) => path.split('/').at(-1))
        .sort(),
    ).toEqual(['1', '2']);
    await test.pass(HOUR_MS);
    expect(lookups().some(({ path }) => path.endsWith('/3'))).toBe(true);
  });
});

describe('a job that GitHub does not show (404)', () => {
  it('when GitHub has shown another of its repository, then it ends as unknown; when the end is told later, that counts', async () => {
    const [first, second] = [test.github.queueJob(), test.github.queueJob()];
    await test.github.webhooks.settled();
    await tellRunning(999, 'GitHub Actions 5');
    await test.pass(HOUR_MS + 2 * MINUTE_MS);
    expect(job(999)).toMatchObject({ status: 'completed', conclusion: 'unknown' });
    expect([first, second].map(({ id }) => job(id)?.status)).toEqual(['queued', 'queued']);
    expect(status()).toMatchObject({ closed: 1 });
    const told = toNews(payloadOf({ id: 999, status: 'completed', conclusion: 'failure' }), 'late', 1);
    if (told.kind === 'news') await test.webhooks.jobs.take(told.news);
    expect(job(999)?.conclusion).toBe('failure');
  });

  it('when GitHub has shown nothing of its repository, then it stays open for a day, with the problem shown', async () => {
    await tellRunning(999, 'GitHub Actions 5');
    await test.pass(HOUR_MS + 2 * MINUTE_MS);
    expect(job(999)?.status).toBe('in_progress');
    expect(test.log.text()).not.toContain('job_gone');
    test.clock.advance(23 * HOUR_MS);
    await test.pass(12 * MINUTE_MS);
    expect(job(999)).toMatchObject({ status: 'completed', conclusion: 'unknown' });
  });
});

describe('a GitHub that cannot be asked', () => {
  it('when it is out of budget, then the others of the round are left for later', async () => {
    for (let n = 0; n < 5; n += 1) test.github.queueJob();
    await test.github.webhooks.settled();
    await test.pass(10 * MINUTE_MS - 5_000);
    test.client.failure = new GitHubCallError('budget', 'the rest is kept', undefined, 60_000);
    const before = test.client.calls.length;
    await test.pass(10_000);
    expect(status()).toMatchObject({ asked: 1, problem: 'the rest is kept' });
    expect(test.client.calls.length - before).toBeLessThanOrEqual(2);
    test.client.failure = undefined;
    await test.pass(2 * MINUTE_MS);
    expect(status()).toMatchObject({ asked: 5, problem: undefined });
  });
});
