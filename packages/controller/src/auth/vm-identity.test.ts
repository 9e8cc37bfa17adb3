/** A VM speaks only for itself (I10): how it joins, what its session is good for, and what is refused. */
import { generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SignJWT, decodeJwt, decodeProtectedHeader, importJWK, type JWK } from 'jose';
import type { EventResource } from '@mig/common/api/history-resource';
import { until } from '@mig/testkit/github/until';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { expectProblem } from '../http/expect-problem.contract.js';
import { connectRequest } from '../parts.contract.js';
import { openStream, type TestMiglet } from '../test-miglet.contract.js';
import { bearer, startSecureController, type SecureController } from './test-auth.contract.js';

const UNAUTHENTICATED = 16;
const PERMISSION_DENIED = 7;
const ALREADY_EXISTS = 6;

let test: SecureController;
let session: string;
beforeAll(async () => {
  test = await startSecureController({
    config: { insecure: false, pools: { open: { allow_unauthenticated: true } } },
  });
  session = await test.joinVm('vm-1');
});
afterAll(() => test.dispose());

const event = (vmId: string, token: string | undefined, body: object = {}) =>
  test.call('POST', `/api/v1/vms/${vmId}/events`, {
    body: { type: 'note', pool_id: 'linux', boot_id: 'boot-1', ...body },
    ...(token === undefined ? {} : { headers: bearer(token) }),
  });

function stream(token: string | undefined, of: SecureController = test): TestMiglet {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  return openStream(of.controller.grpcPort, metadata);
}

/** How the stream of this VM ends, or that it was accepted. */
async function connect(
  token: string | undefined,
  request: Parameters<typeof connectRequest>[0] = {},
): Promise<number | 'accepted'> {
  const miglet = stream(token);
  miglet.send({
    kind: 'connect',
    request: connectRequest({ vmId: 'vm-1', poolId: 'linux', bootId: 'boot-1', ...request }),
  });
  let ended: number | undefined;
  void miglet.ended.then(({ code }) => (ended = code));
  const outcome = await until('the stream is accepted or ended', () =>
    miglet.received.some(({ kind }) => kind === 'connectAck') ? ('accepted' as const) : ended,
  );
  miglet.close();
  return outcome;
}

/** A session token, signed with the controller's own key, that says something else. */
async function forge(change: Record<string, unknown>, header: object = {}): Promise<string> {
  const file = path.join(test.directory, 'data', '.auth', 'session-key.json');
  const jwk = JSON.parse(await readFile(file, 'utf8')) as JWK;
  const { exp, ...payload } = decodeJwt(session);
  return new SignJWT({ ...payload, exp: exp ?? 0, ...change })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'mig-session+jwt', kid: jwk.kid ?? '', ...header })
    .sign(await importJWK(jwk, 'EdDSA'));
}

async function forgeries(): Promise<[string, string][]> {
  const [head = '', payload = ''] = session.split('.');
  const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'mig-session+jwt' })).toString('base64url');
  const stranger = generateKeyPairSync('ed25519').privateKey;
  const seconds = Math.floor(Date.now() / 1_000);
  return [
    ['with alg none', `${none}.${payload}.`],
    ['with its signature cut off', `${head}.${payload}.`],
    [
      'with another payload under the same signature',
      session.replace(payload, `${payload.slice(0, -4)}AAAA`),
    ],
    ['signed with HMAC by the public key', await hmacForgery()],
    [
      'signed by a stranger',
      await new SignJWT(decodeJwt(session))
        .setProtectedHeader({ alg: 'EdDSA', typ: 'mig-session+jwt' })
        .sign(stranger),
    ],
    [
      'signed by a stranger under the name of our key',
      await new SignJWT(decodeJwt(session))
        .setProtectedHeader({ alg: 'EdDSA', ...decodeProtectedHeader(session) })
        .sign(stranger),
    ],
    ['that has expired', await forge({ exp: seconds - 60 })],
    ['without an end', await forge({ exp: undefined })],
    ['that is not yet valid', await forge({ nbf: seconds + 600 })],
    ['for another audience', await forge({ aud: 'mig:operator' })],
    ['of another issuer', await forge({ iss: 'https://example.org' })],
    ['of another type', await forge({}, { typ: 'JWT' })],
    ['from another address', await forge({ addr: '10.9.9.9' })],
    ['of a boot that does not own the name', await forge({ boot: 'boot-0' })],
    ['that is no token', 'mig_join_nothing'],
    ['of an operator', test.adminToken],
  ];
}

