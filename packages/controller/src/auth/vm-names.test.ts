/** Whose a VM's name is: its pool's and its boot's, until it is released, and for good what was released. */
import { Metadata } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { createManualClock, type ManualClock } from '../../../common/src/manual-clock.contract.js';
import { connectRequest } from '../parts.contract.js';
import { openStream } from '../test-miglet.contract.js';
import { bearer, startSecureController, type SecureController } from './test-auth.contract.js';

const UNAUTHENTICATED = 16;
const ALREADY_EXISTS = 6;
const LOST_MS = 3_600_000;
const HERE = '127.0.0.1';
const ELSEWHERE = '127.0.0.2';

let test: SecureController;
let clock: ManualClock;
beforeEach(async () => {
  clock = createManualClock();
  test = await startSecureController({
    clock,
    config: {
      auth: { session: { lifetime: '2h' } },
      heartbeat: { interval: '15s', lost_after: '30m' },
      retention: { age: '7d', vms: '24h' },
      pools: { open: { allow_unauthenticated: true }, open2: { allow_unauthenticated: true } },
    },
  });
});
afterEach(() => test.dispose());

const event = (vmId: string, token: string | undefined, body: object = {}) =>
  test.call('POST', `/api/v1/vms/${vmId}/events`, {
    body: { type: 'note', pool_id: 'linux', boot_id: 'boot-1', ...body },
    ...(token === undefined ? {} : { headers: bearer(token) }),
  });

/** By a join token of the pool, perhaps with the session of before. */
async function join(
  vmId: string,
  more: { poolId?: string; bootId?: string; from?: string; session?: string } = {},
) {
  const { poolId = 'linux', bootId = 'boot-1', from = HERE, session } = more;
  const token = await test.joinToken(poolId);
  return test.call<{ session_token: string; type: string; detail: string }>(
    'POST',
    `/api/v1/vms/${vmId}/join`,
    {
      from,
      body: { pool_id: poolId, boot_id: bootId, join: { method: 'token', token } },
      ...(session === undefined ? {} : { headers: bearer(session) }),
    },
  );
}

/** How a stream without a credential ends, or that it was accepted. */
async function connectAnonymously(vmId: string, poolId: string): Promise<number | 'accepted'> {
  const miglet = openStream(test.controller.grpcPort, new Metadata());
  miglet.send({ kind: 'connect', request: connectRequest({ vmId, poolId, bootId: 'anonymous' }) });
  let ended: number | undefined;
  void miglet.ended.then(({ code }) => (ended = code));
  const outcome = await until('the stream is accepted or ended', () =>
    miglet.received.some(({ kind }) => kind === 'connectAck') ? ('accepted' as const) : ended,
  );
  miglet.close();
  return outcome;
}

const asAdmin = () => ({ headers: bearer(test.adminToken) });
const release = async (vmId: string): Promise<number> =>
  (await test.call('POST', `/api/v1/vms/${vmId}/release`, asAdmin())).status;
const poolOf = async (vmId: string): Promise<unknown> =>
  (await test.call('GET', `/api/v1/vms/${vmId}`, asAdmin())).json['pool_id'];
async function livenessOf(vmId: string): Promise<unknown> {
  return (await test.call('GET', `/api/v1/vms/${vmId}`, asAdmin())).json['liveness'];
}
const end = (vmId: string, token: string) =>
  event(vmId, token, { type: 'vm_shutting_down', data: { outcome: 'drained' }, sequence: 2 });

