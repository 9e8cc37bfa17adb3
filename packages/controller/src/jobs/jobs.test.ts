/** Jobs at a real controller, with nodes that were written from the original contract alone. */
import { afterEach, describe, expect, it } from '@jest/globals';
import type { JobResource, NodeResource, WhyResource } from '@mig/common/api/job-resource';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { until } from '@mig/testkit/github/until';
import { connectForeignNode, type ForeignNode } from '@mig/testkit/legacy/foreign-node';
import { readEvents } from '../tasks/read-events.contract.js';
import {
  startTestController,
  type TestController,
  type TestControllerOptions,
} from '../test-controller.contract.js';

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start(options: TestControllerOptions = {}): Promise<TestController> {
  const test = await startTestController(options);
  closing.push(() => test.dispose());
  return test;
}

async function node(
  test: TestController,
  nodeId: string,
  fields?: Record<string, unknown>,
): Promise<ForeignNode> {
  const made = connectForeignNode(`127.0.0.1:${test.controller.grpcPort}`, nodeId);
  closing.push(() => made.close());
  expect(await made.heartbeat(fields)).toMatchObject({ ok: true });
  return made;
}

const SPEC = { name: 'clean', tasks: [{ name: 't', driver: 'exec', config: { command: 'df -h' } }] };

async function submit(
  test: TestController,
  fields: Record<string, unknown> = {},
  headers = {},
): Promise<JobResource> {
  const { status, json, text } = await test.call<JobResource>('POST', '/api/v1/jobs', {
    body: { ...SPEC, ...fields },
    headers,
  });
  if (status !== 202) throw new Error(text);
  return json;
}
const get = async (test: TestController, id: string): Promise<JobResource> =>
  (await test.call<JobResource>('GET', `/api/v1/jobs/${id}`)).json;
const offered = async (from: ForeignNode): Promise<string> => {
  const answer = await from.getJob();
  return answer['has_job'] === true ? (answer['job'] as { job_id: string }).job_id : '';
};

describe('a node of the original contract', () => {
  it('is shown a job only after its heartbeat; it claims it, runs it, and the record says so', async () => {
    const test = await start();
    const job = await submit(test, {
      datacenters: ['dc1', 'dc2'],
      meta: { team: 'infra' },
      tasks: [
        { name: 'pull', driver: 'docker', config: { image: 'alpine:3', command: 'true' }, env: { A: 'b' } },
      ],
    });
    expect(job.state).toBe('queued');
    const silent = connectForeignNode(`127.0.0.1:${test.controller.grpcPort}`, 'n1');
    closing.push(() => silent.close());
    expect(await silent.getJob()).toMatchObject({
      has_job: false,
      message: expect.stringContaining('heartbeat'),
    });
    const n1 = await node(test, 'n1', { metadata: { datacenter: 'dc2' } });
    expect(await n1.getJob()).toMatchObject({
      has_job: true,
      job: {
        job_id: job.id,
        name: 'clean',
        type: 'batch',
        datacenters: 'dc1,dc2',
        meta: { team: 'infra' },
        tasks: [
          {
            name: 'pull',
            driver: 'docker',
            config: { image: 'alpine:3', options: { command: 'true' } },
            env: { A: 'b' },
          },
        ],
      },
    });
    expect(await n1.claimJob(job.id)).toMatchObject({ ok: true });
    expect(await n1.claimJob(job.id)).toMatchObject({ ok: true });
    expect(await n1.updateStatus(job.id, 'running', 'begun')).toMatchObject({ ok: true });
    expect(await n1.updateStatus(job.id, 'completed', 'all done')).toMatchObject({ ok: true });
    expect(await n1.updateStatus(job.id, 'completed', 'all done')).toMatchObject({ ok: true });
    expect(await get(test, job.id)).toMatchObject({ state: 'completed', node_id: 'n1', attempt: 1 });
    expect((await get(test, job.id)).events.map(({ type }) => type)).toEqual([
      'submitted',
      'claimed',
      'running',
      'completed',
    ]);
    const reader = readEvents(test.controller.httpPort, `/api/v1/jobs/${job.id}/output`);
    await reader.ended;
    expect(reader.events.map(({ data }) => data['text'] ?? data['state'])).toEqual([
      'begun\n',
      'all done\n',
      'completed',
    ]);
  });

  it('of fifty that claim one job at a time, one wins, and the others are told so', async () => {
    const test = await start();
    const job = await submit(test);
    const all = await Promise.all(Array.from({ length: 50 }, (_, at) => node(test, `n${at}`)));
    const answers = await Promise.all(all.map((one) => one.claimJob(job.id)));
    expect(answers.filter(({ ok }) => ok === true)).toHaveLength(1);
    const winner = all[answers.findIndex(({ ok }) => ok === true)]?.nodeId;
    expect(await get(test, job.id)).toMatchObject({ state: 'claimed', node_id: winner });
    const loser = all.find(({ nodeId }) => nodeId !== winner);
    expect(await loser?.updateStatus(job.id, 'completed')).toMatchObject({ ok: false });
    // Also after a restart.
    await test.restart();
    const again = await node(test, loser?.nodeId ?? '');
    expect(await again.claimJob(job.id)).toMatchObject({ ok: false });
    expect(await (await node(test, winner ?? '')).claimJob(job.id)).toMatchObject({ ok: true });
  });

  it('with an id that is none, and without the token that is asked for, is refused', async () => {
    const test = await start();
    const bad = connectForeignNode(`127.0.0.1:${test.controller.grpcPort}`, '../x');
    closing.push(() => bad.close());
    await expect(bad.heartbeat()).rejects.toMatchObject({ code: 3 });
  });
});

