/** The operator API (protocol.md, section 6): what it answers. What it refuses: refused-requests.test.ts, refused-bodies.test.ts. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { commandListSchema, commandSchema, type CommandResource } from '@mig/common/api/command-resource';
import { eventListSchema, heartbeatListSchema, type EventResource } from '@mig/common/api/history-resource';
import { vmListSchema, vmSchema, type VmResource } from '@mig/common/api/vm-resource';
import { until } from '@mig/testkit/github/until';
import { vmEvent, vmReport } from '../store/samples.contract.js';
import { startTestController, type TestController } from '../test-controller.contract.js';

const LOG_LEVEL = { type: 'set_log_level', parameters: { level: 'debug' } };

let test: TestController;
const submit = (vmId: string, body: object = LOG_LEVEL, headers: Record<string, string> = {}) =>
  test.call<CommandResource>('POST', `/api/v1/vms/${vmId}/commands`, { body, headers });

beforeAll(async () => {
  test = await startTestController();
  for (const [vmId, poolId, state] of [
    ['vm-a', 'pool-a', 'ready.idle'],
    ['vm-b', 'pool-b', 'ready.busy'],
    ['vm-c', 'pool-b', 'draining.finishingJob'],
  ] as const) {
    const miglet = await test.miglet({ vmId, poolId, state });
    const identity = { vmId, poolId, orgId: 'acme', bootId: 'boot-1' };
    for (const sequence of [1, 2, 3])
      miglet.send({ kind: 'event', event: vmEvent({ ...identity, sequence }) });
    miglet.send({
      kind: 'heartbeat',
      heartbeat: { ...identity, at: 0, intervalMs: 0, report: vmReport({ state }) },
    });
    await until('the events are stored', () =>
      miglet.received.some((m) => m.kind === 'eventAck' && m.sequence === 3),
    );
    if (vmId === 'vm-c') miglet.finish();
  }
  await until('vm-c is gone', () => test.log.text().includes('the stream of a VM ended'));
});
afterAll(() => test.dispose());

describe('VMs', () => {
  const list = async (query = '') => {
    const { json } = await test.call<{ vms: VmResource[]; next_cursor?: string }>(
      'GET',
      `/api/v1/vms${query}`,
    );
    return { ids: json.vms.map((vm) => vm.vm_id), cursor: json.next_cursor };
  };

  it('are listed by id, in the shape that the contract has', async () => {
    const { status, json } = await test.call('GET', '/api/v1/vms');
    expect(status).toBe(200);
    expect(vmListSchema.parse(json)).toEqual(json);
    expect((await list()).ids).toEqual(['vm-a', 'vm-b', 'vm-c']);
  });

  it.each([
    ['?pool_id=pool-b', ['vm-b', 'vm-c']],
    ['?state=ready', ['vm-a', 'vm-b']],
    ['?state=ready.busy', ['vm-b']],
    ['?state=read', []],
    ['?liveness=alive', ['vm-a', 'vm-b']],
    ['?liveness=suspect&pool_id=pool-b', ['vm-c']],
  ])('can be filtered: %s', async (query, ids) => expect((await list(query)).ids).toEqual(ids));

  it('come in pages, each after the cursor of the one before', async () => {
    const first = await list('?limit=2');
    expect(first).toEqual({ ids: ['vm-a', 'vm-b'], cursor: expect.any(String) });
    expect(await list(`?limit=2&cursor=${first.cursor}`)).toEqual({ ids: ['vm-c'], cursor: undefined });
    expect(await list('?limit=3')).toEqual({ ids: ['vm-a', 'vm-b', 'vm-c'], cursor: undefined });
  });

  it('are not filtered by a parameter that there is not: it is named', async () => {
    const { status, json } = await test.call<{ detail: string }>('GET', '/api/v1/vms?pool=pool-b&limit=2');
    expect(status).toBe(400);
    expect(json.detail).toBe(
      'querystring: no parameter "pool" here: there are pool_id, state, liveness, eligible, limit, cursor',
    );
  });

  it('one is shown with its link, its liveness and its last event', async () => {
    const { json } = await test.call<VmResource>('GET', '/api/v1/vms/vm-c');
    expect(vmSchema.parse(json)).toEqual(json);
    expect(json).toMatchObject({
      pool_id: 'pool-b',
      state: 'draining.finishingJob',
      link: 'disconnected',
      liveness: 'suspect',
    });
    const { json: history } = await test.call<{ events: EventResource[] }>('GET', '/api/v1/vms/vm-c/events');
    expect(json.last_event_id).toBe(history.events.at(-1)?.id);
  });
});

describe('histories', () => {
  it('events come newest last, after one of them, and no more than asked for', async () => {
    const events = async (query = '') => {
      const { json } = await test.call<{ events: EventResource[] }>('GET', `/api/v1/vms/vm-a/events${query}`);
      expect(eventListSchema.parse(json)).toEqual(json);
      return json.events;
    };
    const all = await events();
    expect(all.map((event) => event.sequence)).toEqual([1, 2, 3]);
    expect((await events(`?after=${all[0]?.id}`)).map((event) => event.sequence)).toEqual([2, 3]);
    expect((await events(`?after=${all[0]?.id}&limit=1`)).map((event) => event.sequence)).toEqual([2]);
    expect((await events('?limit=1')).map((event) => event.sequence)).toEqual([3]);
  });

  it('heartbeats come newest last', async () => {
    const json = await test.eventually<{ heartbeats: { miglet_state: string }[] }>(
      'a heartbeat is kept',
      '/api/v1/vms/vm-a/heartbeats?limit=5',
      ({ heartbeats }) => heartbeats.length > 0,
    );
    expect(heartbeatListSchema.parse(json)).toEqual(json);
    expect(json.heartbeats.map((heartbeat) => heartbeat.miglet_state)).toEqual(['ready.idle']);
  });
});

describe('commands', () => {
  it('one is accepted with 202, its place, its deadlines and who asked, and can be read again', async () => {
    const { status, headers, json } = await submit('vm-c', { ...LOG_LEVEL, delivery_deadline_ms: 60_000 });
    expect(status).toBe(202);
    expect(headers['location']).toBe(`/api/v1/commands/${json.id}`);
    expect(commandSchema.parse(json)).toEqual(json);
    expect(json).toMatchObject({
      vm_id: 'vm-c',
      ...LOG_LEVEL,
      state: 'queued',
      attempts: 0,
      created_by: 'operator',
    });
    expect(Date.parse(json.delivery_deadline_at) - Date.parse(json.created_at)).toBe(60_000);
    expect((await test.call('GET', headers['location'] ?? '')).json).toEqual(json);
  });

  it('the same Idempotency-Key gives the same command; another VM another', async () => {
    const headers = { 'idempotency-key': 'key 1' };
    const [first, again, other] = [
      await submit('vm-c', LOG_LEVEL, headers),
      await submit('vm-c', LOG_LEVEL, headers),
      await submit('vm-a', LOG_LEVEL, headers),
    ];
    expect(again.status).toBe(202);
    expect(again.json).toEqual(first.json);
    expect(other.json.id).not.toBe(first.json.id);
  });

  it('are listed in the order of their submission, by VM and state, in pages', async () => {
    const submitted = [];
    // Of a kind that no newer one takes the place of.
    const registration = { type: 'register_runner', parameters: {} };
    for (let n = 0; n < 5; n += 1) submitted.push((await submit('vm-c', registration)).json.id);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const query = `?vm_id=vm-c&state=queued&limit=2${cursor === undefined ? '' : `&cursor=${cursor}`}`;
      const { json } = await test.call<{ commands: CommandResource[]; next_cursor?: string }>(
        'GET',
        `/api/v1/commands${query}`,
      );
      expect(commandListSchema.parse(json)).toEqual(json);
      seen.push(...json.commands.map((command) => command.id));
      cursor = json.next_cursor;
    } while (cursor !== undefined);
    expect(seen.slice(-5)).toEqual(submitted);
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('a queued one can be cancelled, once', async () => {
    const { id } = (await submit('vm-c')).json;
    const { status, json } = await test.call('DELETE', `/api/v1/commands/${id}`);
    expect({ status, state: json['state'] }).toEqual({ status: 200, state: 'cancelled' });
    expect((await test.call('DELETE', `/api/v1/commands/${id}`)).status).toBe(409);
  });
});

describe('the controller itself', () => {
  it('says how it is', async () => {
    expect((await test.call('GET', '/healthz')).json).toEqual({ status: 'ok' });
    expect((await test.call('GET', '/readyz')).json).toEqual({
      status: 'ready',
      reasons: [],
      warnings: [expect.stringContaining('no credential is needed')],
    });
    expect((await test.call('GET', '/health')).json).toEqual({
      status: 'ok',
      connected_agents: 2,
      total_connections: 3,
      uptime_seconds: expect.any(Number),
      version: '0.1.0',
      limits_reached: {
        messages: 0,
        heartbeats: 0,
        bytes: 0,
        connects: 0,
        penalties: 0,
        requests: 0,
        pools: 0,
        // However many came at the same moment.
        connections_delayed: expect.any(Number),
        connections_refused: 0,
        strangers: 0,
        cut: 0,
      },
    });
  });

  it('describes every route', async () => {
    const { json } = await test.call<{ openapi: string; paths: Record<string, object> }>(
      'GET',
      '/api/v1/openapi.json',
    );
    expect(json.openapi).toMatch(/^3\.1/);
    const routes = Object.entries(json.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes.sort()).toEqual([
      'DELETE /api/v1/commands/{id}',
      'DELETE /api/v1/drains/{id}',
      'DELETE /api/v1/jobs/{id}',
      'DELETE /api/v1/tasks/{id}',
      'DELETE /api/v1/tokens/{id}',
      'GET /api/v1/audit',
      'GET /api/v1/commands',
      'GET /api/v1/commands/{id}',
      'GET /api/v1/drains',
      'GET /api/v1/drains/{id}',
      'GET /api/v1/github',
      'GET /api/v1/github/runners',
      'GET /api/v1/jobs',
      'GET /api/v1/jobs/{id}',
      'GET /api/v1/jobs/{id}/output',
      'GET /api/v1/jobs/{id}/why',
      'GET /api/v1/nodes',
      'GET /api/v1/revoked-certificates',
      'GET /api/v1/runner-downloads',
      'GET /api/v1/tasks',
      'GET /api/v1/tasks/{id}',
      'GET /api/v1/tasks/{id}/output',
      'GET /api/v1/tokens',
      'GET /api/v1/vms',
      'GET /api/v1/vms/{vm_id}',
      'GET /api/v1/vms/{vm_id}/commands',
      'GET /api/v1/vms/{vm_id}/events',
      'GET /api/v1/vms/{vm_id}/heartbeats',
      'GET /api/v1/whoami',
      'GET /api/v1/workflow-jobs',
      'GET /api/v1/workflow-jobs/{id}',
      'GET /health',
      'GET /healthz',
      'GET /readyz',
      'POST /api/v1/drains',
      'POST /api/v1/jobs',
      'POST /api/v1/jobs/check',
      'POST /api/v1/revoked-certificates',
      'POST /api/v1/tasks',
      'POST /api/v1/tokens',
      'POST /api/v1/vms/{vm_id}/commands',
      'POST /api/v1/vms/{vm_id}/commands/{id}/ack',
      'POST /api/v1/vms/{vm_id}/cordon',
      'POST /api/v1/vms/{vm_id}/events',
      'POST /api/v1/vms/{vm_id}/heartbeat',
      'POST /api/v1/vms/{vm_id}/join',
      'POST /api/v1/vms/{vm_id}/registration-token',
      'POST /api/v1/vms/{vm_id}/release',
      'POST /api/v1/vms/{vm_id}/uncordon',
      'POST /webhooks/github',
    ]);
  });
});
