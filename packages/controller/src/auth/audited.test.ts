/** What the audit log tells of each call: who, by which credential, did what to which VM, and what came of it. */
import { Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { AuditEntry } from '@mig/common/domain/audit';
import { until } from '@mig/testkit/github/until';
import { connectRequest } from '../parts.contract.js';
import { openStream } from '../test-miglet.contract.js';
import { DAY_MS, bearer, startSecureController, type SecureController } from './test-auth.contract.js';

let test: SecureController;
beforeAll(async () => {
  test = await startSecureController();
  await test.joinVm('vm-linux', 'linux');
  await test.joinVm('vm-linux-2', 'linux');
});
afterAll(() => test.dispose());

const entered = async (action: string): Promise<AuditEntry[]> =>
  (await test.audit()).filter((entry) => entry.action === action);
const latest = async (action: string): Promise<AuditEntry | undefined> => (await entered(action)).at(-1);
const admin = () => bearer(test.adminToken);

describe('who it was', () => {
  it('is told by the id of the credential: a token that is called as another one is another', async () => {
    const { id, token } = await test.makeToken({
      kind: 'operator',
      name: 'first-admin',
      roles: { linux: 'admin' },
      expires_in_ms: DAY_MS,
    });
    await test.call('POST', '/api/v1/vms/vm-linux/uncordon', { headers: bearer(token) });
    expect(await latest('vm.uncordon')).toMatchObject({ actor: `operator:first-admin (${id})` });
    await test.call('POST', '/api/v1/vms/vm-linux/uncordon', { headers: admin() });
    const [first] = await entered('token.create');
    expect(await latest('vm.uncordon')).toMatchObject({
      actor: `operator:first-admin (${first?.target ?? ''})`,
    });
    expect(first?.target).not.toBe(id);
  });

  it('of the first admin token is the controller itself', async () => {
    const [first] = await entered('token.create');
    expect(first).toMatchObject({ actor: 'controller', outcome: 'done', detail: { name: 'first-admin' } });
    expect(first?.target).toMatch(/^token-/);
  });

  it("is known also where a VM's session is used for another VM, over HTTP and on the stream", async () => {
    const session = await test.joinVm('vm-thief', 'linux');
    const stolen = await test.call('GET', '/api/v1/vms/vm-linux/commands', { headers: bearer(session) });
    expect(stolen.status).toBe(403);
    expect(await latest('access')).toMatchObject({ actor: 'vm:vm-thief', target: 'vm-linux' });
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${session}`);
    const miglet = openStream(test.controller.grpcPort, metadata);
    miglet.send({ kind: 'connect', request: connectRequest({ vmId: 'vm-linux', poolId: 'linux' }) });
    expect((await miglet.ended).code).toBe(7);
    miglet.close();
    expect(await latest('access')).toMatchObject({
      actor: 'vm:vm-thief',
      target: 'vm-linux',
      detail: { route: 'StreamCommands' },
    });
  });

  it('is told where a VM speaks for another one inside its stream', async () => {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${await test.joinVm('vm-liar', 'linux')}`);
    const miglet = openStream(test.controller.grpcPort, metadata);
    const identity = { vmId: 'vm-liar', poolId: 'linux', orgId: '' };
    miglet.send({ kind: 'connect', request: connectRequest({ ...identity, bootId: 'boot-1' }) });
    await miglet.next('connectAck');
    miglet.send({
      kind: 'event',
      event: {
        ...identity,
        vmId: 'vm-linux',
        type: 'note',
        data: {},
        at: 1,
        bootId: 'boot-1',
        sequence: 7,
      },
    });
    expect((await miglet.ended).code).toBe(7);
    miglet.close();
    const entry = await until('it is entered', async () =>
      (await entered('access')).find(({ actor }) => actor === 'vm:vm-liar'),
    );
    expect(entry).toMatchObject({ target: 'vm-linux', outcome: 'refused', from: '127.0.0.1' });
  });
});

