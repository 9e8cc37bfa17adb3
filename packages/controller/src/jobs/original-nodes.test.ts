import { afterEach, describe, expect, it } from '@jest/globals';
import { readEvents } from '../tasks/read-events.contract.js';
import { startTestJobs, type TestJobs } from './test-jobs.contract.js';

let test: TestJobs;
afterEach(() => test.dispose());

describe('a node of the original contract', () => {
  it('is shown a job only after its heartbeat; it claims it, runs it, and the record says so', async () => {
    test = await startTestJobs();
    const job = await test.submit({
      datacenters: ['dc1', 'dc2'],
      meta: { team: 'infra' },
      tasks: [
        { name: 'pull', driver: 'docker', config: { image: 'alpine:3', command: 'true' }, env: { A: 'b' } },
      ],
    });
    expect(job.state).toBe('queued');
    const silent = test.silentNode('n1');
    expect(await silent.getJob()).toMatchObject({
      has_job: false,
      message: expect.stringContaining('heartbeat'),
    });
    const n1 = await test.node('n1', { metadata: { datacenter: 'dc2' } });
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
    expect(await test.job(job.id)).toMatchObject({ state: 'completed', node_id: 'n1', attempt: 1 });
    expect((await test.job(job.id)).events.map(({ type }) => type)).toEqual([
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
    test = await startTestJobs();
    const job = await test.submit();
    const all = await Promise.all(Array.from({ length: 50 }, (_, at) => test.node(`n${at}`)));
    const answers = await Promise.all(all.map((one) => one.claimJob(job.id)));
    expect(answers.filter(({ ok }) => ok === true)).toHaveLength(1);
    const winner = all[answers.findIndex(({ ok }) => ok === true)]?.nodeId;
    expect(await test.job(job.id)).toMatchObject({ state: 'claimed', node_id: winner });
    const loser = all.find(({ nodeId }) => nodeId !== winner);
    expect(await loser?.updateStatus(job.id, 'completed')).toMatchObject({ ok: false });
    // Also after a restart.
    await test.restart();
    const again = await test.node(loser?.nodeId ?? '');
    expect(await again.claimJob(job.id)).toMatchObject({ ok: false });
    expect(await (await test.node(winner ?? '')).claimJob(job.id)).toMatchObject({ ok: true });
  });

  it('with an id that is none, and without the token that is asked for, is refused', async () => {
    test = await startTestJobs();
    const bad = test.silentNode('../x');
    await expect(bad.heartbeat()).rejects.toMatchObject({ code: 3 });
  });
});