describe('a job that comes to nothing', () => {
  it('is tried again, with backoff, up to its retries, and then has failed', async () => {
    const clock = createManualClock();
    const test = await start({ clock });
    const job = await submit(test, { retry: { max_retries: 1, backoff: '10s' } });
    const n1 = await node(test, 'n1');
    await n1.claimJob(job.id);
    await n1.updateStatus(job.id, 'failed', 'exit code 1');
    expect(await get(test, job.id)).toMatchObject({ state: 'waiting', attempt: 1, message: 'exit code 1' });
    expect(await offered(n1)).toBe('');
    clock.advance(10_000);
    await n1.heartbeat();
    expect(await offered(n1)).toBe(job.id);
    await n1.claimJob(job.id);
    await n1.updateStatus(job.id, 'failed', 'exit code 2');
    expect(await get(test, job.id)).toMatchObject({ state: 'failed', attempt: 2, message: 'exit code 2' });
  });

  it('because its node is silent for a minute goes to another, and the first is refused when it comes back', async () => {
    const clock = createManualClock();
    const test = await start({ clock });
    const job = await submit(test, { retry: { backoff: '0s' } });
    const [n1, n2] = [await node(test, 'n1'), await node(test, 'n2')];
    await n1.claimJob(job.id);
    await n1.updateStatus(job.id, 'running');
    clock.advance(59_000);
    expect((await get(test, job.id)).state).toBe('running');
    clock.advance(3_000);
    await n2.heartbeat();
    const { nodes } = (await test.call<{ nodes: NodeResource[] }>('GET', '/api/v1/nodes')).json;
    expect(nodes.map(({ node_id, state }) => [node_id, state])).toEqual([
      ['n1', 'offline'],
      ['n2', 'online'],
    ]);
    expect(await n2.claimJob(job.id)).toMatchObject({ ok: true });
    expect(await n1.updateStatus(job.id, 'completed')).toMatchObject({ ok: false });
    await n2.updateStatus(job.id, 'completed');
    expect(await get(test, job.id)).toMatchObject({ state: 'completed', node_id: 'n2', attempt: 2 });
  });

  it('because its node was restarted between claim and begin is shown to it again', async () => {
    const clock = createManualClock();
    const test = await start({ clock });
    const job = await submit(test);
    const n1 = await node(test, 'n1');
    await n1.claimJob(job.id);
    expect(await offered(n1)).toBe('');
    clock.advance(6_000);
    await n1.heartbeat();
    expect(await offered(n1)).toBe(job.id);
    expect(await n1.claimJob(job.id)).toMatchObject({ ok: true });
    await n1.updateStatus(job.id, 'completed');
    expect(await get(test, job.id)).toMatchObject({ state: 'completed', attempt: 1 });
  });

  it('because its node has forgotten it is tried again a day after the last word of it, also over a restart', async () => {
    const clock = createManualClock();
    const test = await start({ clock });
    const job = await submit(test, { retry: { backoff: '0s' } });
    let n1 = await node(test, 'n1');
    await n1.claimJob(job.id);
    await n1.updateStatus(job.id, 'running');
    const HOUR_MS = 3_600_000;
    // It is heard of now and then, and so is its job once.
    const pass = async (hours: number): Promise<void> => {
      for (let left = hours * 60; left > 0; left -= 0.5) {
        clock.advance(HOUR_MS / 120);
        await n1.heartbeat();
      }
    };
    await pass(12);
    expect(await n1.updateStatus(job.id, 'running')).toMatchObject({ ok: true });
    await pass(20);
    expect((await get(test, job.id)).state).toBe('running');
    // What it said before is not known any more, so it has the whole time again.
    await test.restart();
    n1 = await node(test, 'n1');
    await pass(20);
    expect((await get(test, job.id)).state).toBe('running');
    await pass(5);
    await test.eventually<JobResource>(
      'it is tried again',
      `/api/v1/jobs/${job.id}`,
      ({ state }) => state === 'queued',
    );
    expect(await n1.updateStatus(job.id, 'completed')).toMatchObject({ ok: false });
    expect(await offered(n1)).toBe(job.id);
  }, 60_000);

  it('because its deadline has passed is taken from its node', async () => {
    const clock = createManualClock();
    const test = await start({ clock });
    const job = await submit(test, { deadline: '5s', retry: { max_retries: 0 } });
    const n1 = await node(test, 'n1');
    await n1.claimJob(job.id);
    await n1.updateStatus(job.id, 'running');
    clock.advance(7_000);
    await test.eventually<JobResource>(
      'it has failed',
      `/api/v1/jobs/${job.id}`,
      ({ state }) => state === 'failed',
    );
    expect(await n1.updateStatus(job.id, 'completed')).toMatchObject({ ok: false });
  });

  it('because it was cancelled is told to its node with its next word', async () => {
    const test = await start();
    const job = await submit(test);
    const n1 = await node(test, 'n1');
    await n1.claimJob(job.id);
    expect((await test.call('DELETE', `/api/v1/jobs/${job.id}`)).status).toBe(200);
    expect(await n1.updateStatus(job.id, 'running')).toMatchObject({
      ok: false,
      message: expect.stringContaining('end it'),
    });
    expect((await test.call('DELETE', `/api/v1/jobs/${job.id}`)).status).toBe(409);
  });
});

