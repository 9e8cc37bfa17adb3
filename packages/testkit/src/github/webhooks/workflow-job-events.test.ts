import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { findPayloadFaults, readExamplePayloads } from '../description/workflow-job-schemas.js';
import { CANCELED, registerRunner } from '../test-runner.contract.js';
import { until } from '../until.js';
import { KEY, createTestWebhooks, type TestWebhooks } from './test-webhooks.contract.js';

let test: TestWebhooks;
beforeEach(async () => {
  test = await createTestWebhooks();
});
afterEach(() => test.close());

describe('workflow_job', () => {
  it('is told of every step of a job, with the runner that took it, in the shape that GitHub has', async () => {
    await test.start({ runnerGroups: ['large'] });
    const { id, runnerId } = await test.runJob();
    await until('all three', () => test.receiver.received.length === 3);
    const events = new Map(test.receiver.received.map(({ payload }) => [payload.action, payload]));
    expect([...events.keys()].sort()).toEqual(['completed', 'in_progress', 'queued']);
    for (const { payload } of test.receiver.received) expect(findPayloadFaults(payload)).toEqual([]);
    expect(events.get('queued')?.workflow_job).toMatchObject({ id, status: 'queued', runner_name: null });
    const runner = {
      runner_id: runnerId,
      runner_name: 'vm-1',
      runner_group_id: 1,
      runner_group_name: 'Default',
    };
    expect(events.get('in_progress')?.workflow_job).toMatchObject({ ...runner, status: 'in_progress' });
    expect(events.get('completed')?.workflow_job).toMatchObject({
      ...runner,
      conclusion: 'success',
      labels: ['self-hosted'],
    });
    expect(events.get('queued')?.installation?.id).toBe(test.github.app?.installationId('acme'));
  });

  it("has no field that GitHub's own examples do not have", async () => {
    await test.start();
    await test.runJob();
    const examples = readExamplePayloads() as { workflow_job: object; repository: object }[];
    const known = (part: 'workflow_job' | 'repository') =>
      new Set(examples.flatMap((example) => Object.keys(example[part])));
    for (const { payload } of test.receiver.received) {
      for (const part of ['workflow_job', 'repository'] as const)
        expect(Object.keys(payload[part]).filter((key) => !known(part).has(key))).toEqual([]);
    }
  });

  it('of a job that waits for approval is told as queued with the status waiting, and again when it is queued', async () => {
    await test.start();
    const { id } = test.github.queueJob({ environment: 'production' });
    await until('both', () => test.receiver.received.length === 2);
    const first = test.receiver.received
      .map(({ payload }) => [payload.action, payload.workflow_job.status])
      .sort();
    expect(first).toEqual([
      ['queued', 'waiting'],
      ['waiting', 'waiting'],
    ]);
    expect(test.firstReceived().payload.deployment).toMatchObject({ environment: 'production' });
    expect((await test.call('POST', `/_stand-in/admin/jobs/${id}/approve`)).status).toBe(200);
    await until('approved', () => test.receiver.received.length === 3);
    expect(test.receiver.received[2]?.payload).toMatchObject({
      action: 'queued',
      workflow_job: { status: 'queued' },
    });
    expect((await test.call('POST', `/_stand-in/admin/jobs/${id}/approve`)).status).toBe(409);
  });

  it('of a job that was cancelled in its run is told as cancelled', async () => {
    await test.start({ jobLostAfterMs: 400 });
    const runner = await registerRunner(test.github, test.github.issueToken('registration'));
    const session = await runner.openSession();
    const { id, run_id: runId } = test.github.queueJob();
    await runner.poll(session);
    await runner.job(id, 'acquire');
    expect((await test.call('POST', `/repos/acme/app/actions/runs/${runId}/cancel`)).status).toBe(202);
    expect(await runner.job(id, 'renew')).toBe(409);
    await runner.job(id, 'complete', CANCELED);
    await until('completed', () => test.told().some(([action]) => action === 'completed'));
    expect(test.receiver.received.at(-1)?.payload.workflow_job).toMatchObject({ conclusion: 'cancelled' });
    expect(test.github.jobsKilled()).toEqual([]);
  });

  it("is not told of another organization's jobs, nor once the App is suspended", async () => {
    await test.start({
      otherOrganizations: ['other'],
      app: { keys: [KEY.publicKey], installedAt: ['acme'] },
    });
    test.github.queueJob({ repository: 'other/app' });
    test.github.queueJob({ repository: 'nobody/app' });
    const { id } = test.github.queueJob();
    await test.github.webhooks.settled();
    test.github.app?.suspend('acme');
    test.github.queueJob();
    await test.github.webhooks.settled();
    expect(test.told()).toEqual([['queued', id]]);
  });
});