async function hmacForgery(): Promise<string> {
  const file = path.join(test.directory, 'data', '.auth', 'session-key.json');
  const { x = '' } = JSON.parse(await readFile(file, 'utf8')) as JWK;
  return new SignJWT(decodeJwt(session))
    .setProtectedHeader({ alg: 'HS256', typ: 'mig-session+jwt' })
    .sign(Buffer.from(x, 'base64url'));
}

describe('a VM that joins', () => {
  it('is answered with a session that speaks for it over HTTP and on its stream', async () => {
    expect((await event('vm-1', session)).status).toBe(200);
    expect(await connect(session)).toBe('accepted');
    expect(decodeJwt(session)).toMatchObject({
      sub: 'vm-1',
      pool: 'linux',
      boot: 'boot-1',
      addr: '127.0.0.1',
      aud: 'mig:vm',
    });
  });

  it('joins again in the same boot, and renews its session with the session', async () => {
    const again = await test.joinVm('vm-1');
    expect((await event('vm-1', again)).status).toBe(200);
    const renewed = await test.call<{ session_token: string }>('POST', '/api/v1/vms/vm-1/join', {
      headers: bearer(session),
      body: { pool_id: 'linux', boot_id: 'boot-1' },
    });
    expect(decodeJwt(renewed.json.session_token)['sid']).toBe(decodeJwt(session)['sid']);
  });

  it('is answered with its session when it announces itself, also if it has one already', async () => {
    const { json } = await event('vm-1', session, { type: 'vm_started', sequence: 2 });
    expect(decodeJwt(String(json['session_token']))['sid']).toBe(decodeJwt(session)['sid']);
    expect(json['grpc_endpoint']).toBe(`127.0.0.1:${test.controller.grpcPort}`);
  });

  it('tells what an earlier boot of its own left untold, if it says that it does', async () => {
    const earlier = { boot_id: 'boot-0', sequence: 1, earlier_boot: true };
    expect((await event('vm-1', session, earlier)).status).toBe(200);
    expect((await event('vm-1', session, { boot_id: 'boot-0', sequence: 2 })).status).toBe(403);
  });
});

