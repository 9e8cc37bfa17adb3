import { afterEach, describe, expect, it } from '@jest/globals';
import type { JobResource } from '@mig/common/api/job-resource';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { until } from '@mig/testkit/github/until';
import { SPEC, offered, startTestJobs, type TestJobs } from './test-jobs.contract.js';

let test: TestJobs;
afterEach(() => test.dispose());

describe('jobs that others bring about', () => {
  it('one that depends on another waits for it, and fails with it', async () => {
    test = await startTestJobs();
    const first = await test.submit({ name: 'build' });
    const after = await test.submit({ name: 'deploy', depends_on: ['build'] });
    const last = await test.submit({ name: 'report', depends_on: [after.id] });
    expect([after.state, last.state]).toEqual(['waiting', 'waiting']);
    const n1 = await test.node('n1');
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
    test = await startTestJobs();
    const n1 = await test.node('n1', { metadata: { os: 'linux' } });
    const job = await test.submit({
      type: 'system',
      constraints: [{ attribute: 'os', operator: '==', value: 'linux' }],
    });
    const ids: string[] = [];
    await until('it is offered', async () => (ids[0] = await offered(n1)) !== '');
    await n1.claimJob(ids[0] ?? '');
    await n1.updateStatus(ids[0] ?? '', 'completed');
    await n1.heartbeat({ metadata: { os: 'linux' } });
    const n2 = await test.node('n2', { metadata: { os: 'linux' } });
    await until('it is offered', async () => (ids[1] = await offered(n2)) !== '');
    await test.node('n3', { metadata: { os: 'bsd' } });
    await test.restart();
    const again = await test.node('n1', { metadata: { os: 'linux' } });
    expect(await offered(again)).toBe('');
    const { jobs } = (await test.call<{ jobs: JobResource[] }>('GET', `/api/v1/jobs?parent_id=${job.id}`))
      .json;
    expect(jobs.map(({ only_node }) => only_node).sort()).toEqual(['n1', 'n2']);
  });

  it('what a system job has done is remembered as long as it goes on, though ended jobs are forgotten', async () => {
    const clock = createManualClock();
    test = await startTestJobs({
      clock,
      config: { jobs: { keep_finished: 10 }, retention: { age: '1m' } } as never,
    });
    // Ids are made of the time, and of a chance that stands still here too.
    await test.submit({ type: 'system' });
    clock.advance(10);
    const n1 = await test.node('n1');
    clock.advance(10);
    let id = '';
    await until('it is offered', async () => (id = await offered(n1)) !== '');
    await n1.claimJob(id);
    await n1.updateStatus(id, 'completed');
    const other = await test.submit();
    await n1.claimJob(other.id);
    await n1.updateStatus(other.id, 'completed');
    clock.advance(3 * 60_000);
    await until(
      'the other is forgotten',
      async () => (await test.call('GET', `/api/v1/jobs/${other.id}`)).status === 404,
    );
    await test.restart();
    const again = await test.node('n1');
    expect(await offered(again)).toBe('');
    expect((await test.job(id)).state).toBe('completed');
  });

  it('a schedule makes a job when it is due, and none while the one before has not ended', async () => {
    const clock = createManualClock(Date.UTC(2026, 10, 21, 1, 59, 30));
    test = await startTestJobs({ clock });
    const job = await test.submit({ schedule: { cron: '0 3 * * *', time_zone: 'Europe/Berlin' } });
    expect(job).toMatchObject({ state: 'active', next_run_at: '2026-11-21T02:00:00.000Z' });
    clock.advance(31_000);
    const made = () => test.call<{ jobs: JobResource[] }>('GET', `/api/v1/jobs?parent_id=${job.id}`);
    await until('it is made', async () => (await made()).json.jobs.length === 1);
    clock.advance(24 * 3_600_000);
    await until(
      'it was due again',
      async () => (await test.job(job.id)).next_run_at === '2026-11-23T02:00:00.000Z',
    );
    expect((await made()).json.jobs).toHaveLength(1);
    expect((await test.job(job.id)).events.at(-1)?.type).toBe('skipped');
  });
});