describe('which job is next', () => {
  it('the one of the highest priority, then the oldest; and one that has waited long enough comes first', async () => {
    const clock = createManualClock();
    const test = await start({ clock });
    const old = await submit(test, { name: 'old', priority: 50 });
    clock.advance(1_000);
    const low = await submit(test, { name: 'low', priority: 49 });
    const high = await submit(test, { name: 'high', priority: 60 });
    const n1 = await node(test, 'n1');
    const order: string[] = [];
    for (let at = 0; at < 2; at += 1) {
      const id = await offered(n1);
      await n1.claimJob(id);
      order.push(id);
    }
    expect(order).toEqual([high.id, old.id]);
    clock.advance(20 * 60_000);
    await n1.heartbeat();
    const newer = await submit(test, { name: 'newer', priority: 50 });
    expect(await offered(n1)).toBe(low.id);
    expect(newer.state).toBe('queued');
  });

  it('between submitters, those with fewer jobs on nodes', async () => {
    const test = await start();
    for (let at = 0; at < 6; at += 1) await submit(test, {}, { 'x-submitter': 'greedy' });
    const modest = [
      await submit(test, {}, { 'x-submitter': 'modest' }),
      await submit(test, {}, { 'x-submitter': 'modest' }),
    ];
    const n1 = await node(test, 'n1');
    const taken: string[] = [];
    for (let at = 0; at < 4; at += 1) {
      const id = await offered(n1);
      await n1.claimJob(id);
      taken.push(id);
    }
    for (const { id } of modest) expect(taken).toContain(id);
  });

  it('only one that fits what the node is and has free; and of one that fits none it is said why', async () => {
    const test = await start();
    const n1 = await node(test, 'n1', {
      ram_mb: 1_000,
      metadata: { datacenter: 'dc1', labels: 'gpu,large', kernel: '6.1' },
    });
    await node(test, 'n2', { ram_mb: 9_000, metadata: { datacenter: 'dc2' } });
    const big = await submit(test, { name: 'big', resources: { ram_mb: 8_192 }, datacenters: ['dc1'] });
    const why = (await test.call<WhyResource>('GET', `/api/v1/jobs/${big.id}/why`)).json;
    expect(why).toMatchObject({ fitting_nodes: 0, summary: '1 node lacks 8192 MB of memory, 1 is in dc2' });
    expect(await n1.claimJob(big.id)).toMatchObject({
      ok: false,
      message: expect.stringContaining('8192 MB'),
    });
    expect(await offered(n1)).toBe('');
    const fits = await submit(test, {
      resources: { ram_mb: 600 },
      constraints: [
        { attribute: 'labels', operator: 'in', value: ['gpu', 'tpu'] },
        { attribute: 'kernel', operator: '>=', value: 6 },
        { attribute: 'node_id', operator: 'regexp', value: '^n' },
        { attribute: 'labels', operator: '!=', value: 'small' },
      ],
    });
    expect(await offered(n1)).toBe(fits.id);
    await n1.claimJob(fits.id);
    const second = await submit(test, {
      resources: { ram_mb: 600 },
      constraints: [{ attribute: 'labels', operator: '==', value: 'gpu' }],
    });
    expect(await offered(n1)).toBe('');
    expect((await test.call<WhyResource>('GET', `/api/v1/jobs/${second.id}/why`)).json.summary).toContain(
      'has now no 600 MB of memory',
    );
    await n1.updateStatus(fits.id, 'completed');
    expect(await offered(n1)).toBe(second.id);
  });

  it('a new one is left a moment for the node that has less to do, if that has just asked', async () => {
    const clock = createManualClock();
    const test = await start({ clock });
    const [n1, n2] = [await node(test, 'n1'), await node(test, 'n2')];
    const first = await submit(test, { resources: { ram_mb: 100 } });
    await n1.claimJob(first.id);
    expect(await offered(n2)).toBe('');
    const second = await submit(test);
    expect(await offered(n1)).toBe('');
    expect(await offered(n2)).toBe(second.id);
    clock.advance(5_000);
    expect(await offered(n1)).toBe(second.id);
  });
});