describe('a session', () => {
  it('of another VM is refused: 403, PERMISSION_DENIED', async () => {
    expect((await event('vm-2', session)).status).toBe(403);
    expect(await connect(session, { vmId: 'vm-2' })).toBe(PERMISSION_DENIED);
    for (const [method, target, body] of [
      ['POST', 'heartbeat', { pool_id: 'linux' }],
      ['GET', 'commands', undefined],
      ['POST', 'commands/some-id/ack', { success: true }],
      ['POST', 'registration-token', { pool_id: 'linux' }],
      ['POST', 'join', { pool_id: 'linux' }],
    ] as const) {
      const options = { headers: bearer(session), ...(body === undefined ? {} : { body }) };
      const problem = await expectProblem(test, method, `/api/v1/vms/vm-2/${target}`, options);
      expect([target, problem.status]).toEqual([target, 403]);
    }
  });

  it('of another boot or pool is refused: 403, PERMISSION_DENIED', async () => {
    expect((await event('vm-1', session, { boot_id: 'boot-2' })).status).toBe(403);
    expect((await event('vm-1', session, { pool_id: 'windows' })).status).toBe(403);
    expect(await connect(session, { bootId: 'boot-2' })).toBe(PERMISSION_DENIED);
    expect(await connect(session, { bootId: '' })).toBe(PERMISSION_DENIED);
    expect(await connect(session, { poolId: 'windows' })).toBe(PERMISSION_DENIED);
  });

  it('that is none is refused: 401, UNAUTHENTICATED, in the same words; the audit log knows why', async () => {
    const told = new Set<string>();
    for (const [what, token] of await forgeries()) {
      const { status, text, headers } = await event('vm-1', token);
      expect([what, status, headers['www-authenticate']]).toEqual([what, 401, 'Bearer']);
      told.add(text);
      expect([what, await connect(token)]).toEqual([what, UNAUTHENTICATED]);
    }
    expect(told.size).toBe(1);
    const reasons = (await test.audit()).map((entry) => entry.detail['reason']);
    expect(reasons).toEqual(
      expect.arrayContaining([
        'session token: ERR_JWT_EXPIRED',
        'session token: ERR_JWT_CLAIM_VALIDATION_FAILED',
        'session token: ERR_JOSE_ALG_NOT_ALLOWED',
        'session token: ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
        'the session is of address 10.9.9.9',
        'the session is of a boot that is over',
      ]),
    );
  });

  it('and no token at all is in no log line, no event and no entry', async () => {
    const events = await test.call('GET', '/api/v1/vms/vm-1/events?limit=1000', {
      headers: bearer(test.adminToken),
    });
    const signature = session.split('.')[2] ?? '';
    for (const text of [test.log.text(), events.text, JSON.stringify(await test.audit())]) {
      expect(text).not.toContain(signature);
      expect(text).not.toContain('mig_join_');
    }
  });
});

describe('no credential', () => {
  it('is refused, to a legacy MIGlet too, where the pool does not allow it', async () => {
    expect((await event('vm-9', undefined)).status).toBe(401);
    expect(await connect(undefined, { vmId: 'vm-9', bootId: '' })).toBe(UNAUTHENTICATED);
    expect(await connect(undefined, { vmId: 'vm-9' })).toBe(UNAUTHENTICATED);
  });

  it('is enough in a pool that allows it, and nowhere else: not for a VM of another pool', async () => {
    const legacy = { vmId: 'vm-legacy', poolId: 'open', bootId: '' };
    expect(await connect(undefined, legacy)).toBe('accepted');
    expect((await event('vm-legacy', undefined, { pool_id: 'open', boot_id: '' })).status).toBe(200);
    expect((await test.call('GET', '/api/v1/vms/vm-legacy/commands')).status).toBe(200);
    expect(await connect(undefined, { ...legacy, vmId: 'vm-1' })).toBe(UNAUTHENTICATED);
    expect((await event('vm-1', undefined, { pool_id: 'open' })).status).toBe(401);
    expect((await test.call('GET', '/api/v1/vms/vm-1/commands')).status).toBe(401);
  });

  it('in such a pool a credential that is wrong is refused all the same', async () => {
    expect((await event('vm-legacy', 'mig_join_wrong', { pool_id: 'open', boot_id: '' })).status).toBe(401);
  });
});

