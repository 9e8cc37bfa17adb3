/** What one VM or operator does too much of is refused to it, with a status that says so, and to nobody else. */
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import { Metadata } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from '@jest/globals';
import { commandServiceDefinition } from '@mig/common/wire/command-service';
import { until } from '@mig/testkit/github/until';
import { createManualClock } from '../../../../common/src/manual-clock.contract.js';
import { connectRequest } from '../../parts.contract.js';
import { vmReport } from '../../store/samples.contract.js';
import { openStream, type TestMiglet } from '../../test-miglet.contract.js';
import { bearer, startSecureController, type SecureController } from '../test-auth.contract.js';
import { createBuckets } from './buckets.js';

const RESOURCE_EXHAUSTED = 8;
let test: SecureController;
let started: SecureController | undefined;
afterEach(async () => {
  await started?.dispose();
  started = undefined;
});
const start = async (limits: object): Promise<void> => {
  test = await startSecureController({
    config: { insecure: false, limits: { body_bytes: 1_048_576, open_commands_per_vm: 1_000, ...limits } },
  });
  started = test;
};

async function connect(vmId: string, token: string): Promise<TestMiglet> {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  const miglet = openStream(test.controller.grpcPort, metadata);
  miglet.send({ kind: 'connect', request: connectRequest({ vmId, poolId: 'linux', bootId: 'boot-1' }) });
  return miglet;
}
const heartbeat = (vmId: string) =>
  ({
    kind: 'heartbeat',
    heartbeat: {
      vmId,
      poolId: 'linux',
      orgId: '',
      bootId: 'boot-1',
      at: 0,
      intervalMs: 0,
      report: vmReport({ state: 'ready.idle' }),
    },
  }) as const;

describe('a bucket', () => {
  it('gives what is in it, says how long it takes to fill, and is full again at most', () => {
    const clock = createManualClock();
    const buckets = createBuckets(clock, { perSecond: 10, burst: 20 });
    for (let count = 0; count < 20; count += 1) expect(buckets.take('vm')).toBe(0);
    expect(buckets.take('vm')).toBe(100);
    expect(buckets.take('other')).toBe(0);
    clock.advance(100);
    expect(buckets.take('vm')).toBe(0);
    expect(buckets.take('vm', 5)).toBe(500);
    clock.advance(3_600_000);
    expect(buckets.take('vm', 20)).toBe(0);
    expect(buckets.take('vm')).toBeGreaterThan(0);
    expect(buckets.refusedCount).toBe(3);
  });

  it('takes on credit where it is drawn from: what is owed comes back first', () => {
    const clock = createManualClock();
    const bucket = createBuckets(clock, { perSecond: 10, burst: 2 }).of('vm');
    const draws = Array.from({ length: 4 }, () => bucket.draw(1, clock.monotonicMs()));
    expect(draws).toEqual([0, 0, 100, 200]);
    expect(bucket.draw(1, clock.monotonicMs() + 200)).toBe(100);
  });

  it('lets through once what is larger than itself, and then nothing for long', () => {
    const buckets = createBuckets(createManualClock(), { perSecond: 1, burst: 10 });
    expect(buckets.take('vm', 1_000)).toBe(0);
    expect(buckets.take('vm', 1)).toBeGreaterThan(900_000);
  });
});