describe('jobs that others bring about', () => {
  it('one that depends on another waits for it, and fails with it', async () => {
    const test = await start();
    const first = await submit(test, { name: 'build' });
    const after = await submit(test, { name: 'deploy', depends_on: ['build'] });
    const last = await submit(test, { name: 'report', depends_on: [after.id] });
    expect([after.state, last.state]).toEqual(['waiting', 'waiting']);
    const n1 = await node(test, 'n1');
    await n1.claimJob(first.id);
    await n1.updateStatus(first.id, 'completed');
    await test.eventually<JobResource>(
      'it is queued',
      `/api/v1/jobs/${after.id}`,
      ({ state }) => state === 'queued',
    );
    await test.call('DELETE', `/api/v1/jobs/${after.id}`);
    await test.eventually<JobResource>(
      'it has failed',
      `/api/v1/jobs/${last.id}`,
      ({ state }) => state === 'failed',
    );
    const refused = await test.call('POST', '/api/v1/jobs', { body: { ...SPEC, depends_on: ['nowhere'] } });
    expect(refused.status).toBe(400);
    expect(refused.text).toContain('depends_on[0]');
  });

  it('a system job runs once on every node that matches, also on one that comes later, and never twice', async () => {
    const test = await start();
    const n1 = await node(test, 'n1', { metadata: { os: 'linux' } });
    const job = await submit(test, {
      type: 'system',
      constraints: [{ attribute: 'os', operator: '==', value: 'linux' }],
    });
    const ids: string[] = [];
    await until('it is offered', async () => (ids[0] = await offered(n1)) !== '');
    await n1.claimJob(ids[0] ?? '');
    await n1.updateStatus(ids[0] ?? '', 'completed');
    await n1.heartbeat({ metadata: { os: 'linux' } });
    const n2 = await node(test, 'n2', { metadata: { os: 'linux' } });
    await until('it is offered', async () => (ids[1] = await offered(n2)) !== '');
    await node(test, 'n3', { metadata: { os: 'bsd' } });
    await test.restart();
    const again = await node(test, 'n1', { metadata: { os: 'linux' } });
    expect(await offered(again)).toBe('');
    const { jobs } = (await test.call<{ jobs: JobResource[] }>('GET', `/api/v1/jobs?parent_id=${job.id}`))
      .json;
    expect(jobs.map(({ only_node }) => only_node).sort()).toEqual(['n1', 'n2']);
  });

  it('what a system job has done is remembered as long as it goes on, though ended jobs are forgotten', async () => {
    const clock = createManualClock();
    const test = await start({
      clock,
      config: { jobs: { keep_finished: 10 }, retention: { age: '1m' } } as never,
    });
    // Ids are made of the time, and of a chance that stands still here too.
    await submit(test, { type: 'system' });
    clock.advance(10);
    const n1 = await node(test, 'n1');
    clock.advance(10);
    let id = '';
    await until('it is offered', async () => (id = await offered(n1)) !== '');
    await n1.claimJob(id);
    await n1.updateStatus(id, 'completed');
    const other = await submit(test);
    await n1.claimJob(other.id);
    await n1.updateStatus(other.id, 'completed');
    clock.advance(3 * 60_000);
    await until(
      'the other is forgotten',
      async () => (await test.call('GET', `/api/v1/jobs/${other.id}`)).status === 404,
    );
    await test.restart();
    const again = await node(test, 'n1');
    expect(await offered(again)).toBe('');
    expect((await get(test, id)).state).toBe('completed');
  });

  it('a schedule makes a job when it is due, and none while the one before has not ended', async () => {
    const clock = createManualClock(Date.UTC(2026, 10, 21, 1, 59, 30));
    const test = await start({ clock });
    const job = await submit(test, { schedule: { cron: '0 3 * * *', time_zone: 'Europe/Berlin' } });
    expect(job).toMatchObject({ state: 'active', next_run_at: '2026-11-21T02:00:00.000Z' });
    clock.advance(31_000);
    const made = () => test.call<{ jobs: JobResource[] }>('GET', `/api/v1/jobs?parent_id=${job.id}`);
    await until('it is made', async () => (await made()).json.jobs.length === 1);
    clock.advance(24 * 3_600_000);
    await until(
      'it was due again',
      async () => (await get(test, job.id)).next_run_at === '2026-11-23T02:00:00.000Z',
    );
    expect((await made()).json.jobs).toHaveLength(1);
    expect((await get(test, job.id)).events.at(-1)?.type).toBe('skipped');
  });
});

