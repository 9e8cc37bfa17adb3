/** Workflow jobs over the operator API, with VMs that are known by the names of their runners. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import {
  workflowJobListSchema,
  workflowJobSchema,
  type WorkflowJobResource,
} from '@mig/common/api/workflow-job-resource';
import { createOwnership } from '../github/runners/ownership.js';
import { payloadOf, webhook } from '../github/webhooks/test-webhook.contract.js';
import { startTestController, type TestController } from '../test-controller.contract.js';
import { expectProblem } from './expect-problem.contract.js';

const LONG = 'instance-group-manager-linux-large-europe-west4-b-7f3k2m9q';
const ownership = createOwnership('mig', 'k3x9f2');
const BOOT = '0f3c9a1e-aaaa';

let folder: string;
let test: TestController;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'mig-jobs-'));
  const secretFile = path.join(folder, 'secret');
  await writeFile(secretFile, 'secret');
  test = await startTestController({
    config: {
      controller_id: 'k3x9f2',
      github: { request_timeout: '10s', webhook: { secret_file: secretFile } },
    },
  });
  for (const vmId of ['vm-1', LONG]) await test.miglet({ vmId, bootId: BOOT, poolId: 'pool-a' });
  const vm = (vmId: string) => ({ vmId, bootId: BOOT });
  for (const fields of [
    { id: 9, status: 'queued', runner_name: null, runner_id: null, started_at: null, completed_at: null },
    { id: 10, status: 'in_progress', runner_name: ownership.runnerName(vm('vm-1')) },
    { id: 11, status: 'in_progress', runner_name: ownership.runnerName(vm(LONG), 2) },
    { id: 12, status: 'completed', runner_name: ownership.runnerName(vm('vm-1')) },
    { id: 13, status: 'completed', runner_name: 'mig-other1-vm-1-0f3c9a1e' },
    { id: 13, run_attempt: 2, status: 'queued', runner_name: null },
  ]) {
    const sent = webhook(payloadOf(fields), 'secret');
    expect((await test.call('POST', '/webhooks/github', sent)).status).toBe(202);
  }
});
afterAll(async () => {
  await test.dispose();
  await rm(folder, { recursive: true, force: true });
});

interface Listed {
  readonly workflow_jobs: WorkflowJobResource[];
  readonly next_cursor?: string;
}
const list = async (query = '') => (await test.call<Listed>('GET', `/api/v1/workflow-jobs${query}`)).json;
const ids = async (query: string) =>
  (await list(query)).workflow_jobs.map(({ id, run_attempt }) => `${id}-${run_attempt}`);

describe('the list of workflow jobs', () => {
  it('when it is asked for, then it is newest last, with the VM of each runner of ours, and the time in the queue', async () => {
    const answer = await list();
    expect(workflowJobListSchema.parse(answer)).toEqual(answer);
    expect(answer.workflow_jobs.map(({ id, run_attempt, vm_id }) => [id, run_attempt, vm_id])).toEqual([
      ['9', 1, undefined],
      ['10', 1, 'vm-1'],
      ['11', 1, LONG],
      ['12', 1, 'vm-1'],
      ['13', 1, undefined],
      ['13', 2, undefined],
    ]);
    expect(answer.workflow_jobs[1]).toMatchObject({ queued_ms: 60_000, workflow_name: 'CodeQL' });
  });

  it('when it is filtered, then by status, repository in any case, and VM', async () => {
    expect(await ids('?status=open')).toEqual(['9-1', '10-1', '11-1', '13-2']);
    expect(await ids('?status=completed')).toEqual(['12-1', '13-1']);
    expect(await ids('?repository=CODERTOCAT/hello-world&status=queued')).toEqual(['9-1', '13-2']);
    expect(await ids('?repository=acme/app')).toEqual([]);
    expect(await ids('?vm_id=vm-1')).toEqual(['10-1', '12-1']);
    expect(await ids(`?vm_id=${LONG}`)).toEqual(['11-1']);
  });

  it('when it is asked for in pages, then each job is on one of them', async () => {
    const first = await list('?limit=4');
    const second = await list(`?limit=4&cursor=${first.next_cursor ?? ''}`);
    expect([...first.workflow_jobs, ...second.workflow_jobs]).toHaveLength(6);
    expect(second.next_cursor).toBeUndefined();
  });

  it.each(['?status=running', '?vm_id=../x', '?limit=0', '?cursor=!'])(
    'when the query is %s, then it is refused',
    async (query) => {
      expect((await expectProblem(test, 'GET', `/api/v1/workflow-jobs${query}`)).status).toBe(400);
    },
  );
});

describe('one workflow job', () => {
  it('when it has several attempts, then it is the last, or the one that is asked for', async () => {
    const { json } = await test.call<WorkflowJobResource>('GET', '/api/v1/workflow-jobs/13');
    expect(workflowJobSchema.parse(json)).toEqual(json);
    expect(json).toMatchObject({ id: '13', run_attempt: 2, status: 'queued' });
    expect((await test.call('GET', '/api/v1/workflow-jobs/13?run_attempt=1')).json).toMatchObject({
      run_attempt: 1,
      conclusion: 'failure',
    });
  });

  it('when it is not known, then it is 404 and says where to look; when it is no number, then 400', async () => {
    expect(await expectProblem(test, 'GET', '/api/v1/workflow-jobs/99')).toMatchObject({
      status: 404,
      type: 'urn:mig:problem:unknown-workflow-job',
      detail: expect.stringContaining('migctl get workflow-jobs') as unknown,
    });
    expect(await expectProblem(test, 'GET', '/api/v1/workflow-jobs/13?run_attempt=9')).toMatchObject({
      status: 404,
    });
    expect(await expectProblem(test, 'GET', '/api/v1/workflow-jobs/x-1')).toMatchObject({ status: 400 });
  });

  it('when the controller restarts, then it is there, whole', async () => {
    const before = await test.call('GET', '/api/v1/workflow-jobs/12');
    await test.restart();
    expect((await test.call('GET', '/api/v1/workflow-jobs/12')).json).toEqual(before.json);
  });
});
