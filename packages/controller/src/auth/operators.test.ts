/** Who may do what at the operator API: tokens, roles, pools. */
import { chmod, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createdTokenSchema, tokenListSchema, whoamiSchema } from '@mig/common/api/auth-resource';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { expectProblem } from '../http/expect-problem.contract.js';
import { ROUTE_RIGHTS } from './route-rights.js';
import { DAY_MS, bearer, startSecureController, type SecureController } from './test-auth.contract.js';

let test: SecureController;
beforeAll(async () => {
  test = await startSecureController();
  await test.joinVm('vm-linux', 'linux');
  await test.joinVm('vm-windows', 'windows');
});
afterAll(() => test.dispose());

const drainOf = (poolId: string) => ({ selector: { pool_id: poolId } });
const asPath = (route: string): string => route.replace(':vm_id', 'vm-linux').replace(':id', 'some-id');

describe('the first start', () => {
  it('makes an admin token in a file that only this user can read, and says where, not what', async () => {
    const file = path.join(test.directory, 'data', '.auth', 'admin-token');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(path.dirname(file))).mode & 0o777).toBe(0o700);
    expect(test.log.text()).toContain(file);
    expect(test.log.text()).not.toContain(test.adminToken);
    const { json } = await test.call('GET', '/api/v1/whoami', { headers: bearer(test.adminToken) });
    expect(whoamiSchema.parse(json)).toEqual({ name: 'first-admin', via: 'token', roles: { '*': 'admin' } });
  });
});

describe('every start', () => {
  it('makes private again what others could read, and warns', async () => {
    const folder = path.join(test.directory, 'data', '.auth');
    await chmod(folder, 0o755);
    await chmod(path.join(folder, 'session-key.json'), 0o644);
    await test.restart();
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(folder))
      expect([name, (await stat(path.join(folder, name))).mode & 0o777]).toEqual([name, 0o600]);
    const warned = test.log.lines().filter(({ event }) => event === 'secret_exposed');
    expect(warned.map(({ file }) => path.basename(String(file)))).toEqual(['.auth', 'session-key.json']);
  });

  it('warns of what is configured and lets nobody join', async () => {
    const silent = await startSecureController({
      config: {
        auth: { join: { methods: ['mtls'] } },
        pools: {
          none: { join: { methods: [] } },
          google: { join: { methods: ['gce'] } },
          amazon: { join: { methods: ['aws'] } },
          file: { join: { token_file: '/nonexistent/token' } },
          good: { join: { methods: ['token'] } },
        },
      },
    });
    try {
      const warned = silent.log.lines().filter(({ event }) => event === 'useless_config');
      expect(warned.map(({ msg }) => String(msg).split(':', 1)[0])).toEqual([
        'auth.join',
        'pools.none.join',
        'pools.google.join',
        'pools.amazon.join',
        'pools.file.join',
      ]);
    } finally {
      await silent.dispose();
    }
  });
});

describe('a request without a good credential', () => {
  const guarded = Object.entries(ROUTE_RIGHTS).filter(([, right]) => right.who === 'operator');

  it.each(guarded.map(([route]) => route))('%s is refused with 401, and told nothing', async (route) => {
    const [method = '', target = ''] = route.split(' ');
    for (const headers of [
      {},
      bearer('mig_op_wrong'),
      bearer('eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.'),
      { authorization: 'Basic YTpi' },
    ]) {
      const problem = await expectProblem(test, method, asPath(target), { headers });
      expect(problem).toMatchObject({ status: 401, type: 'urn:mig:problem:unauthenticated' });
      expect(problem.detail).not.toMatch(/expired|revoked|unknown|forged/);
    }
  });

  it('is asked for one in the words of HTTP', async () => {
    const { headers } = await test.call('GET', '/api/v1/vms');
    expect(headers['www-authenticate']).toBe('Bearer');
  });

  it('gets liveness, readiness and the description of the API all the same', async () => {
    for (const target of ['/healthz', '/readyz', '/health', '/api/v1/openapi.json'])
      expect(await test.call('GET', target)).toMatchObject({ status: 200 });
  });
});