describe('what it was done to', () => {
  it('of a drain is told with its id and its VMs; of one that was refused with what was wanted', async () => {
    const body = { selector: { pool_id: 'linux' }, reason: 'kernel' };
    const { json } = await test.call<{ id: string }>('POST', '/api/v1/drains', { headers: admin(), body });
    expect(await latest('drain.create')).toMatchObject({
      target: 'pool:linux',
      outcome: 'done',
      detail: {
        drain: json.id,
        vms: expect.stringContaining('vm-linux,vm-linux-2'),
        reason: 'kernel',
      },
    });
    await test.call('DELETE', `/api/v1/drains/${json.id}`, { headers: admin() });
    expect(await latest('drain.undrain')).toMatchObject({
      target: json.id,
      detail: { vms: expect.stringContaining('vm-linux,vm-linux-2') },
    });
    const viewer = bearer(await test.operatorToken({ '*': 'viewer' }));
    const refusedBody = { selector: { vm_ids: ['vm-linux', 'vm-linux-2'] } };
    const refused = await test.call('POST', '/api/v1/drains', { headers: viewer, body: refusedBody });
    expect(refused.status).toBe(403);
    expect(await latest('drain.create')).toMatchObject({
      target: 'vm-linux,vm-linux-2',
      outcome: 'refused',
      detail: { selector: JSON.stringify(refusedBody.selector), status: '403' },
    });
  });

  it('of a command is told with its id and type, also when it is refused or cancelled', async () => {
    const body = { type: 'set_log_level', parameters: { level: 'debug' } };
    const target = '/api/v1/vms/vm-linux/commands';
    const { json } = await test.call<{ id: string }>('POST', target, { headers: admin(), body });
    expect(await latest('command.submit')).toMatchObject({
      target: 'vm-linux',
      detail: { type: 'set_log_level', command: json.id },
    });
    await test.call('DELETE', `/api/v1/commands/${json.id}`, { headers: admin() });
    expect(await latest('command.cancel')).toMatchObject({
      target: json.id,
      detail: { vm_id: 'vm-linux', type: 'set_log_level' },
    });
    const viewer = bearer(await test.operatorToken({ '*': 'viewer' }));
    await test.call('POST', target, { headers: viewer, body });
    expect(await latest('command.submit')).toMatchObject({
      outcome: 'refused',
      detail: { type: 'set_log_level', status: '403' },
    });
  });

  it('of a token is told with its id', async () => {
    const { id } = await test.makeToken({ kind: 'join', name: 'j', pool_id: 'p', expires_in_ms: DAY_MS });
    expect(await latest('token.create')).toMatchObject({ target: id, detail: { name: 'j', pool_id: 'p' } });
    await test.call('DELETE', `/api/v1/tokens/${id}`, { headers: admin() });
    expect(await latest('token.revoke')).toMatchObject({ target: id, detail: { name: 'j', kind: 'join' } });
  });
});

describe('a join that is refused', () => {
  it('is entered once, over HTTP and on the stream', async () => {
    const before = (await test.audit()).length;
    const wrong = bearer('mig_join_wrong');
    const body = { type: 'vm_started', pool_id: 'linux', boot_id: 'b', sequence: 1 };
    await test.call('POST', '/api/v1/vms/vm-new/events', { headers: wrong, body });
    const metadata = new Metadata();
    metadata.set('authorization', wrong.authorization);
    const miglet = openStream(test.controller.grpcPort, metadata);
    miglet.send({ kind: 'connect', request: connectRequest({ vmId: 'vm-new', poolId: 'linux' }) });
    expect((await miglet.ended).code).toBe(16);
    miglet.close();
    const entries = (await test.audit()).slice(before);
    expect(entries.map(({ action, target }) => [action, target])).toEqual([
      ['vm.join', 'vm-new'],
      ['vm.join', 'vm-new'],
    ]);
  });
});

describe('a certificate', () => {
  it('that was revoked stays so over a restart, is listed, and its serial number may be written with colons', async () => {
    const body = { serial: '0a:1b:2C' };
    const revoked = await test.call('POST', '/api/v1/revoked-certificates', { headers: admin(), body });
    expect(revoked).toMatchObject({ status: 200, json: { serial: 'A1B2C', revoked_by: 'first-admin' } });
    expect(await latest('certificate.revoke')).toMatchObject({ target: '0a:1b:2C', outcome: 'done' });
    await test.restart();
    const { json } = await test.call('GET', '/api/v1/revoked-certificates', { headers: admin() });
    expect(json).toMatchObject({ certificates: [{ serial: 'A1B2C' }] });
    const viewer = bearer(await test.operatorToken({ '*': 'operator' }));
    const refused = await test.call('POST', '/api/v1/revoked-certificates', { headers: viewer, body });
    expect(refused.status).toBe(403);
  });
});
