/** Tasks and jobs by who asks: agents and nodes by their tokens, operators in their pools. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { JobResource, NodeResource, WhyResource } from '@mig/common/api/job-resource';
import type { TaskResource } from '@mig/common/api/task-resource';
import { until } from '@mig/testkit/github/until';
import { connectForeignAgent, type ForeignAgent } from '@mig/testkit/legacy/foreign-agent';
import { connectForeignNode, type ForeignNode } from '@mig/testkit/legacy/foreign-node';
import { bearer, startSecureController, type SecureController } from './test-auth.contract.js';

let test: SecureController;
let linuxJoin = '';
let windowsJoin = '';
/** Operator of linux alone; viewer of linux alone. */
let operator = '';
let viewer = '';
const closing: (() => void)[] = [];

beforeAll(async () => {
  test = await startSecureController();
  linuxJoin = await test.joinToken('linux');
  windowsJoin = await test.joinToken('windows');
  operator = await test.operatorToken({ linux: 'operator' }, 'linus');
  viewer = await test.operatorToken({ linux: 'viewer' }, 'vera');
});
afterAll(async () => {
  for (const close of closing) close();
  await test.dispose();
});

const grpc = (): string => `127.0.0.1:${test.controller.grpcPort}`;
function agent(agentId: string, token?: string): ForeignAgent {
  const made = connectForeignAgent(grpc(), agentId, token);
  closing.push(made.close);
  return made;
}
function node(nodeId: string, token?: string): ForeignNode {
  const made = connectForeignNode(grpc(), nodeId, token);
  closing.push(made.close);
  return made;
}
const as = <T>(token: string, method: string, path: string, body?: unknown) =>
  test.call<T>(method, path, { headers: bearer(token), ...(body === undefined ? {} : { body }) });
const run = (token: string, vmId: string, cmd = 'ls') =>
  as<TaskResource>(token, 'POST', '/api/v1/tasks', {
    vm_id: vmId,
    shell: { cmd, env: ['PASSWORD=hunter2'] },
  });
const SPEC = { name: 'clean', tasks: [{ name: 't', driver: 'exec', config: { command: 'df -h' } }] };
const submit = (token: string, fields: object = {}) =>
  as<JobResource>(token, 'POST', '/api/v1/jobs', { ...SPEC, ...fields });
/** Submits when the agent is there: it sends no hello. */
const runWhenThere = (token: string, vmId: string) =>
  until(`agent ${vmId} is there`, async () => {
    const answer = await run(token, vmId);
    return answer.status === 202 ? answer.json : undefined;
  });

describe('an agent of tasks', () => {
  it('without a token, or with a wrong one, is refused, and the audit log knows', async () => {
    expect(await agent('agent-0').ended).toMatchObject({ code: 16 });
    expect(await agent('agent-0', 'wrong').ended).toMatchObject({ code: 16 });
    expect(await test.audit()).toContainEqual(
      expect.objectContaining({
        target: 'agent-0',
        outcome: 'refused',
        detail: expect.objectContaining({ route: 'StreamTasks', status: 'UNAUTHENTICATED' }),
      }),
    );
  });

  it('with a join token is one of that pool; a VM with its session is one of its own', async () => {
    const made = agent('agent-1', linuxJoin);
    expect(await runWhenThere(test.adminToken, 'agent-1')).toMatchObject({ pool_id: 'linux' });
    await until('it arrives', () => made.received.length > 0);
    const session = await test.joinVm('vm-1', 'windows');
    agent('vm-1', session);
    await until('the VM has its task', async () => {
      const { json } = await run(test.adminToken, 'vm-1');
      return json.state === 'sent' && json.pool_id === 'windows';
    });
    expect(await agent('vm-2', session).ended).toMatchObject({ code: 7 });
  });

  it('of a VM that is released is cut off', async () => {
    const session = await test.joinVm('vm-gone', 'linux');
    const made = agent('vm-gone', session);
    await until('it is there', async () => (await run(test.adminToken, 'vm-gone')).json.state === 'sent');
    expect((await as(test.adminToken, 'POST', '/api/v1/vms/vm-gone/release')).status).toBe(200);
    expect(await made.ended).toMatchObject({ code: 7 });
    expect(await agent('vm-gone', session).ended).toMatchObject({ code: 16 });
  });

  it('in another pool than the VM of that name was gets nothing that was meant for that one', async () => {
    await test.joinVm('vm-moves', 'linux');
    const { json: waiting } = await as<TaskResource>(operator, 'POST', '/api/v1/tasks', {
      vm_id: 'vm-moves',
      shell: { cmd: 'cat /etc/passwd' },
      delivery_timeout_ms: 60_000,
    });
    expect(waiting).toMatchObject({ state: 'created', pool_id: 'linux' });
    await as(test.adminToken, 'POST', '/api/v1/vms/vm-moves/release');
    const other = agent('vm-moves', windowsJoin);
    const ended = await until('it ends', async () => {
      const { json } = await as<TaskResource>(test.adminToken, 'GET', `/api/v1/tasks/${waiting.id}`);
      return json.state === 'failed' ? json : undefined;
    });
    expect(ended.message).toContain('another pool');
    expect((await run(operator, 'vm-moves')).status).toBe(404);
    expect(other.received).toEqual([]);
  });
});

