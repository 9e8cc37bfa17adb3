/** How runners come and go: busy and what DELETE makes of it, the end of ephemeral ones, what GitHub removes by itself. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createManualClock, type ManualClock } from '../../../common/src/manual-clock.contract.js';
import type { RunnerResource } from './runner-resource.js';
import { createStandInGitHub, type StandInGitHub, type StandInGitHubOptions } from './stand-in-github.js';
import { createTestCall } from './test-client.contract.js';
import { registerRunner, SUCCESS, toJitRunner } from './test-runner.contract.js';
import { until } from './until.js';

const RUNNERS = '/orgs/acme/actions/runners';
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

let github: StandInGitHub;
let clock: ManualClock;
const removed: string[] = [];
const call = createTestCall(() => github);

async function start(options: Partial<StandInGitHubOptions> = {}): Promise<void> {
  removed.length = 0;
  clock = createManualClock();
  github = await createStandInGitHub({
    tokens: ['secret'],
    clock,
    enterprise: 'big',
    sessionTimeoutMs: 100 * DAY_MS,
    onEvent: (event) => {
      if (event.event === 'runner_removed') removed.push(`${event.runner_name}: ${event.reason}`);
    },
    ...options,
  });
}
beforeEach(() => start());
afterEach(() => github.close());

async function jit(name: string, prefix = '/orgs/acme') {
  const body = { name, runner_group_id: 1, labels: ['self-hosted'] };
  const reply = await call<{ runner: RunnerResource; encoded_jit_config: string }>(
    'POST',
    `${prefix}/actions/runners/generate-jitconfig`,
    body,
  );
  const { runner, encoded_jit_config: encoded } = reply.json;
  return {
    status: reply.status,
    id: runner?.id,
    ...(reply.status === 201 && toJitRunner(github.url, encoded)),
  };
}

/** A runner with a JIT configuration that was handed a job. */
async function busyRunner(name = 'vm-1') {
  const runner = (await jit(name)) as Required<Awaited<ReturnType<typeof jit>>>;
  const session = await runner.openSession();
  const job = github.queueJob();
  expect(await runner.poll(session)).toBe(job.id);
  return { runner, session, job };
}

const remove = async (id: number) => (await call('DELETE', `${RUNNERS}/${id}`)).status;
const names = () => github.runners().map(({ name }) => name);

describe('DELETE of a runner', () => {
  it('is refused from the moment that a job is handed over, whatever the flag says', async () => {
    github.faults.setBusyLagMs(MINUTE_MS);
    const { runner } = await busyRunner();
    expect((await call<RunnerResource>('GET', `${RUNNERS}/${runner.id}`)).json.busy).toBe(false);
    expect(await remove(runner.id)).toBe(422);
    clock.advance(MINUTE_MS);
    expect((await call<RunnerResource>('GET', `${RUNNERS}/${runner.id}`)).json.busy).toBe(true);
  });

  it('that does not see the job yet takes the runner, and the job goes back to the queue: none is killed', async () => {
    github.faults.setDeleteLag({ handOverMs: 1_000 });
    const { runner, job } = await busyRunner();
    expect(await remove(runner.id)).toBe(204);
    expect(await runner.job(job.id, 'acquire')).toBe(404);
    expect(github.jobs()).toMatchObject([{ status: 'queued', runner_name: null }]);
  });

  it('sees a job that was acquired, and any job when the lag is over', async () => {
    github.faults.setDeleteLag({ handOverMs: 1_000 });
    const first = await busyRunner('vm-1');
    await first.runner.job(first.job.id, 'acquire');
    expect(await remove(first.runner.id)).toBe(422);
    const second = await busyRunner('vm-2');
    clock.advance(1_000);
    expect(await remove(second.runner.id)).toBe(422);
  });

  it('is refused for a while after a job ended, if GitHub has not noticed', async () => {
    github.faults.setDeleteLag({ jobEndMs: 5_000 });
    const runner = await registerRunner(github, github.issueToken('registration'));
    expect(await remove(runner.id)).toBe(204); // it had no job yet
    const other = await registerRunner(github, github.issueToken('registration'));
    const session = await other.openSession();
    const { id } = github.queueJob();
    await other.poll(session);
    await other.job(id, 'acquire');
    await other.job(id, 'complete', SUCCESS);
    expect(await remove(other.id)).toBe(422);
    clock.advance(5_000);
    expect(await remove(other.id)).toBe(204);
  });
});