describe('a token', () => {
  it('that was revoked is refused from then on, in the same words as one that never was', async () => {
    const made = await test.makeToken({
      kind: 'operator',
      name: 'bob',
      roles: { '*': 'viewer' },
      expires_in_ms: DAY_MS,
    });
    expect(createdTokenSchema.parse(made)).toEqual(made);
    const headers = bearer(made.token);
    expect((await test.call('GET', '/api/v1/vms', { headers })).status).toBe(200);
    const revoked = await test.call('DELETE', `/api/v1/tokens/${made.id}`, {
      headers: bearer(test.adminToken),
    });
    expect(revoked.json).toMatchObject({ id: made.id, state: 'revoked' });
    const after = await test.call('GET', '/api/v1/vms', { headers });
    const never = await test.call('GET', '/api/v1/vms', { headers: bearer('mig_op_never') });
    expect([after.status, after.text]).toEqual([401, never.text]);
    expect(await test.audit()).toContainEqual(
      expect.objectContaining({
        action: 'access',
        outcome: 'refused',
        detail: expect.objectContaining({ reason: `token ${made.id} is revoked` }),
      }),
    );
  });

  it('is shown once, stored nowhere, and still known after a restart', async () => {
    const token = await test.operatorToken({ linux: 'viewer' }, 'carol');
    const { json } = await test.call('GET', '/api/v1/tokens', { headers: bearer(test.adminToken) });
    expect(tokenListSchema.parse(json)).toEqual(json);
    await test.restart();
    expect((await test.call('GET', '/api/v1/whoami', { headers: bearer(token) })).json).toMatchObject({
      name: 'carol',
    });
    const { execFileSync } = await import('node:child_process');
    const grep = (secret: string): string =>
      execFileSync('sh', ['-c', 'grep -rl -e "$0" "$1" || true', secret, test.directory]).toString();
    expect(grep(token)).toBe('');
    expect(grep(test.adminToken).trim().split('\n')).toHaveLength(1);
    expect(test.log.text()).not.toContain(token);
  });

  it('that has expired is refused', async () => {
    const clock = createManualClock();
    const other = await startSecureController({ clock });
    try {
      const { token } = await other.makeToken({
        kind: 'operator',
        name: 'dan',
        roles: { '*': 'viewer' },
        expires_in_ms: 60_000,
      });
      expect((await other.call('GET', '/api/v1/vms', { headers: bearer(token) })).status).toBe(200);
      clock.setNow(clock.now() + 60_000);
      expect((await other.call('GET', '/api/v1/vms', { headers: bearer(token) })).status).toBe(401);
    } finally {
      await other.dispose();
    }
  });

  it('of a VM is none of an operator', async () => {
    const session = await test.joinVm('vm-session', 'linux');
    for (const token of [session, await test.joinToken('linux')])
      expect((await test.call('GET', '/api/v1/vms', { headers: bearer(token) })).status).toBe(401);
  });
});