describe('an operator of one pool', () => {
  it('runs tasks there, and of others knows nothing', async () => {
    agent('agent-l', linuxJoin);
    agent('agent-w', windowsJoin);
    const mine = await runWhenThere(operator, 'agent-l');
    const theirs = await runWhenThere(test.adminToken, 'agent-w');
    expect(mine.created_by).toBe('linus');
    const [hidden, unknown] = [await run(operator, 'agent-w'), await run(operator, 'agent-nowhere')];
    expect([hidden.status, unknown.status]).toEqual([404, 404]);
    expect(hidden.text.replaceAll('agent-w', '')).toBe(unknown.text.replaceAll('agent-nowhere', ''));
    for (const [method, path] of [
      ['GET', `/api/v1/tasks/${theirs.id}`],
      ['GET', `/api/v1/tasks/${theirs.id}/output`],
      ['DELETE', `/api/v1/tasks/${theirs.id}`],
    ] as const)
      expect((await as(operator, method, path)).status).toBe(404);
    const { json } = await as<{ tasks: TaskResource[] }>(operator, 'GET', '/api/v1/tasks');
    expect(new Set(json.tasks.map(({ pool_id }) => pool_id))).toEqual(new Set(['linux']));
    expect((await as(operator, 'DELETE', `/api/v1/tasks/${mine.id}`)).status).toBe(200);
  });

  it('submits jobs that only nodes there may have', async () => {
    const [linux, windows] = [node('node-l', linuxJoin), node('node-w', windowsJoin)];
    await linux.heartbeat({ metadata: { pool: 'windows' } });
    await windows.heartbeat({ metadata: { pool: 'linux' } });
    const { json: job } = await submit(operator);
    expect(job).toMatchObject({ pools: ['linux'], submitter: 'linus' });
    expect(await windows.getJob()).toMatchObject({ has_job: false });
    expect(await windows.claimJob(job.id)).toMatchObject({ ok: false });
    expect(await linux.getJob()).toMatchObject({ has_job: true, job: { job_id: job.id } });
    expect(await linux.claimJob(job.id)).toMatchObject({ ok: true });
    expect(await windows.updateStatus(job.id, 'completed')).toMatchObject({ ok: false });
    expect(await linux.updateStatus(job.id, 'completed')).toMatchObject({ ok: true });
  });

  it('hears nothing of nodes and jobs of others, also not through depends_on and why', async () => {
    const { json: everybody } = await submit(test.adminToken, {
      name: 'secret',
      constraints: [{ attribute: 'node_id', operator: '==', value: 'node-w' }],
    });
    expect(everybody.pools).toBeUndefined();
    for (const path of ['', '/why', '/output'])
      expect((await as(operator, 'GET', `/api/v1/jobs/${everybody.id}${path}`)).status).toBe(404);
    expect((await as(operator, 'DELETE', `/api/v1/jobs/${everybody.id}`)).status).toBe(404);
    for (const name of ['secret', everybody.id])
      expect((await submit(operator, { depends_on: [name] })).status).toBe(400);
    const { json: nodes } = await as<{ nodes: NodeResource[] }>(operator, 'GET', '/api/v1/nodes');
    expect(nodes.nodes.map(({ node_id }) => node_id)).toEqual(['node-l']);
    const { json: big } = await submit(operator, { name: 'big', resources: { ram_mb: 99_999_999 } });
    const { json: why } = await as<WhyResource>(operator, 'GET', `/api/v1/jobs/${big.id}/why`);
    expect(why.summary).toBe('1 node lacks 99999999 MB of memory');
    const { json: jobs } = await as<{ jobs: JobResource[] }>(operator, 'GET', '/api/v1/jobs');
    expect(jobs.jobs.map(({ id }) => id)).not.toContain(everybody.id);
    await as(test.adminToken, 'DELETE', `/api/v1/jobs/${everybody.id}`);
    await as(operator, 'DELETE', `/api/v1/jobs/${big.id}`);
  });

  it('takes no share of others, and gets no job of theirs by a key of theirs', async () => {
    const headers = { ...bearer(operator), 'x-submitter': 'somebody' };
    expect((await test.call('POST', '/api/v1/jobs', { headers, body: SPEC })).status).toBe(403);
    const keyed = (token: string) =>
      test.call<JobResource>('POST', '/api/v1/jobs', {
        headers: { ...bearer(token), 'idempotency-key': 'the-key' },
        body: SPEC,
      });
    const [theirs, mine] = [await keyed(test.adminToken), await keyed(operator)];
    expect(mine.json.id).not.toBe(theirs.json.id);
    expect((await keyed(operator)).json.id).toBe(mine.json.id);
  });
});