describe('the name of a VM that is lost or has ended', () => {
  const gone: [string, (vmId: string, token: string) => Promise<unknown>][] = [
    [
      'is lost',
      async (vmId) => {
        clock.advance(LOST_MS);
        expect(await livenessOf(vmId)).toBe('lost');
      },
    ],
    ['has ended', end],
  ];

  it.each(gone)('that %s is refused to another pool, until it is released', async (_, leave) => {
    await leave('vm-1', await test.joinVm('vm-1'));
    const refused = await join('vm-1', { poolId: 'windows', bootId: 'boot-2' });
    expect(refused).toMatchObject({ status: 409, json: { type: 'urn:mig:problem:vm-claimed' } });
    expect(refused.json.detail).toContain('migctl release vm-1');
    expect(refused.json.detail).not.toContain('linux');
    const viewer = bearer(await test.operatorToken({ windows: 'viewer' }));
    expect((await test.call('GET', '/api/v1/vms/vm-1/events', { headers: viewer })).status).toBe(404);
    await test.restart();
    expect((await join('vm-1', { poolId: 'windows', bootId: 'boot-2' })).status).toBe(409);
    const operator = bearer(await test.operatorToken({ windows: 'operator' }));
    expect((await test.call('POST', '/api/v1/vms/vm-1/release', { headers: operator })).status).toBe(404);
    expect(await release('vm-1')).toBe(200);
    await test.joinVm('vm-1', 'windows', 'boot-2');
    expect(await poolOf('vm-1')).toBe('windows');
  });

  it.each(gone)('that %s goes to the next boot of its own pool without an operator', async (_, leave) => {
    await leave('vm-1', await test.joinVm('vm-1'));
    await test.joinVm('vm-1', 'linux', 'boot-2');
    expect(await poolOf('vm-1')).toBe('linux');
  });

  it.each(gone)('that %s is refused to a peer without a credential, also of its pool', async (_, leave) => {
    await leave('vm-1', await test.joinVm('vm-1'));
    await leave('vm-2', await test.joinVm('vm-2', 'open'));
    await test.restart();
    expect(await connectAnonymously('vm-1', 'open')).toBe(UNAUTHENTICATED);
    expect(await connectAnonymously('vm-2', 'open')).toBe(UNAUTHENTICATED);
    expect((await event('vm-2', undefined, { type: 'vm_started', pool_id: 'open' })).status).toBe(401);
    await release('vm-2');
    expect(await connectAnonymously('vm-2', 'open')).toBe('accepted');
  });

  it('stays with its pool also where no pool asks for a credential', async () => {
    expect(await connectAnonymously('vm-1', 'open')).toBe('accepted');
    clock.advance(LOST_MS);
    expect(await connectAnonymously('vm-1', 'open2')).toBe(ALREADY_EXISTS);
    expect(await connectAnonymously('vm-1', 'open')).toBe('accepted');
  });

  it('is free when the VM is forgotten', async () => {
    await test.joinVm('vm-1', 'open');
    // The first to lose it, the second to have been away for longer than it is kept.
    clock.advance(LOST_MS);
    clock.setNow(clock.now() + 25 * 3_600_000);
    clock.advance(600_000);
    await until('it is forgotten', async () => {
      clock.advance(1_000);
      return (await test.call('GET', '/api/v1/vms/vm-1', asAdmin())).status === 404;
    });
    await test.joinVm('vm-1', 'windows', 'boot-2');
    expect(await poolOf('vm-1')).toBe('windows');
  });
});

describe('a release', () => {
  it('ends the sessions of a VM that is lost, and of one that has ended', async () => {
    const lost = await test.joinVm('vm-lost');
    const ended = await test.joinVm('vm-ended');
    await end('vm-ended', ended);
    clock.advance(LOST_MS);
    expect((await event('vm-lost', lost)).status).toBe(200);
    clock.advance(LOST_MS - 60_000);
    expect([await release('vm-lost'), await release('vm-ended')]).toEqual([200, 200]);
    expect((await event('vm-lost', lost)).status).toBe(401);
    expect((await event('vm-ended', ended)).status).toBe(401);
  });

  it('holds for good: not another one, not a restart brings back the session or the boot of before', async () => {
    const sessions = [await test.joinVm('vm-1', 'linux', 'boot-1')];
    for (const bootId of ['boot-2', 'boot-3']) {
      expect(await release('vm-1')).toBe(200);
      sessions.push(await test.joinVm('vm-1', 'linux', bootId));
    }
    expect(await release('vm-1')).toBe(200);
    const nothingIsTaken = async () => {
      for (const [index, token] of sessions.entries()) {
        const bootId = `boot-${index + 1}`;
        expect([bootId, (await event('vm-1', token, { boot_id: bootId })).status]).toEqual([bootId, 401]);
        expect([bootId, (await join('vm-1', { bootId })).status]).toEqual([bootId, 409]);
      }
    };
    await nothingIsTaken();
    await test.restart();
    await nothingIsTaken();
    const next = await test.joinVm('vm-1', 'linux', 'boot-4');
    await test.restart();
    expect((await event('vm-1', next, { boot_id: 'boot-4' })).status).toBe(200);
    await nothingIsTaken();
  });
});

describe('a boot that joins again', () => {
  it('is taken from its own address, also after a restart, and from another with its session', async () => {
    const session = await test.joinVm('vm-1');
    expect((await join('vm-1')).status).toBe(200);
    await test.restart();
    expect((await join('vm-1')).status).toBe(200);
    const moved = await join('vm-1', { from: ELSEWHERE, session });
    expect(moved.status).toBe(200);
    expect((await join('vm-1', { from: ELSEWHERE })).status).toBe(200);
    expect((await join('vm-1', { from: HERE })).status).toBe(409);
  });

  it('is refused from another address while its session lives: every viewer knows its id', async () => {
    const session = await test.joinVm('vm-1');
    const other = await test.joinVm('vm-2');
    for (const more of [{}, { session: other }, { session: `${session.slice(0, -4)}AAAA` }]) {
      const refused = await join('vm-1', { from: ELSEWHERE, ...more });
      expect(refused).toMatchObject({ status: 409, json: { type: 'urn:mig:problem:vm-claimed' } });
    }
    await test.restart();
    expect((await join('vm-1', { from: ELSEWHERE })).status).toBe(409);
    expect((await event('vm-1', session)).status).toBe(200);
  });

  it('is taken from another address when nothing was heard of it for the life of a session', async () => {
    await test.joinVm('vm-1');
    await test.controller.stop();
    clock.setNow(clock.now() + 2 * 3_600_000 + 1);
    await test.restart();
    expect((await join('vm-1', { from: ELSEWHERE })).status).toBe(200);
  });
});
