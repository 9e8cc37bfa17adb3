/** How long a session is good, and from where: not stolen, not by a token that was revoked, not after the VM's end. */
import net from 'node:net';
import { Metadata } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { createManualClock, type ManualClock } from '../../../common/src/manual-clock.contract.js';
import { connectRequest } from '../parts.contract.js';
import { openStream, type TestMiglet } from '../test-miglet.contract.js';
import { peerAddress } from './peer-address.js';
import { DAY_MS, bearer, startSecureController, type SecureController } from './test-auth.contract.js';

const UNAUTHENTICATED = 16;
const PERMISSION_DENIED = 7;

let test: SecureController;
let clock: ManualClock;
let closing: (() => void)[];
beforeEach(async () => {
  closing = [];
  clock = createManualClock();
  test = await startSecureController({ clock });
});
afterEach(async () => {
  for (const close of closing) close();
  await test.dispose();
});

const event = (vmId: string, token: string, body: object = {}, from = '127.0.0.1') =>
  test.call<{ session_token?: string }>('POST', `/api/v1/vms/${vmId}/events`, {
    headers: bearer(token),
    from,
    body: { type: 'note', pool_id: 'linux', boot_id: 'boot-1', ...body },
  });
const renew = (vmId: string, token: string) =>
  test.call('POST', `/api/v1/vms/${vmId}/join`, {
    headers: bearer(token),
    body: { pool_id: 'linux', boot_id: 'boot-1' },
  });

function stream(vmId: string, token: string, port = test.controller.grpcPort): TestMiglet {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  const miglet = openStream(port, metadata);
  closing.push(() => miglet.close());
  miglet.send({ kind: 'connect', request: connectRequest({ vmId, poolId: 'linux', bootId: 'boot-1' }) });
  return miglet;
}

const makeToken = () =>
  test.makeToken({ kind: 'join', name: 'vms', pool_id: 'linux', expires_in_ms: DAY_MS });
async function joinBy(vmId: string, token: string): Promise<string> {
  const { json } = await event(vmId, token, { type: 'vm_started', sequence: 1 });
  return json.session_token ?? '';
}
const revoke = (id: string, query = '') =>
  test.call('DELETE', `/api/v1/tokens/${id}${query}`, { headers: bearer(test.adminToken) });

/** To the controller's gRPC, from another address of this machine. @returns its port */
async function relayFrom(address: string): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((near) => {
    const far = net.connect({
      host: '127.0.0.1',
      port: test.controller.grpcPort,
      localAddress: address,
    });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => near.destroy());
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as net.AddressInfo).port;
}

describe('a session that was stolen', () => {
  it('is refused from another address, over HTTP and on a stream, and goes on from its own', async () => {
    const session = await test.joinVm('vm-1');
    expect((await event('vm-1', session, {}, '127.0.0.2')).status).toBe(401);
    expect(await stream('vm-1', session, await relayFrom('127.0.0.2')).ended).toMatchObject({
      code: UNAUTHENTICATED,
    });
    await stream('vm-1', session, await relayFrom('127.0.0.1')).next('connectAck');
    expect((await event('vm-1', session)).status).toBe(200);
    expect(await test.audit()).toContainEqual(
      expect.objectContaining({
        from: '127.0.0.2',
        outcome: 'refused',
        detail: expect.objectContaining({ reason: 'the session is of address 127.0.0.1' }),
      }),
    );
  });

  it('is told apart by every address but the two of localhost', () => {
    for (const [text, address] of [
      ['127.0.0.1', '127.0.0.1'],
      ['127.0.0.2:4711', '127.0.0.2'],
      ['::1', '127.0.0.1'],
      ['[::1]:4711', '127.0.0.1'],
      ['::ffff:127.0.0.3', '127.0.0.3'],
      ['[::FFFF:10.0.0.7]:1', '10.0.0.7'],
      ['10.0.0.7', '10.0.0.7'],
      ['fe80::1%eth0', 'fe80::1'],
    ] as const)
      expect([text, peerAddress(text)]).toEqual([text, address]);
  });
});