describe('a viewer', () => {
  it('reads, and runs and cancels nothing', async () => {
    const { json: job } = await submit(operator);
    expect((await as(viewer, 'GET', `/api/v1/jobs/${job.id}`)).status).toBe(200);
    expect((await run(viewer, 'agent-l')).status).toBe(403);
    expect((await submit(viewer)).status).toBe(403);
    expect((await as(viewer, 'DELETE', `/api/v1/jobs/${job.id}`)).status).toBe(403);
  });
});

describe('a node', () => {
  it('shows its join token with every call, and is counted and told of once; revoked, it is refused at once', async () => {
    const made = await test.makeToken({ kind: 'join', name: 'n', pool_id: 'linux', expires_in_ms: 60_000 });
    const busy = node('node-busy', made.token);
    await busy.heartbeat();
    // More than limits.vm_connects_per_minute.
    for (let at = 0; at < 150; at += 1) await busy.getJob();
    const joins = (await test.audit()).filter(
      ({ action, target }) => action === 'vm.join' && target === 'node-busy',
    );
    expect(joins).toHaveLength(1);
    await as(test.adminToken, 'DELETE', `/api/v1/tokens/${made.id}`);
    await expect(busy.getJob()).rejects.toMatchObject({ code: 16 });
    await expect(node('node-none').heartbeat()).rejects.toMatchObject({ code: 16 });
  });
});

describe('the audit log', () => {
  it('says who ran what where, without the values of its environment', async () => {
    await run(operator, 'agent-l', 'uname -a');
    await submit(operator, { name: 'audited' });
    await as(operator, 'POST', '/api/v1/tasks', {
      vm_id: 'agent-l',
      docker: { pull: { image: 'alpine:3' } },
    });
    const entries = await test.audit();
    expect(entries).toContainEqual(
      expect.objectContaining({
        actor: 'operator:linus',
        action: 'task.run',
        outcome: 'done',
        detail: { vm_id: 'agent-l', command: 'uname -a' },
      }),
    );
    expect(entries).toContainEqual(
      expect.objectContaining({ action: 'task.run', detail: { vm_id: 'agent-l', docker: 'pull alpine:3' } }),
    );
    expect(entries).toContainEqual(
      expect.objectContaining({ action: 'job.submit', detail: { name: 'audited' } }),
    );
    expect(JSON.stringify(entries)).not.toContain('hunter2');
  });
});