describe('a join token', () => {
  const join = (vmId: string, token: string, body: object = {}) =>
    test.call('POST', `/api/v1/vms/${vmId}/join`, {
      body: { pool_id: 'linux', boot_id: 'b', join: { method: 'token', token }, ...body },
    });

  it('is good for its own pool alone, and for its VM if it names one', async () => {
    const token = await test.joinToken('linux', { vm_id: 'vm-only' });
    expect((await join('vm-other', token)).status).toBe(401);
    expect((await join('vm-only', token, { pool_id: 'windows' })).status).toBe(401);
    expect((await join('vm-only', token)).status).toBe(200);
  });

  it('for one VM is used up by the first, which may come again', async () => {
    const token = await test.joinToken('linux', { max_vms: 1 });
    expect((await join('vm-first', token)).status).toBe(200);
    expect((await join('vm-second', token)).status).toBe(401);
    expect((await join('vm-first', token)).status).toBe(200);
  });

  it('that was revoked is refused: 401, UNAUTHENTICATED', async () => {
    const made = await test.makeToken({
      kind: 'join',
      name: 'gone',
      pool_id: 'linux',
      expires_in_ms: 60_000,
    });
    await test.call('DELETE', `/api/v1/tokens/${made.id}`, { headers: bearer(test.adminToken) });
    expect((await join('vm-late', made.token)).status).toBe(401);
    expect(await connect(made.token, { vmId: 'vm-late' })).toBe(UNAUTHENTICATED);
    expect(await test.audit()).toContainEqual(
      expect.objectContaining({
        action: 'vm.join',
        target: 'vm-late',
        outcome: 'refused',
        detail: expect.objectContaining({ reason: `join token ${made.id} is revoked` }),
      }),
    );
  });

  it('opens a stream by itself, and the VM gets its session there', async () => {
    const miglet = stream(await test.joinToken('linux'));
    const request = connectRequest({ vmId: 'vm-stream', poolId: 'linux', bootId: 'boot-s' });
    miglet.send({ kind: 'connect', request });
    const { token } = await miglet.next('sessionToken');
    expect((await event('vm-stream', token, { boot_id: 'boot-s' })).status).toBe(200);
    miglet.close();
  });
});

describe("a VM's name", () => {
  it('belongs to the boot that joined first; another is refused with 409 and told of in the history', async () => {
    const first = await test.joinVm('vm-name', 'linux', 'boot-a');
    const second = await test.call('POST', '/api/v1/vms/vm-name/join', {
      headers: bearer(await test.joinToken('linux')),
      body: { pool_id: 'linux', boot_id: 'boot-b' },
    });
    expect(second).toMatchObject({ status: 409, json: { type: 'urn:mig:problem:vm-claimed' } });
    expect(await connect(await test.joinToken('linux'), { vmId: 'vm-name', bootId: 'boot-b' })).toBe(
      ALREADY_EXISTS,
    );
    expect((await event('vm-name', first, { boot_id: 'boot-a' })).status).toBe(200);
    const history = await until('the claim is in the history', async () => {
      const { json } = await test.call<{ events: EventResource[] }>('GET', '/api/v1/vms/vm-name/events', {
        headers: bearer(test.adminToken),
      });
      return json.events.find(({ type }) => type === 'vm_claim_refused');
    });
    expect(history).toMatchObject({ data: { boot_id: 'boot-b', address: '127.0.0.1' } });
  });

  it('goes to the next boot when an operator releases it; the session of the one before is void', async () => {
    const first = await test.joinVm('vm-release', 'linux', 'boot-a');
    const miglet = stream(first);
    const request = connectRequest({ vmId: 'vm-release', poolId: 'linux', bootId: 'boot-a' });
    miglet.send({ kind: 'connect', request });
    await miglet.next('connectAck');
    const admin = bearer(test.adminToken);
    expect((await test.call('POST', '/api/v1/vms/vm-release/release', { headers: admin })).status).toBe(200);
    expect(await miglet.ended).toMatchObject({ code: PERMISSION_DENIED });
    expect((await event('vm-release', first, { boot_id: 'boot-a' })).status).toBe(401);
    const second = await test.joinVm('vm-release', 'linux', 'boot-b');
    expect((await event('vm-release', second, { boot_id: 'boot-b' })).status).toBe(200);
  });

  it('goes to the next boot when the one before has ended by its own word', async () => {
    const first = await test.joinVm('vm-ends', 'linux', 'boot-a');
    const body = { type: 'vm_shutting_down', data: { outcome: 'drained' }, boot_id: 'boot-a', sequence: 2 };
    expect((await event('vm-ends', first, body)).status).toBe(200);
    const second = await test.joinVm('vm-ends', 'linux', 'boot-b');
    expect((await event('vm-ends', first, { boot_id: 'boot-a', sequence: 3 })).status).toBe(401);
    expect((await event('vm-ends', second, { boot_id: 'boot-b', sequence: 2 })).status).toBe(200);
  });

  it('of two boots that join at once belongs to one', async () => {
    const token = await test.joinToken('linux');
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        test.call('POST', '/api/v1/vms/vm-race/join', {
          headers: bearer(token),
          body: { pool_id: 'linux', boot_id: `boot-${index}` },
        }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(9).fill(409)]);
  });
});