describe('a role', () => {
  it('viewer reads, and is refused with 403 whatever it would change', async () => {
    const headers = bearer(await test.operatorToken({ '*': 'viewer' }));
    expect((await test.call('GET', '/api/v1/vms', { headers })).status).toBe(200);
    for (const [method, target, body] of [
      ['POST', '/api/v1/drains', drainOf('linux')],
      ['POST', '/api/v1/vms/vm-linux/commands', { type: 'shutdown', parameters: {} }],
      ['POST', '/api/v1/vms/vm-linux/cordon', {}],
      ['POST', '/api/v1/vms/vm-linux/release', undefined],
      ['DELETE', '/api/v1/commands/some-id', undefined],
      ['GET', '/api/v1/tokens', undefined],
      ['GET', '/api/v1/audit', undefined],
    ] as const) {
      const options = body === undefined ? { headers } : { headers, body };
      expect(await expectProblem(test, method, target, options)).toMatchObject({
        status: 403,
        type: 'urn:mig:problem:forbidden',
      });
    }
  });

  it('operator commands and drains, and makes no tokens', async () => {
    const headers = bearer(await test.operatorToken({ '*': 'operator' }, 'olga'));
    const submitted = await test.call('POST', '/api/v1/vms/vm-linux/commands', {
      headers,
      body: { type: 'set_log_level', parameters: { level: 'debug' } },
    });
    expect(submitted).toMatchObject({ status: 202, json: { created_by: 'olga' } });
    expect((await test.call('POST', '/api/v1/drains', { headers, body: drainOf('linux') })).status).toBe(202);
    const body = { kind: 'operator', name: 'x', roles: { linux: 'viewer' }, expires_in_ms: DAY_MS };
    expect((await test.call('POST', '/api/v1/tokens', { headers, body })).status).toBe(403);
  });

  it('in one pool sees and changes nothing of another, which is as if it were not there', async () => {
    const headers = bearer(await test.operatorToken({ linux: 'operator' }, 'lin'));
    const { json } = await test.call<{ vms: { vm_id: string; pool_id: string }[] }>('GET', '/api/v1/vms', {
      headers,
    });
    expect(new Set(json.vms.map((vm) => vm.pool_id))).toEqual(new Set(['linux']));
    const hidden = await test.call('GET', '/api/v1/vms/vm-windows', { headers });
    const absent = await test.call('GET', '/api/v1/vms/vm-nowhere', { headers });
    expect(hidden.status).toBe(404);
    expect(hidden.text.replaceAll('vm-windows', 'vm-nowhere')).toBe(absent.text);

    const admin = bearer(test.adminToken);
    const order = { type: 'set_log_level', parameters: { level: 'debug' } };
    const command = await test.call('POST', '/api/v1/vms/vm-windows/commands', {
      headers: admin,
      body: order,
    });
    const drain = await test.call('POST', '/api/v1/drains', {
      headers: admin,
      body: { selector: { vm_ids: ['vm-windows'] } },
    });
    for (const target of [
      `/api/v1/commands/${String(command.json['id'])}`,
      `/api/v1/drains/${String(drain.json['id'])}`,
    ])
      for (const method of ['GET', 'DELETE'])
        expect((await test.call(method, target, { headers })).status).toBe(404);
    const lists = await Promise.all(
      ['commands', 'drains'].map((name) => test.call('GET', `/api/v1/${name}?limit=10000`, { headers })),
    );
    for (const { text } of lists) expect(text).not.toContain('vm-windows');
  });

  it.each([
    [{ pool_id: 'windows' }, 403],
    [{ all: true }, 403],
    [{ labels: ['gpu'] }, 403],
    [{ vm_ids: ['vm-linux', 'vm-windows'] }, 400],
    [{ vm_ids: ['vm-linux'] }, 202],
  ])('in one pool drains %j: %i', async (selector, status) => {
    const headers = bearer(await test.operatorToken({ linux: 'operator' }));
    expect((await test.call('POST', '/api/v1/drains', { headers, body: { selector } })).status).toBe(status);
  });

  it('in one pool is told the same of a VM of another pool as of one that never was, also where it drains', async () => {
    const headers = bearer(await test.operatorToken({ linux: 'operator' }));
    const drain = (vm_ids: readonly string[]) =>
      test.call('POST', '/api/v1/drains', { headers, body: { selector: { vm_ids } } });
    for (const others of [[], ['vm-linux'], ['vm-nowhere-else']]) {
      const hidden = await drain([...others, 'vm-windows']);
      const absent = await drain([...others, 'vm-nowhere']);
      expect([hidden.status, hidden.text.replaceAll('vm-windows', 'vm-nowhere')]).toEqual([400, absent.text]);
    }
    // What one may see and not drain is told as it is.
    const viewer = bearer(await test.operatorToken({ linux: 'operator', windows: 'viewer' }));
    const seen = await test.call('POST', '/api/v1/drains', {
      headers: viewer,
      body: { selector: { vm_ids: ['vm-windows', 'vm-nowhere'] } },
    });
    expect(seen.status).toBe(403);
  });

  it('admin of one pool gives roles and revokes tokens there, and nowhere else', async () => {
    const headers = bearer(await test.operatorToken({ linux: 'admin' }, 'lisa'));
    const make = (roles: object) =>
      test.call('POST', '/api/v1/tokens', {
        headers,
        body: { kind: 'operator', name: 'x', roles, expires_in_ms: DAY_MS },
      });
    expect((await make({ linux: 'admin' })).status).toBe(201);
    expect((await make({ windows: 'viewer' })).status).toBe(403);
    expect((await make({ '*': 'viewer' })).status).toBe(403);
    expect((await make({ linux: 'viewer', windows: 'viewer' })).status).toBe(403);
    const other = await test.makeToken({
      kind: 'join',
      name: 'w',
      pool_id: 'windows',
      expires_in_ms: DAY_MS,
    });
    expect((await test.call('DELETE', `/api/v1/tokens/${other.id}`, { headers })).status).toBe(404);
    const { text } = await test.call('GET', '/api/v1/tokens', { headers });
    expect(text).not.toContain('windows');
    expect((await test.call('GET', '/api/v1/audit', { headers })).status).toBe(403);
  });
});

describe('a controller that asks for no credential', () => {
  it('makes no token for who shows none, since it would be good also when one is asked for again', async () => {
    const open = await startSecureController({ config: { insecure: true } });
    try {
      const body = { kind: 'operator', name: 'x', roles: { '*': 'admin' }, expires_in_ms: DAY_MS };
      const refused = await open.call('POST', '/api/v1/tokens', { body });
      expect(refused).toMatchObject({ status: 403, json: { type: 'urn:mig:problem:forbidden' } });
      expect(refused.text).toContain('admin-token');
      expect((await open.call('GET', '/api/v1/tokens')).status).toBe(200);
      const headers = bearer(open.adminToken);
      expect((await open.call('POST', '/api/v1/tokens', { body, headers })).status).toBe(201);
    } finally {
      await open.dispose();
    }
  });
});

describe('what is told', () => {
  it('names who did what to which VM, from where, and how it ended', async () => {
    const token = await test.operatorToken({ '*': 'operator' }, 'eve');
    await test.call('POST', '/api/v1/vms/vm-linux/cordon', {
      headers: bearer(token),
      body: { reason: 'disk\u001b[2J' },
    });
    const entries = await test.audit();
    expect(entries.findLast((entry) => entry.action === 'vm.cordon')).toMatchObject({
      actor: expect.stringMatching(/^operator:eve \(token-\w+\)$/),
      target: 'vm-linux',
      from: '127.0.0.1',
      outcome: 'done',
      detail: { reason: 'disk\\x1b[2J' },
    });
    expect(entries.filter((entry) => entry.action === 'token.create').length).toBeGreaterThan(3);
    expect(JSON.stringify(entries)).not.toMatch(/mig_(op|join)_/);
  });
});
