/** HTTP for a MIGlet (protocol.md, section 2): one that announces itself, and one that has no stream at all. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { CommandResource } from '@mig/common/api/command-resource';
import type { VmResource } from '@mig/common/api/vm-resource';
import { startTestController, type TestController } from '../test-controller.contract.js';

const IDENTITY = { vm_id: 'vm-1', pool_id: 'pool-a', org_id: 'acme' };
const REGISTERED = { registration_token: expect.stringMatching(/^A[0-9A-F]{28}$/) as unknown };

interface Polled {
  readonly vm_id: string;
  readonly commands: { id: string; type: string; parameters: Record<string, unknown>; created_at: number }[];
}

let test: TestController;
beforeEach(async () => {
  test = await startTestController({
    withGitHub: true,
    config: {},
  });
});
afterEach(() => test.dispose());

const post = (rest: string, body: object) => test.call('POST', `/api/v1/vms/vm-1/${rest}`, { body });
const announce = (fields: object = {}) =>
  post('events', { ...IDENTITY, type: 'vm_started', data: { version: '1.0', cores: 4 }, ...fields });
const vm = async () => (await test.call<VmResource>('GET', '/api/v1/vms/vm-1')).json;
const poll = async () => (await test.call<Polled>('GET', '/api/v1/vms/vm-1/commands')).json;
const submit = async (type: string, parameters: object = {}) =>
  (await post('commands', { type, parameters })).json as unknown as CommandResource;

describe('an announcement', () => {
  it('is acknowledged with who it is and where the stream is; the VM is known', async () => {
    const { status, json } = await announce();
    expect(status).toBe(200);
    expect(json).toEqual({
      status: 'acknowledged',
      acknowledged: true,
      ...IDENTITY,
      message: 'event vm_started is stored',
      grpc_endpoint: `127.0.0.1:${test.controller.grpcPort}`,
    });
    expect(await vm()).toMatchObject({ ...IDENTITY, state: 'booting', version: '1.0', link: 'disconnected' });
  });

  it('is stored once, however often it comes; another event names no endpoint (I4)', async () => {
    for (let n = 0; n < 3; n += 1) await announce({ boot_id: 'boot-1', sequence: 1 });
    const other = await post('events', { ...IDENTITY, type: 'draining', boot_id: 'boot-1', sequence: 2 });
    expect(other.json['grpc_endpoint']).toBeUndefined();
    const { json } = await test.call<{ events: { type: string; via: string; data: object }[] }>(
      'GET',
      '/api/v1/vms/vm-1/events',
    );
    expect(json.events.map((event) => [event.type, event.via])).toEqual([
      ['vm_started', 'http'],
      ['draining', 'http'],
    ]);
    expect(json.events[0]?.data).toEqual({ version: '1.0', cores: '4' });
  });

  it.each([
    [1_795_000_000, '2026-11-18T11:06:40.000Z'],
    ['1795000000', '2026-11-18T11:06:40.000Z'],
    ['2026-11-18T12:06:40.5+01:00', '2026-11-18T11:06:40.500Z'],
  ])('its time may be %j', async (timestamp, at) => {
    await announce({ timestamp });
    const { json } = await test.call<{ events: { timestamp: string }[] }>('GET', '/api/v1/vms/vm-1/events');
    expect(json.events[0]?.timestamp).toBe(at);
  });

  it.each([1e300, -1e300, '9'.repeat(30), 'yesterday'])(
    'a time that is none (%j) does not break it',
    async (timestamp) => {
      expect((await announce({ timestamp })).status).toBe(200);
      expect((await test.call('GET', '/api/v1/vms/vm-1/events')).status).toBe(200);
    },
  );
});

describe('a MIGlet without a stream', () => {
  beforeEach(() => announce());

  it('reports its state by heartbeats; numbers may come as text (JSON of protobuf)', async () => {
    const health = { cpu_usage_percent: 5.5, memory_total_bytes: '8000', disk_used_bytes: 'x' };
    const runner = { state: 'running', configured: true, runner_name: 'r', labels: ['gpu'] };
    const job = { job_id: '7', run_id: '1', repository: 'acme/app', started_at: '60' };
    const beat = {
      ...IDENTITY,
      miglet_state: 'job_running',
      health,
      runner_state: runner,
      current_job: job,
      other: 1,
    };
    const { status, json } = await post('heartbeat', beat);
    expect({ status, json }).toEqual({ status: 200, json: { status: 'received' } });
    expect(await vm()).toMatchObject({
      state: 'ready.busy',
      health: { cpu_usage_percent: 5.5, memory_total_bytes: 8_000, disk_used_bytes: 0 },
      runner,
      current_job: { job_id: '7', status: 'running', started_at: '1970-01-01T00:01:00.000Z' },
    });
  });

  it.each([1e300, '1e300', 'Infinity', -1e300])(
    'a job that began at no time (%j) does not break anything',
    async (started_at) => {
      const beat = { ...IDENTITY, miglet_state: 'idle', current_job: { job_id: '7', started_at } };
      expect((await post('heartbeat', beat)).status).toBe(200);
      expect((await test.call('GET', '/api/v1/vms')).status).toBe(200);
    },
  );

  it('asks for its commands, is given them until it acknowledges, and its word ends them', async () => {
    const [level, drain] = [
      await submit('set_log_level', { level: 'debug' }),
      await submit('drain', { deadline_ms: 5 }),
    ];
    const polled = await poll();
    expect(polled).toEqual({
      vm_id: 'vm-1',
      commands: [
        {
          id: level.id,
          type: 'set_log_level',
          parameters: { level: 'debug' },
          created_at: expect.any(Number),
        },
        { id: drain.id, type: 'drain', parameters: { deadline_ms: 5 }, created_at: expect.any(Number) },
      ],
    });
    expect((await poll()).commands).toHaveLength(2);
    const done = await post(`commands/${level.id}/ack`, { success: true, result: { level: 'debug' } });
    expect({ status: done.status, json: done.json }).toEqual({
      status: 200,
      json: { status: 'acknowledged' },
    });
    await post(`commands/${drain.id}/ack`, { success: false, message: 'cannot' });
    expect((await poll()).commands).toEqual([]);
    const read = async (id: string) => (await test.call('GET', `/api/v1/commands/${id}`)).json;
    expect(await read(level.id)).toMatchObject({
      state: 'completed',
      attempts: 2,
      result: { level: 'debug' },
    });
    expect(await read(drain.id)).toMatchObject({ state: 'failed', message: 'cannot' });
  });

  it("cannot acknowledge another VM's command (I10)", async () => {
    const { id } = await submit('drain');
    await test.call('POST', '/api/v1/vms/vm-2/events', { body: { type: 'vm_started', pool_id: 'pool-a' } });
    await test.call('POST', `/api/v1/vms/vm-2/commands/${id}/ack`, { body: { success: true } });
    expect((await test.call('GET', `/api/v1/commands/${id}`)).json).toMatchObject({ state: 'queued' });
  });

  it('is given a registration with its configuration, the same at every poll, or keeps waiting while GitHub is away (I9)', async () => {
    test.github.faults.failNext('generate-jitconfig', { status: 502, count: 3 });
    const { id } = await submit('register_runner');
    expect((await poll()).commands).toEqual([]);
    expect((await test.call('GET', `/api/v1/commands/${id}`)).json).toMatchObject({
      state: 'queued',
      message: expect.stringMatching(/^waits for GitHub: GitHub answered 502/) as unknown,
    });
    const parameters = { jit_config: expect.stringMatching(/^[A-Za-z0-9+/=]{200,}$/) as unknown };
    const [first] = (await poll()).commands;
    expect(first).toMatchObject({ id, parameters });
    // Another one would take the first away from a VM that may have it.
    expect((await poll()).commands).toEqual([first]);
    expect(test.github.runners()).toHaveLength(1);
  });

  it('asks for a registration token', async () => {
    const { status, json } = await post('registration-token', {
      ...IDENTITY,
      runner_group: 'large',
      labels: ['gpu'],
    });
    expect(status).toBe(200);
    expect(json).toEqual({
      ...REGISTERED,
      expires_at: expect.any(String),
      runner_url: test.github.organizationUrl,
      runner_group: 'large',
      labels: ['gpu'],
    });
  });
});