describe('after a restart of the controller', () => {
  it('a session is still good, and the name still belongs to its boot', async () => {
    const token = await test.joinVm('vm-restart', 'linux', 'boot-a');
    await test.restart();
    expect((await event('vm-restart', token, { boot_id: 'boot-a' })).status).toBe(200);
    const other = await test.call('POST', '/api/v1/vms/vm-restart/join', {
      headers: bearer(await test.joinToken('linux')),
      body: { pool_id: 'linux', boot_id: 'boot-b' },
    });
    expect(other.status).toBe(409);
  });
});

describe('with time', () => {
  it('a connected VM gets its next token when half of the life of the one before is over; a lost VM loses its name', async () => {
    const clock = createManualClock();
    const other = await startSecureController({
      clock,
      config: {
        insecure: false,
        auth: { session: { lifetime: '10m' } },
        heartbeat: { interval: '15s', lost_after: '30m' },
      },
    });
    try {
      const token = await other.joinVm('vm-t', 'linux', 'boot-a');
      const miglet = stream(token, other);
      const request = connectRequest({ vmId: 'vm-t', poolId: 'linux', bootId: 'boot-a' });
      miglet.send({ kind: 'connect', request });
      await miglet.next('connectAck');
      clock.advance(299_000);
      expect(miglet.received.map(({ kind }) => kind)).not.toContain('sessionToken');
      clock.advance(1_000);
      const second = await miglet.next('sessionToken');
      expect(second.expiresInMs).toBe(600_000);
      clock.setNow(clock.now() + 400_000);
      const speak = (bearerToken: string) =>
        other.call('POST', '/api/v1/vms/vm-t/events', {
          headers: bearer(bearerToken),
          body: { type: 'note', pool_id: 'linux', boot_id: 'boot-a' },
        });
      expect((await speak(token)).status).toBe(401);
      expect((await speak(second.token)).status).toBe(200);
      miglet.close();
      clock.advance(3_600_000);
      await other.joinVm('vm-t', 'linux', 'boot-b');
      expect((await speak(second.token)).status).toBe(401);
    } finally {
      await other.dispose();
    }
  });

  it('an address whose joins fail too often is locked out, but for a good token: one behind it shuts out no other', async () => {
    const clock = createManualClock();
    const other = await startSecureController({
      clock,
      config: { insecure: false, auth: { lockout: { failures_per_minute: 5, time: '2m' } } },
    });
    try {
      const good = await other.joinToken('linux');
      const join = (token: string, from?: string) =>
        other.call('POST', '/api/v1/vms/vm-l/join', {
          headers: bearer(token),
          body: { pool_id: 'linux', boot_id: 'b' },
          ...(from === undefined ? {} : { from }),
        });
      for (let count = 0; count < 5; count += 1) expect((await join(`mig_join_${count}`)).status).toBe(401);
      const locked = await join('mig_join_wrong');
      expect(locked.status).toBe(429);
      expect(Number(locked.headers['retry-after'])).toBeGreaterThan(0);
      expect((await join('mig_join_wrong', '127.0.0.2')).status).toBe(401);
      expect((await join(good)).status).toBe(200);
      clock.advance(121_000);
      expect((await join('mig_join_wrong')).status).toBe(401);
    } finally {
      await other.dispose();
    }
  });
});
