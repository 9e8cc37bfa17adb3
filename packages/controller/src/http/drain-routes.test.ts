/** Drains over the operator API, with real streams and files. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { CommandResource } from '@mig/common/api/command-resource';
import { drainListSchema, drainSchema, type DrainResource } from '@mig/common/api/drain-resource';
import { until } from '@mig/testkit/github/until';
import { startTestController, type TestController } from '../test-controller.contract.js';
import type { TestMiglet } from '../test-miglet.contract.js';

let test: TestController;
const miglets = new Map<string, TestMiglet>();

beforeAll(async () => {
  test = await startTestController();
  for (const vmId of ['vm-1', 'vm-2', 'vm-3'])
    miglets.set(vmId, await test.miglet({ vmId, poolId: 'pool-a', state: 'ready.idle' }));
});
afterAll(() => test.dispose());

const create = (body: object, headers: Record<string, string> = {}) =>
  test.call<DrainResource>('POST', '/api/v1/drains', { body, headers });
const pathOf = (drain: DrainResource): string => `/api/v1/drains/${drain.id}`;

async function commandsOf(vmId: string): Promise<CommandResource[]> {
  const { json } = await test.call<{ commands: CommandResource[] }>('GET', `/api/v1/commands?vm_id=${vmId}`);
  return json.commands;
}

/** The VM does what it was told. */
async function complete(vmId: string, commandId: string): Promise<void> {
  miglets.get(vmId)?.send({
    kind: 'ack',
    ack: { commandId, phase: 'completed', success: true, message: 'drained', result: {} },
  });
  await test.eventually<CommandResource>(
    'the result is recorded',
    `/api/v1/commands/${commandId}`,
    ({ state }) => state === 'completed',
  );
}

describe('a drain', () => {
  it('is made, followed to its end, found in the list, and there after a restart', async () => {
    const made = await create({
      selector: { pool_id: 'pool-a' },
      reason: 'new image',
      max_unavailable: 1,
      deadline_ms: 0,
    });
    expect(made.status).toBe(202);
    expect(made.headers['location']).toBe(pathOf(made.json));
    expect(drainSchema.parse(made.json)).toEqual(made.json);
    expect(made.json).toMatchObject({
      selector: { pool_id: 'pool-a' },
      reason: 'new image',
      created_by: 'operator',
      deadline_ms: 0,
      force: false,
      max_unavailable: 1,
      then: 'keep',
      state: 'active',
      vms: [{ vm_id: 'vm-1', boot_id: 'boot-1' }, { vm_id: 'vm-2' }, { vm_id: 'vm-3' }],
    });
    for (const vmId of ['vm-1', 'vm-2', 'vm-3']) {
      const drain = await test.eventually<DrainResource>(`${vmId} drains`, pathOf(made.json), ({ vms }) =>
        vms.some((vm) => vm.vm_id === vmId && vm.state === 'draining' && vm.command_id !== undefined),
      );
      expect(drain.counts['draining']).toBe(1);
      const vm = drain.vms.find((candidate) => candidate.vm_id === vmId);
      await until('it has the command', async () =>
        (await commandsOf(vmId)).some((command) => command.id === vm?.command_id && command.state === 'sent'),
      );
      await complete(vmId, vm?.command_id ?? '');
    }
    const ended = await test.eventually<DrainResource>(
      'the drain ends',
      pathOf(made.json),
      ({ state }) => state === 'completed',
    );
    expect(ended.counts).toMatchObject({ done: 3, waiting: 0, draining: 0 });
    expect(ended.vms[0]).toMatchObject({ state: 'done', message: 'drained' });
    await test.restart();
    expect((await test.call('GET', pathOf(made.json))).json).toEqual(ended);
    const { json } = await test.call('GET', '/api/v1/drains?state=completed');
    expect(drainListSchema.parse(json).drains).toEqual([ended]);
    expect((await test.call('GET', '/api/v1/drains?state=active')).json).toEqual({ drains: [] });
    expect((await test.call('DELETE', pathOf(made.json))).json).toMatchObject({
      status: 409,
      type: expect.stringContaining('drain-ended') as unknown,
    });
    for (const vmId of miglets.keys())
      miglets.set(vmId, await test.miglet({ vmId, poolId: 'pool-a', state: 'draining.drained' }));
  });

  it('is taken back by DELETE; the VM is told', async () => {
    const made = await create({ selector: { vm_ids: ['vm-1'] } }, { 'idempotency-key': 'once' });
    expect((await create({ selector: { vm_ids: ['vm-1'] } }, { 'idempotency-key': 'once' })).json.id).toBe(
      made.json.id,
    );
    await until('the drain went out', async () =>
      (await commandsOf('vm-1')).some(({ type, state }) => type === 'drain' && state === 'sent'),
    );
    const undrained = await test.call<DrainResource>('DELETE', pathOf(made.json));
    expect(undrained.status).toBe(200);
    expect(undrained.json).toMatchObject({ state: 'cancelled', vms: [{ state: 'cancelled' }] });
    await until('the VM is told', () =>
      (miglets.get('vm-1')?.received ?? []).some(
        (message) => message.kind === 'command' && message.command.type === 'undrain',
      ),
    );
  });

  it.each([
    [{}, 400, /selector/],
    [{ selector: {} }, 400, /exactly one of vm_ids, pool_id, labels, all/],
    [{ selector: { all: true, pool_id: 'pool-a' } }, 400, /exactly one/],
    [{ selector: { all: false } }, 400, /selector/],
    [{ selector: { vm_ids: ['../etc'] } }, 400, /vm_ids/],
    [{ selector: { vm_ids: ['nobody'] } }, 400, /never seen by this controller: nobody/],
    [{ selector: { pool_id: 'pool-z' } }, 400, /pool pool-z has no VM/],
    [{ selector: { all: true }, max_unavailable: 0 }, 400, /max_unavailable/],
    [{ selector: { all: true }, deadline_ms: -1 }, 400, /deadline_ms/],
    [{ selector: { all: true }, then: 'reboot' }, 400, /then/],
    [{ selector: { all: true }, forse: true }, 400, /forse/],
  ])('that is wrong is refused, and says why: %j', async (body, status, detail) => {
    const before = (await test.call('GET', '/api/v1/drains')).text;
    const answer = await create(body);
    expect(answer.status).toBe(status);
    expect(answer.text).toMatch(detail);
    expect((await test.call('GET', '/api/v1/drains')).text).toBe(before);
  });

  it('can be taken back by a client that names JSON and sends nothing', async () => {
    const { json } = await test.call('DELETE', '/api/v1/drains/drain-0', {
      headers: { 'content-type': 'application/json' },
    });
    expect(json).toMatchObject({ status: 404 });
  });

  it('that is not known is 404', async () => {
    for (const method of ['GET', 'DELETE'])
      expect((await test.call(method, '/api/v1/drains/drain-0')).json).toMatchObject({
        status: 404,
        detail: expect.stringContaining('drain drain-0 is not known') as unknown,
      });
  });
});