describe('a specification that is wrong', () => {
  it('names every fault by its path, in YAML by its line too, and nothing is queued', async () => {
    const test = await start();
    const yaml = 'name: a\npriority: 500\ntasks:\n  - name: t\n    driver: exec\n    config: {}\n';
    const { status, json } = await test.call<{ errors: { path: string; message: string }[] }>(
      'POST',
      '/api/v1/jobs',
      {
        body: yaml,
        headers: { 'content-type': 'application/yaml' },
      },
    );
    expect(status).toBe(400);
    expect(json.errors.map(({ path, message }) => `${path} ${message.split(':')[0]}`)).toEqual(
      expect.arrayContaining(['priority line 2', 'tasks[0].config.command line 6']),
    );
    const asJson = await test.call('POST', '/api/v1/jobs', { body: { name: 'a', tasks: [], x: 1 } });
    expect(asJson.text).toContain('tasks');
    expect(asJson.text).toContain('"x"');
    expect((await test.call<{ jobs: unknown[] }>('GET', '/api/v1/jobs')).json.jobs).toEqual([]);
  });

  it('one that is right is taken as YAML, and the same key again gives the same job', async () => {
    const test = await start();
    const call = () =>
      test.call<JobResource>('POST', '/api/v1/jobs', {
        body: 'name: a\ntasks: [{name: t, driver: exec, config: {command: ls}, env: {TOKEN: s3cret}}]\n',
        headers: { 'content-type': 'application/yaml', 'idempotency-key': 'k' },
      });
    const [first, second] = [await call(), await call()];
    expect(first.status).toBe(202);
    expect(second.json.id).toBe(first.json.id);
    expect(first.text).not.toContain('s3cret');
  });
});
