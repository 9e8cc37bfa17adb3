import { afterEach, describe, expect, it } from '@jest/globals';
import type { JobResource, NodeResource } from '@mig/common/api/job-resource';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { offered, startTestJobs, type TestJobs } from './test-jobs.contract.js';

let test: TestJobs;
afterEach(() => test.dispose());

describe('a job that comes to nothing', () => {
  it('is tried again, with backoff, up to its retries, and then has failed', async () => {
    const clock = createManualClock();
    test = await startTestJobs({ clock });
    const job = await test.submit({ retry: { max_retries: 1, backoff: '10s' } });
    const n1 = await test.node('n1');
    await n1.claimJob(job.id);
    await n1.updateStatus(job.id, 'failed', 'exit code 1');
    expect(await test.job(job.id)).toMatchObject({ state: 'waiting', attempt: 1, message: 'exit code 1' });
    expect(await offered(n1)).toBe('');
    clock.advance(10_000);
    await n1.heartbeat();
    expect(await offered(n1)).toBe(job.id);
    await n1.claimJob(job.id);
    await n1.updateStatus(job.id, 'failed', 'exit code 2');
    expect(await test.job(job.id)).toMatchObject({ state: 'failed', attempt: 2, message: 'exit code 2' });
  });

  it('because its node is silent for a minute goes to another, and the first is refused when it comes back', async () => {
    const clock = createManualClock();
    test = await startTestJobs({ clock });
    const job = await test.submit({ retry: { backoff: '0s' } });
    const [n1, n2] = [await test.node('n1'), await test.node('n2')];
    await n1.claimJob(job.id);
    await n1.updateStatus(job.id, 'running');
    clock.advance(59_000);
    expect((await test.job(job.id)).state).toBe('running');
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
    expect(await test.job(job.id)).toMatchObject({ state: 'completed', node_id: 'n2', attempt: 2 });
  });

  it('because its node was restarted between claim and begin is shown to it again', async () => {
    const clock = createManualClock();
    test = await startTestJobs({ clock });
    const job = await test.submit();
    const n1 = await test.node('n1');
    await n1.claimJob(job.id);
    expect(await offered(n1)).toBe('');
    clock.advance(6_000);
    await n1.heartbeat();
    expect(await offered(n1)).toBe(job.id);
    expect(await n1.claimJob(job.id)).toMatchObject({ ok: true });
    await n1.updateStatus(job.id, 'completed');
    expect(await test.job(job.id)).toMatchObject({ state: 'completed', attempt: 1 });
  });

  it('because its node has forgotten it is tried again a day after the last word of it, also over a restart', async () => {
    const clock = createManualClock();
    test = await startTestJobs({ clock });
    const job = await test.submit({ retry: { backoff: '0s' } });
    let n1 = await test.node('n1');
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
    expect((await test.job(job.id)).state).toBe('running');
    // What it said before is not known any more, so it has the whole time again.
    await test.restart();
    n1 = await test.node('n1');
    await pass(20);
    expect((await test.job(job.id)).state).toBe('running');
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
    test = await startTestJobs({ clock });
    const job = await test.submit({ deadline: '5s', retry: { max_retries: 0 } });
    const n1 = await test.node('n1');
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
    test = await startTestJobs();
    const job = await test.submit();
    const n1 = await test.node('n1');
    await n1.claimJob(job.id);
    expect((await test.call('DELETE', `/api/v1/jobs/${job.id}`)).status).toBe(200);
    expect(await n1.updateStatus(job.id, 'running')).toMatchObject({
      ok: false,
      message: expect.stringContaining('end it'),
    });
    expect((await test.call('DELETE', `/api/v1/jobs/${job.id}`)).status).toBe(409);
  });
});
