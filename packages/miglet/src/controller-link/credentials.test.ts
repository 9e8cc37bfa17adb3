/** How a MIGlet joins, and what it speaks with: against real HTTP, with real files. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { silentLogger } from '@mig/common/logger';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { migletConfigSchema } from '../config.js';
import { createJoinProof } from '../host/join-proof.js';
import { openSessionFile } from '../host/session-file.js';
import { createCredentials } from './credentials.js';

const signal = new AbortController().signal;
let directory: string;
let server: http.Server;
let asked: { method: string; url: string; headers: http.IncomingHttpHeaders; body: string }[];
let answer: (url: string) => { status: number; body: unknown };
const clock = createManualClock();

beforeEach(async () => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'mig-credentials-'));
  asked = [];
  answer = () => ({
    status: 200,
    body: { session_token: `session-${asked.length}`, session_expires_in_ms: 60_000 },
  });
  server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      asked.push({ method, url, headers, body });
      const said = answer(url);
      response.writeHead(said.status, { 'content-type': 'application/json' });
      response.end(typeof said.body === 'string' ? said.body : JSON.stringify(said.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true, force: true });
});

const url = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
function make(join: object = { token_file: tokenFile() }, bootId = 'boot-1') {
  const config = migletConfigSchema('vm-1').parse({ controller: { join } });
  return createCredentials({
    identity: { vmId: 'vm-1', poolId: 'linux', orgId: '' },
    bootId,
    endpoint: url(),
    readProof: createJoinProof(config.controller.join),
    file: openSessionFile(directory, bootId),
    clock,
    logger: silentLogger,
  });
}
function tokenFile(): string {
  const file = path.join(directory, 'join-token');
  writeFileSync(file, 'mig_join_secret\n', { mode: 0o600 });
  return file;
}

describe('a MIGlet', () => {
  it('joins once by its token, and speaks with the session until that is near its end', async () => {
    const credentials = make();
    expect(await credentials.authorize(signal)).toEqual({ kind: 'ok', value: 'session-1' });
    expect(await credentials.authorize(signal)).toEqual({ kind: 'ok', value: 'session-1' });
    expect(
      asked.map((request) => [request.method, request.url, JSON.parse(request.body) as unknown]),
    ).toEqual([
      [
        'POST',
        '/api/v1/vms/vm-1/join',
        { pool_id: 'linux', boot_id: 'boot-1', join: { method: 'token', token: 'mig_join_secret' } },
      ],
    ]);
    clock.advance(56_000);
    expect(await credentials.authorize(signal)).toEqual({ kind: 'ok', value: 'session-2' });
  });

  it('that is asked by its commands, tasks and jobs at the same time joins once', async () => {
    const credentials = make();
    const all = await Promise.all([1, 2, 3].map(() => credentials.authorize(signal)));
    expect(all).toEqual(Array(3).fill({ kind: 'ok', value: 'session-1' }));
    expect(asked).toHaveLength(1);
  });

  it('goes on with the token that the controller sent', async () => {
    const credentials = make();
    await credentials.authorize(signal);
    credentials.renew('session-next', 120_000);
    clock.advance(100_000);
    expect(await credentials.authorize(signal)).toEqual({ kind: 'ok', value: 'session-next' });
  });

  it('joins again when its session is refused, and only then: an older refusal changes nothing', async () => {
    const credentials = make();
    await credentials.authorize(signal);
    credentials.renew('session-next', 120_000);
    credentials.refuse('session-1');
    expect(await credentials.authorize(signal)).toEqual({ kind: 'ok', value: 'session-next' });
    credentials.refuse('session-next');
    expect(await credentials.authorize(signal)).toEqual({ kind: 'ok', value: 'session-2' });
  });

  it('that was killed goes on with its session, which only its own user can read, without its join token', async () => {
    const file = tokenFile();
    await make({ token_file: file }).authorize(signal);
    rmSync(file);
    expect(await make({ token_file: file }).authorize(signal)).toEqual({ kind: 'ok', value: 'session-1' });
    expect(statSync(path.join(directory, 'session.json')).mode & 0o777).toBe(0o600);
  });

  it('in another boot, or with a session that has ended meanwhile, joins anew', async () => {
    await make().authorize(signal);
    expect(await make(undefined, 'boot-2').authorize(signal)).toEqual({ kind: 'ok', value: 'session-2' });
    clock.advance(120_000);
    expect(await make(undefined, 'boot-2').authorize(signal)).toEqual({ kind: 'ok', value: 'session-3' });
  });

  it('that is refused, or has nothing to show yet, tries again later, and says why without its secret', async () => {
    answer = () => ({ status: 401, body: { detail: 'no' } });
    const outcome = await make().authorize(signal);
    expect(outcome).toMatchObject({ kind: 'retryable', reason: expect.stringContaining('401') });
    expect(JSON.stringify(outcome)).not.toContain('mig_join_secret');
    const missing = await make({ token_file: path.join(directory, 'none') }).authorize(signal);
    expect(missing).toMatchObject({ kind: 'retryable', reason: expect.stringContaining('none') });
  });

  it('that joins again shows the session that it had, by which it is known also from another address', async () => {
    const credentials = make();
    await credentials.authorize(signal);
    expect(asked[0]?.headers.authorization).toBeUndefined();
    credentials.refuse('session-1');
    await credentials.authorize(signal);
    expect(asked[1]?.headers.authorization).toBe('Bearer session-1');
    await make(undefined, 'boot-2').authorize(signal);
    expect(asked[2]?.headers.authorization).toBeUndefined();
  });

  it('whose name is taken waits, and says in the words of the controller for what', async () => {
    const detail = 'VM vm-1 belongs to another boot, which has not ended';
    answer = () => ({ status: 409, body: { type: 'urn:mig:problem:vm-claimed', detail } });
    expect(await make().authorize(signal)).toEqual({
      kind: 'retryable',
      reason: `waits until its name is free: ${detail}`,
    });
  });

  it('speaks with nothing to a controller that knows no sessions, or asks for none', async () => {
    for (const said of [
      { status: 404, body: { detail: 'there is no such route' } },
      { status: 200, body: { vm_id: 'vm-1' } },
    ]) {
      answer = () => said;
      expect(await make().authorize(signal)).toEqual({ kind: 'ok', value: undefined });
    }
  });

  it('that joins by nothing asks nothing', async () => {
    expect(await make({}).authorize(signal)).toEqual({ kind: 'ok', value: undefined });
    expect(asked).toEqual([]);
  });
});

describe('the metadata server of a cloud', () => {
  it("Google's is asked for an identity token of the pool's audience, in full", async () => {
    answer = (target) => ({ status: 200, body: target.startsWith('/compute') ? 'google.jwt.token' : {} });
    await make({ method: 'gce', audience: 'https://c.example', metadata_url: url() }).authorize(signal);
    expect(asked[0]?.url).toBe(
      '/computeMetadata/v1/instance/service-accounts/default/identity?audience=https%3A%2F%2Fc.example&format=full',
    );
    expect(asked[0]?.headers['metadata-flavor']).toBe('Google');
    expect(JSON.parse(asked[1]?.body ?? '')).toMatchObject({
      join: { method: 'gce', identity_token: 'google.jwt.token' },
    });
  });

  it("Amazon's is asked for the document and its signature, with a token of its own", async () => {
    answer = (target) => ({
      status: 200,
      body: target.startsWith('/latest') ? (target.split('/').at(-1) ?? '') : {},
    });
    const join = { method: 'aws', token_file: tokenFile(), metadata_url: url() };
    await make(join).authorize(signal);
    expect(asked[0]).toMatchObject({ method: 'PUT', url: '/latest/api/token' });
    expect(asked[1]?.headers['x-aws-ec2-metadata-token']).toBe('token');
    expect(JSON.parse(asked[3]?.body ?? '')).toMatchObject({
      join: { method: 'aws', document: 'document', signature: 'signature', token: 'mig_join_secret' },
    });
  });
});