describe('a join token that is revoked', () => {
  it('takes with it the sessions that began with it, and cuts their streams; others go on', async () => {
    const made = await makeToken();
    const session = await joinBy('vm-1', made.token);
    const other = await joinBy('vm-2', (await makeToken()).token);
    const cut = stream('vm-1', session);
    const goesOn = stream('vm-2', other);
    await cut.next('connectAck');
    await goesOn.next('connectAck');
    const renewed = String((await renew('vm-1', session)).json['session_token']);
    expect((await revoke(made.id)).status).toBe(200);
    for (const token of [session, renewed]) {
      expect((await event('vm-1', token)).status).toBe(401);
      expect((await renew('vm-1', token)).status).toBe(401);
    }
    clock.advance(1_000);
    expect(await cut.ended).toMatchObject({ code: PERMISSION_DENIED });
    expect(await stream('vm-1', renewed).ended).toMatchObject({ code: UNAUTHENTICATED });
    expect((await renew('vm-2', other)).status).toBe(200);
    expect(goesOn.received.map(({ kind }) => kind)).toContain('connectAck');
    await until('the cut is audited', async () =>
      (await test.audit()).some(
        ({ action, target, detail }) =>
          action === 'session.end' &&
          target === 'vm-1' &&
          detail['reason'] === `join token ${made.id} is revoked`,
      ),
    );
    await test.restart();
    expect((await event('vm-1', renewed)).status).toBe(401);
    // With another token the same boot joins again.
    expect((await joinBy('vm-1', (await makeToken()).token)).length).toBeGreaterThan(0);
  });

  it('with its sessions kept lets nobody in, and VMs that have joined go on, until it is revoked without', async () => {
    const made = await makeToken();
    const session = await joinBy('vm-1', made.token);
    expect((await revoke(made.id, '?sessions=keep')).status).toBe(200);
    expect((await event('vm-2', made.token, { type: 'vm_started' })).status).toBe(401);
    await test.restart();
    expect((await renew('vm-1', session)).status).toBe(200);
    await revoke(made.id);
    expect((await renew('vm-1', session)).status).toBe(401);
    await revoke(made.id, '?sessions=keep');
    expect((await renew('vm-1', session)).status).toBe(401);
  });

  it('is another thing than one that has expired: its VMs go on', async () => {
    const body = { kind: 'join', name: 'short', pool_id: 'linux', expires_in_ms: 3_600_000 } as const;
    const made = await test.makeToken(body);
    const session = await joinBy('vm-1', made.token);
    clock.setNow(clock.now() + 3_000_000);
    const next = String((await renew('vm-1', session)).json['session_token']);
    clock.setNow(clock.now() + 1_000_000);
    expect((await event('vm-2', made.token, { type: 'vm_started' })).status).toBe(401);
    expect((await renew('vm-1', session)).status).toBe(401);
    expect((await renew('vm-1', next)).status).toBe(200);
  });
});

describe('a VM that has ended', () => {
  it('tells what is left, and gets no further session once its stream has ended', async () => {
    const session = await test.joinVm('vm-1');
    const miglet = stream('vm-1', session);
    await miglet.next('connectAck');
    await event('vm-1', session, { type: 'vm_shutting_down', data: { outcome: 'drained' }, sequence: 2 });
    miglet.close();
    await until('it is done', async () => {
      const { json } = await test.call('GET', '/api/v1/vms/vm-1', { headers: bearer(test.adminToken) });
      return json['state'] === 'shutdown.done';
    });
    expect((await event('vm-1', session, { sequence: 3 })).status).toBe(200);
    expect((await renew('vm-1', session)).status).toBe(401);
  });
});

describe('a join token as the bearer', () => {
  it('begins a session by vm_started, and by no other event', async () => {
    const { token } = await makeToken();
    expect((await event('vm-1', token)).status).toBe(401);
    const join = { method: 'token', token };
    const asBody = (type: string) =>
      test.call('POST', '/api/v1/vms/vm-1/events', {
        body: { type, pool_id: 'linux', boot_id: 'boot-1', join },
      });
    expect((await asBody('note')).status).toBe(401);
    expect((await asBody('vm_started')).status).toBe(200);
  });
});