describe('an ephemeral runner', () => {
  it('is gone with its job, and its name is free', async () => {
    const { runner, job } = await busyRunner();
    await runner.job(job.id, 'acquire');
    await runner.job(job.id, 'complete', SUCCESS);
    expect(removed).toEqual(['vm-1: job_done']);
    expect((await jit('vm-1')).status).toBe(201);
  });

  it('that GitHub is slow to remove takes no other job, and keeps its name until then', async () => {
    github.faults.setRemovalLagMs(3_000);
    const { runner, job, session } = await busyRunner();
    await runner.job(job.id, 'acquire');
    const hold = github.faults.hold('poll');
    const polled = runner.poll(session); // runners go on polling while they have a job
    await until('it polls', () => hold.waiting() === 1);
    hold.release();
    await runner.job(job.id, 'complete', SUCCESS);
    expect(github.runners()).toMatchObject([{ name: 'vm-1', status: 'offline', busy: false }]);
    expect(await runner.poll(session)).toEqual({ refused: 404 });
    expect((await jit('vm-1')).status).toBe(409);
    github.queueJob();
    expect(github.jobs().at(-1)?.status).toBe('queued');
    clock.advance(3_000);
    expect(names()).toEqual([]);
    expect((await jit('vm-1')).status).toBe(201);
    clock.advance(20_000);
    expect(await polled).toBeUndefined();
  });

  it('that never connects is removed after a day, and another kind after 14 days', async () => {
    await jit('vm-1');
    await registerRunner(github, github.issueToken('registration'), { name: 'vm-2' });
    clock.advance(DAY_MS - 1);
    expect(removed).toEqual([]);
    clock.advance(1);
    expect(removed).toEqual(['vm-1: never_connected']);
    clock.advance(13 * DAY_MS);
    expect(removed).toEqual(['vm-1: never_connected', 'vm-2: never_connected']);
  });

  it('that went away is removed a day later', async () => {
    const runner = (await jit('vm-1')) as Required<Awaited<ReturnType<typeof jit>>>;
    const session = await runner.openSession();
    clock.advance(10 * DAY_MS);
    expect(names()).toEqual(['vm-1']);
    await runner.closeSession(session);
    clock.advance(DAY_MS);
    expect(removed).toEqual(['vm-1: away']);
  });
});

describe('a runner with a JIT configuration that waits for a job', () => {
  it('stays, unless GitHub removes idle ones; then it hears of it at its next poll', async () => {
    const runner = (await jit('vm-1')) as Required<Awaited<ReturnType<typeof jit>>>;
    const session = await runner.openSession();
    clock.advance(10 * MINUTE_MS);
    expect(names()).toEqual(['vm-1']);
    github.faults.setJitIdleRemovalMs(15 * MINUTE_MS);
    clock.advance(5 * MINUTE_MS);
    expect(removed).toEqual(['vm-1: idle']);
    expect(await runner.poll(session)).toEqual({ refused: 404 });
  });

  it('is not removed while it has a job, nor one that was configured with a token', async () => {
    await github.close();
    await start({ jitIdleRemovalMs: MINUTE_MS });
    const { runner, job } = await busyRunner('vm-1');
    await runner.job(job.id, 'acquire');
    const other = await registerRunner(github, github.issueToken('registration'), { name: 'vm-2' });
    await other.openSession();
    clock.advance(9 * MINUTE_MS);
    expect(names()).toEqual(['vm-1', 'vm-2']);
  });
});