describe('a VM', () => {
  it('that sends too many messages is cut with RESOURCE_EXHAUSTED, also when it comes back; others go on', async () => {
    await start({ vm_messages_per_second: 1, vm_message_burst: 100, vm_heartbeats_per_second: 1_000 });
    const token = await test.joinVm('vm-loud');
    const quiet = await connect('vm-quiet', await test.joinVm('vm-quiet'));
    await quiet.next('connectAck');
    const loud = await connect('vm-loud', token);
    await loud.next('connectAck');
    for (let count = 0; count < 500; count += 1) loud.send(heartbeat('vm-loud'));
    expect(await loud.ended).toMatchObject({
      code: RESOURCE_EXHAUSTED,
      details: expect.stringContaining('1 messages a second'),
    });
    const again = await connect('vm-loud', token);
    expect(await again.ended).toMatchObject({ code: RESOURCE_EXHAUSTED });
    expect(again.received).toEqual([]);
    quiet.send(heartbeat('vm-quiet'));
    await until('the quiet one is heard', async () => {
      const { json } = await test.call('GET', '/api/v1/vms/vm-quiet', { headers: bearer(test.adminToken) });
      return json['state'] === 'ready.idle';
    });
    const { json } = await test.call<{ limits_reached: Record<string, number> }>('GET', '/health');
    expect(json.limits_reached).toMatchObject({ messages: 1, penalties: 1 });
    quiet.close();
  });

  it('that sends too many heartbeats is cut, and told when to come back', async () => {
    await start({ vm_heartbeats_per_second: 1 });
    const miglet = await connect('vm-beat', await test.joinVm('vm-beat'));
    await miglet.next('connectAck');
    for (let count = 0; count < 50; count += 1) miglet.send(heartbeat('vm-beat'));
    expect(await miglet.ended).toMatchObject({
      code: RESOURCE_EXHAUSTED,
      details: expect.stringMatching(/1 heartbeats a second: try again in [1-9]/),
    });
  });

  it('that has much to tell is read at a pace, all of it', async () => {
    await start({ vm_messages_per_second: 40 });
    const miglet = await connect('vm-busy', await test.joinVm('vm-busy'));
    await miglet.next('connectAck');
    const sentAt = performance.now();
    const note = { type: 'note', vmId: 'vm-busy', poolId: 'linux', orgId: '', bootId: 'boot-1', data: {} };
    for (let sequence = 1; sequence <= 125; sequence += 1)
      miglet.send({ kind: 'event', event: { ...note, at: 0, sequence } });
    await until('all of it is acknowledged', () =>
      miglet.received.some(
        ({ kind, ...rest }) => kind === 'eventAck' && 'sequence' in rest && rest.sequence === 125,
      ),
    );
    // 50 at once, and 50 a second.
    expect(performance.now() - sentAt).toBeGreaterThan(1_400);
    miglet.close();
  });

  it('that sends too many bytes is cut; so it is over HTTP, with 429 and Retry-After', async () => {
    await start({ vm_bytes_per_second: 1_024 });
    const token = await test.joinVm('vm-fat');
    const data = { text: 'x'.repeat(20_000) };
    const event = () =>
      test.call('POST', '/api/v1/vms/vm-fat/events', {
        headers: bearer(token),
        body: { type: 'note', pool_id: 'linux', boot_id: 'boot-1', data },
      });
    expect((await event()).status).toBe(200);
    const refused = await event();
    expect(refused).toMatchObject({ status: 429, json: { type: 'urn:mig:problem:too-much' } });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    const miglet = await connect('vm-fat', token);
    expect(await miglet.ended).toMatchObject({ code: RESOURCE_EXHAUSTED });
  });

  it('that does not say how long its bodies are is counted by what comes', async () => {
    await start({ vm_bytes_per_second: 1_024 });
    const token = await test.joinVm('vm-chunked');
    const content = JSON.stringify({
      type: 'note',
      pool_id: 'linux',
      boot_id: 'boot-1',
      data: { text: 'x'.repeat(20_000) },
    });
    const send = () =>
      new Promise<number>((resolve, reject) => {
        const request = http.request(
          {
            host: '127.0.0.1',
            port: test.controller.httpPort,
            method: 'POST',
            path: '/api/v1/vms/vm-chunked/events',
            agent: false,
            headers: { ...bearer(token), 'content-type': 'application/json', 'transfer-encoding': 'chunked' },
          },
          (response) => {
            response.resume();
            resolve(response.statusCode ?? 0);
          },
        );
        request.on('error', reject);
        request.write(content);
        request.end();
      });
    expect(await send()).toBe(200);
    expect(await send()).toBe(429);
  });

  it('that connects again and again is refused after a while', async () => {
    await start({ vm_connects_per_minute: 1 });
    const token = await test.joinVm('vm-flap');
    const codes: number[] = [];
    // That it joined counts too.
    for (let count = 0; count < 33; count += 1) {
      const miglet = await connect('vm-flap', token);
      let ended: number | undefined;
      void miglet.ended.then(({ code }) => (ended = code));
      const outcome = await until('it is accepted or refused', () =>
        miglet.received.length > 0 ? 'accepted' : ended,
      );
      if (outcome === RESOURCE_EXHAUSTED) codes.push(outcome);
      miglet.close();
    }
    expect(codes).toEqual(Array<number>(4).fill(RESOURCE_EXHAUSTED));
  });

  it('of a pool that is full is refused; one that is there is not', async () => {
    await start({ vms_per_pool: 2 });
    await test.joinVm('vm-1');
    await test.joinVm('vm-2');
    await expect(test.joinVm('vm-3')).rejects.toThrow(/429.*pool linux has 2 VMs/);
    await test.joinVm('vm-1');
    await test.joinVm('vm-3', 'windows');
  });
});

