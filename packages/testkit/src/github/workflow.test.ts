/** Runs and jobs over REST. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createStandInGitHub, type StandInGitHub } from './stand-in-github.js';
import { createTestCall } from './test-client.contract.js';
import { registerRunner, SUCCESS, type TestRunner } from './test-runner.contract.js';

const REPOSITORY = '/repos/acme/app/actions';

let github: StandInGitHub;
let runner: TestRunner;
let session: string;
const call = createTestCall(() => github);

beforeEach(async () => {
  github = await createStandInGitHub({ tokens: ['secret'] });
  runner = await registerRunner(github, github.issueToken('registration'));
  session = await runner.openSession();
});
afterEach(() => github.close());

async function finish(id: number, result = SUCCESS): Promise<void> {
  await runner.poll(session);
  await runner.job(id, 'acquire');
  await runner.job(id, 'complete', result);
}
const runs = async (query: string) =>
  (await call<{ workflow_runs: { id: number }[] }>('GET', `${REPOSITORY}/runs${query}`)).json.workflow_runs;

describe('a job', () => {
  it('is shown as its webhook has it, and only in its repository', async () => {
    const { id, run_id: runId } = github.queueJob({ labels: ['self-hosted'] });
    const queued = await call('GET', `${REPOSITORY}/jobs/${id}`);
    expect(queued.json).toMatchObject({
      id,
      run_id: runId,
      status: 'queued',
      runner_id: null,
      conclusion: null,
    });
    await finish(id);
    const over = await call('GET', `${REPOSITORY}/jobs/${id}`);
    expect(over.json).toMatchObject({ status: 'completed', conclusion: 'success', runner_name: 'vm-1' });
    expect((await call('GET', `/repos/acme/web/actions/jobs/${id}`)).status).toBe(404);
  });

  it('runs again as another job of the same run, once it is over', async () => {
    const { id, run_id: runId } = github.queueJob();
    expect((await call('POST', `${REPOSITORY}/jobs/${id}/rerun`)).status).toBe(403);
    await finish(id);
    expect((await call('POST', `${REPOSITORY}/jobs/${id}/rerun`)).status).toBe(201);
    expect((await call('POST', `${REPOSITORY}/jobs/${id}/rerun`)).status).toBe(403);
    expect(github.jobs().map((job) => [job.run_id, job.run_attempt])).toEqual([
      [runId, 1],
      [runId, 2],
    ]);
    const latest = await call('GET', `${REPOSITORY}/runs/${runId}/jobs`);
    expect(latest.json).toMatchObject({ total_count: 1, jobs: [{ run_attempt: 2 }] });
    const first = await call('GET', `${REPOSITORY}/runs/${runId}/attempts/1/jobs`);
    expect(first.json).toMatchObject({ jobs: [{ id, run_attempt: 1 }] });
    expect((await call('GET', `${REPOSITORY}/runs/${runId}/attempts/3/jobs`)).status).toBe(404);
  });
});

describe('runs', () => {
  it('are found by their status, which is what a poll of the queue asks for', async () => {
    const first = github.queueJob();
    const second = github.queueJob();
    await finish(first.id);
    expect((await runs('?status=queued')).map(({ id }) => id)).toEqual([second.run_id]);
    expect((await runs('?status=success')).map(({ id }) => id)).toEqual([first.run_id]);
    expect((await runs('')).map(({ id }) => id)).toEqual([second.run_id, first.run_id]);
    expect((await call('GET', `${REPOSITORY}/runs/${first.run_id}`)).json).toMatchObject({
      conclusion: 'success',
    });
  });

  it('that are cancelled before they start never do; a second time is a conflict', async () => {
    const { id, run_id: runId } = github.queueJob({ labels: ['nobody'] });
    expect((await call('POST', `${REPOSITORY}/runs/${runId}/cancel`)).status).toBe(202);
    expect(github.jobs()).toMatchObject([
      { id, conclusion: 'cancelled', ended_by: 'cancelled', runner_name: null },
    ]);
    expect((await call('POST', `${REPOSITORY}/runs/${runId}/cancel`)).status).toBe(409);
  });

  it('that are cancelled between hand over and start leave their runner as it was', async () => {
    const { id, run_id: runId } = github.queueJob();
    await runner.poll(session);
    expect((await call('POST', `${REPOSITORY}/runs/${runId}/cancel`)).status).toBe(202);
    expect(await runner.job(id, 'acquire')).toBe(409);
    expect(github.runners()).toMatchObject([{ busy: false, status: 'online' }]);
  });

  it('that are cancelled by force end at once', async () => {
    const { id, run_id: runId } = github.queueJob();
    await runner.poll(session);
    await runner.job(id, 'acquire');
    expect((await call('POST', `${REPOSITORY}/runs/${runId}/force-cancel`)).status).toBe(202);
    expect(github.jobs()).toMatchObject([{ status: 'completed', conclusion: 'cancelled' }]);
    expect(await runner.job(id, 'renew')).toBe(409);
  });
});