describe('scopes', () => {
  it('are apart: organization, repository and enterprise each have their runners', async () => {
    for (const prefix of ['/orgs/acme', '/repos/acme/app', '/enterprises/big']) {
      expect((await jit('vm-1', prefix)).status).toBe(201);
      expect((await jit('vm-1', prefix)).status).toBe(409);
      const list = await call('GET', `${prefix}/actions/runners`);
      expect(list.json).toMatchObject({ total_count: 1 });
    }
    expect((await call('GET', '/enterprises/small/actions/runners')).status).toBe(404);
  });

  it('of the enterprise have jobs of every organization', async () => {
    const runner = (await jit('vm-1', '/enterprises/big')) as Required<Awaited<ReturnType<typeof jit>>>;
    const session = await runner.openSession();
    const job = github.queueJob({ repository: 'acme/anything' });
    expect(await runner.poll(session)).toBe(job.id);
  });
});

describe('labels', () => {
  it('are added, replaced and removed; read-only ones stay', async () => {
    const { id } = await registerRunner(github, github.issueToken('registration'));
    const path = `${RUNNERS}/${id}/labels`;
    const labels = async (method: string, body?: unknown, suffix = '') => {
      const { status, json } = await call<{ labels?: { name: string }[] }>(method, `${path}${suffix}`, body);
      return [status, json.labels?.map(({ name }) => name)];
    };
    const fixed = ['self-hosted', 'Linux', 'X64'];
    expect(await labels('GET')).toEqual([200, [...fixed, 'pool-a']]);
    expect(await labels('POST', { labels: ['gpu', 'GPU', 'linux'] })).toEqual([
      200,
      [...fixed, 'pool-a', 'gpu'],
    ]);
    expect(await labels('DELETE', undefined, '/gpu')).toEqual([200, [...fixed, 'pool-a']]);
    expect(await labels('DELETE', undefined, '/gpu')).toEqual([404, undefined]);
    expect(await labels('DELETE', undefined, '/linux')).toEqual([422, undefined]);
    expect(await labels('PUT', { labels: ['one', 'two'] })).toEqual([200, [...fixed, 'one', 'two']]);
    expect(await labels('DELETE')).toEqual([200, fixed]);
  });
});

describe('groups', () => {
  it('have their runners, which go to the default group when theirs is deleted', async () => {
    await github.close();
    await start({ runnerGroups: ['large'] });
    const body = { name: 'vm-1', runner_group_id: 2, labels: ['x'] };
    expect((await call('POST', `${RUNNERS}/generate-jitconfig`, body)).status).toBe(201);
    const groups = '/orgs/acme/actions/runner-groups';
    expect((await call('GET', `${groups}/2`)).json).toMatchObject({ name: 'large', default: false });
    expect((await call('GET', `${groups}/2/runners`)).json).toMatchObject({ total_count: 1 });
    expect((await call('DELETE', `${groups}/1`)).status).toBe(422);
    expect((await call('DELETE', `${groups}/2`)).status).toBe(204);
    expect((await call('GET', `${groups}/2`)).status).toBe(404);
    expect(github.runners()[0]?.runner_group_id).toBe(1);
    expect((await call('GET', '/enterprises/big/actions/runner-groups')).json).toMatchObject({
      total_count: 2,
    });
  });
});

describe('an Enterprise Server', () => {
  it('has its API below a prefix, and nowhere else', async () => {
    await github.close();
    await start({ apiPrefix: '/api/v3', onViolation: () => undefined });
    expect(github.apiUrl).toBe(`${github.url}/api/v3`);
    await jit('vm-1');
    await jit('vm-2');
    const page = await call('GET', `${RUNNERS}?per_page=1`);
    expect(page.headers.get('link')).toContain(`${github.apiUrl}${RUNNERS}?per_page=1&page=2`);
    const outside = await fetch(`${github.url}${RUNNERS}`, { headers: { authorization: 'Bearer secret' } });
    expect(outside.status).toBe(404);
    expect((await call('GET', '/_stand-in/admin/jobs')).status).toBe(404);
  });
});