describe('a peer without a credential', () => {
  it('that sends a large body, or a body of very many values, is refused before it is known who it is', async () => {
    await start({});
    const join = (text: string) =>
      test.call('POST', '/api/v1/vms/vm-1/join', { body: { pool_id: 'linux', boot_id: 'boot-1', text } });
    expect(await join('x'.repeat(70_000))).toMatchObject({
      status: 413,
      json: { type: 'urn:mig:problem:stranger-body-too-large' },
    });
    const { status, json } = await test.call('POST', '/api/v1/vms/vm-1/join', {
      body: { list: Array.from({ length: 10_001 }, () => 1) },
    });
    expect({ status, json }).toMatchObject({ status: 400, json: { type: 'urn:mig:problem:too-complex' } });
  });

  it('that calls without end is refused, over HTTP and gRPC; a VM with its session, at the same address, is not', async () => {
    await start({ strangers_per_second: 1 });
    const token = await test.joinVm('vm-1');
    const url = `http://127.0.0.1:${test.controller.httpPort}/api/v1/vms`;
    // One connection for all, as `fetch` keeps it.
    await until('a call is refused', async () => {
      const { status, headers } = await fetch(url, { headers: bearer('mig_wrong') });
      return status === 429 && Number(headers.get('retry-after')) > 0;
    });
    const session = http2.connect(`http://127.0.0.1:${test.controller.grpcPort}`);
    session.on('error', () => undefined);
    const codes: unknown[] = [];
    // It has come through the door.
    await once(session, 'remoteSettings');
    await until('one of its calls is refused', () => {
      if (session.destroyed) return true;
      const stream = session.request({
        ':method': 'POST',
        ':path': commandServiceDefinition.streamCommands.path,
        'content-type': 'application/grpc',
      });
      stream.on('error', () => undefined);
      stream.on('response', (headers) => codes.push(headers['grpc-status']));
      return codes.includes(String(RESOURCE_EXHAUSTED));
    });
    expect(codes).toContain(String(RESOURCE_EXHAUSTED));
    await until('its connection is closed', () => session.closed);
    const miglet = await connect('vm-1', token);
    await miglet.next('connectAck');
    miglet.close();
  });
});

describe('an operator', () => {
  it('that asks too much gets 429 with Retry-After; another does not', async () => {
    await start({ operator_requests_per_second: 10 });
    const ann = bearer(await test.operatorToken({ '*': 'viewer' }, 'ann'));
    const bob = bearer(await test.operatorToken({ '*': 'viewer' }, 'bob'));
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => test.call('GET', '/api/v1/whoami', { headers: ann })),
    );
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(20);
    expect(Number(refused[0]?.headers['retry-after'])).toBeGreaterThan(0);
    expect((await test.call('GET', '/api/v1/whoami', { headers: bob })).status).toBe(200);
  });
});

describe('a request', () => {
  it('with headers beyond 32 KiB is refused before anything reads them', async () => {
    await start({});
    const status = await new Promise<number>((resolve, reject) => {
      const request = http.get(
        {
          host: '127.0.0.1',
          port: test.controller.httpPort,
          path: '/healthz',
          agent: false,
          headers: { 'x-large': 'x'.repeat(40_000) },
        },
        (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        },
      );
      request.on('error', reject);
    });
    expect(status).toBe(431);
  });
});
