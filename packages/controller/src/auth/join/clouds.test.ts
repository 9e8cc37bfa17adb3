/** Joining by what a cloud says of its instance, and by certificate: offline, with keys that the test made. */
import { createSign, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { PeerCertificate } from 'node:tls';
import 'reflect-metadata';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as x509 from '@peculiar/x509';
import { SignJWT, createLocalJWKSet, exportJWK, generateKeyPair, type JWK } from 'jose';
import { createManualClock } from '../../../../common/src/manual-clock.contract.js';
import { controllerConfigSchema } from '../../config.js';
import { readPrivateFile } from '../private-file.js';
import { openTokenBook, type TokenBook } from '../token-book.js';
import { createAwsJoin } from './by-aws.js';
import { createGceJoin, googleKeys } from './by-gce.js';
import { byBook } from './by-token.js';
import { createMtlsJoin, uriNames } from './by-mtls.js';
import type { JoinProof, JoinRequest } from './join-method.js';

const clock = createManualClock();
let directory: string;
let book: TokenBook;
beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'mig-join-'));
  book = await openTokenBook(path.join(directory, 'tokens.json'), clock);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const request = (
  vmId: string,
  proof: JoinProof,
  join: object = {},
  more: Partial<JoinRequest> = {},
): JoinRequest => ({
  vmId,
  poolId: 'linux',
  bootId: 'boot-1',
  proof,
  certificate: undefined,
  pool: controllerConfigSchema.parse({ auth: { join } }).auth.join,
  ...more,
});

describe('by Google', () => {
  const pool = {
    gce: {
      audience: 'https://controller.example',
      projects: ['acme-ci'],
      zones: ['europe-west1-b'],
      service_accounts: ['runner@acme-ci.iam.gserviceaccount.com'],
    },
  };
  let key: Awaited<ReturnType<typeof generateKeyPair>>;
  let published: JWK;
  beforeAll(async () => {
    key = await generateKeyPair('RS256', { extractable: true });
    published = { ...(await exportJWK(key.publicKey)), kid: 'google-1', alg: 'RS256' };
  });

  const instance = {
    project_id: 'acme-ci',
    zone: 'europe-west1-b',
    instance_name: 'runner-7',
    instance_id: '123456789',
  };
  const token = (change: object = {}, of: object = {}, by = key.privateKey): Promise<string> => {
    const nowS = Math.floor(clock.now() / 1_000);
    return new SignJWT({
      iss: 'https://accounts.google.com',
      aud: pool.gce.audience,
      iat: nowS,
      exp: nowS + 3_600,
      email: pool.gce.service_accounts[0],
      email_verified: true,
      google: { compute_engine: { ...instance, ...of } },
      ...change,
    })
      .setProtectedHeader({ alg: 'RS256', kid: 'google-1' })
      .sign(by);
  };
  const method = () => createGceJoin({ keys: createLocalJWKSet({ keys: [published] }), clock });
  const proof = (identity_token: string): JoinProof => ({ method: 'gce', identity_token });

  it('the instance of the pool joins under its own name', async () => {
    expect(await method().verify(request('runner-7', proof(await token()), pool))).toEqual({
      kind: 'ok',
      by: 'gce acme-ci/europe-west1-b/123456789',
    });
    const byId = { gce: { ...pool.gce, vm_id: 'instance_id' } };
    expect(await method().verify(request('123456789', proof(await token()), byId))).toMatchObject({
      kind: 'ok',
    });
  });

  it.each<[string, object, object]>([
    ['for another audience', { aud: 'https://other.example' }, {}],
    ['of another issuer', { iss: 'https://example.org' }, {}],
    ['that has expired', { exp: 1 }, {}],
    ['without an instance (format=standard)', { google: undefined }, {}],
    ['of another project', {}, { project_id: 'stranger' }],
    ['of another zone', {}, { zone: 'us-central1-a' }],
    ['of another service account', { email: 'x@stranger.example' }, {}],
    ['whose service account is not verified', { email_verified: false }, {}],
    ['of another instance', {}, { instance_name: 'runner-8' }],
  ])('an identity token %s is refused', async (_, change, of) => {
    expect(await method().verify(request('runner-7', proof(await token(change, of)), pool))).toMatchObject({
      kind: 'refused',
    });
  });

  it('one that a stranger signed, or nobody, is refused', async () => {
    const stranger = (await generateKeyPair('RS256')).privateKey;
    const [, payload = ''] = (await token()).split('.');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    for (const text of [await token({}, {}, stranger), `${none}.${payload}.`, 'nothing'])
      expect(await method().verify(request('runner-7', proof(text), pool))).toMatchObject({
        kind: 'refused',
      });
  });

  it('a token is good for the boot that used it first, and for no other: not for a job that reads it later', async () => {
    const gce = method();
    const text = await token();
    expect(await gce.verify(request('runner-7', proof(text), pool))).toMatchObject({ kind: 'ok' });
    expect(await gce.verify(request('runner-7', proof(text), pool))).toMatchObject({ kind: 'ok' });
    expect(await gce.verify(request('runner-7', proof(text), pool, { bootId: 'job' }))).toMatchObject({
      kind: 'refused',
    });
  });

  it('a pool without an audience or a project takes nobody', async () => {
    for (const gce of [
      { ...pool.gce, audience: '' },
      { ...pool.gce, projects: [] },
    ])
      expect(await method().verify(request('runner-7', proof(await token()), { gce }))).toMatchObject({
        kind: 'refused',
      });
  });

  it('the keys are fetched once for many tokens, and a failure to fetch them is no refusal', async () => {
    let calls = 0;
    const answer = () => {
      calls += 1;
      return Promise.resolve(Response.json({ keys: [published] }));
    };
    const cached = createGceJoin({ keys: googleKeys('https://keys.example/certs', answer, clock), clock });
    for (let count = 0; count < 20; count += 1)
      expect(
        await cached.verify(request('runner-7', proof(await token({ jti: `${count}` })), pool)),
      ).toMatchObject({ kind: 'ok' });
    expect(calls).toBe(1);
    const down = () => Promise.reject(new Error('no route'));
    const dead = googleKeys('https://keys.example/certs', down, clock);
    const verdict = await createGceJoin({ keys: dead, clock }).verify(
      request('runner-7', proof(await token()), pool),
    );
    expect(verdict).toMatchObject({ kind: 'unavailable' });
  });
});

describe('by AWS', () => {
  const document = JSON.stringify({ accountId: '111122223333', region: 'eu-west-1', instanceId: 'i-0abc' });
  let privateKey: Awaited<ReturnType<typeof rsa>>['privateKey'];
  let pool: object;

  async function rsa() {
    const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
    const keys = {
      privateKey: await crypto.subtle.importKey(
        'pkcs8',
        pair.privateKey.export({ format: 'der', type: 'pkcs8' }),
        algorithm,
        true,
        ['sign'],
      ),
      publicKey: await crypto.subtle.importKey(
        'spki',
        pair.publicKey.export({ format: 'der', type: 'spki' }),
        algorithm,
        true,
        ['verify'],
      ),
    };
    const certificate = await x509.X509CertificateGenerator.createSelfSigned(
      { name: 'CN=region', keys, signingAlgorithm: algorithm },
      crypto,
    );
    return { privateKey: pair.privateKey, pem: certificate.toString('pem') };
  }
  beforeAll(async () => {
    const made = await rsa();
    privateKey = made.privateKey;
    const file = path.join(directory, 'eu-west-1.pem');
    await writeFile(file, made.pem);
    pool = { aws: { accounts: ['111122223333'], certificates: { 'eu-west-1': file } } };
  });

  const method = () => createAwsJoin({ book, readFile: readPrivateFile });
  const sign = (text: string) => createSign('sha256').update(text).sign(privateKey, 'base64');
  const oneTime = async (maxVms: number | 'any' = 1) =>
    (
      await book.create({
        kind: 'join',
        name: 'aws',
        createdBy: 'test',
        expiresAt: undefined,
        poolId: 'linux',
        maxVms: maxVms === 'any' ? undefined : maxVms,
      })
    ).secret;
  const proof = (text: string, token: string, signature = sign(text)): JoinProof => ({
    method: 'aws',
    document: text,
    signature,
    token,
  });

  it('the instance joins with its document and a one-time token', async () => {
    expect(await method().verify(request('i-0abc', proof(document, await oneTime()), pool))).toMatchObject({
      kind: 'ok',
    });
  });

  it('a document that was changed, or is of another account, region or instance, is refused', async () => {
    const of = (change: object): string => JSON.stringify({ ...(JSON.parse(document) as object), ...change });
    const cases: [string, JoinProof][] = [
      ['i-0abc', proof(`${document} `, await oneTime(), sign(document))],
      ['i-0abc', proof(document, await oneTime(), 'AAAA')],
      ['i-0abc', proof(of({ accountId: '999999999999' }), await oneTime())],
      ['i-0abc', proof(of({ region: 'us-east-1' }), await oneTime())],
      ['i-0def', proof(document, await oneTime())],
      ['i-0abc', proof('no document', await oneTime())],
    ];
    for (const [vmId, given] of cases)
      expect(await method().verify(request(vmId, given, pool))).toMatchObject({ kind: 'refused' });
  });

  it('the document alone, or with a token for many VMs, is not enough: every job can read it', async () => {
    expect(
      await method().verify(request('i-0abc', { method: 'aws', document, signature: sign(document) }, pool)),
    ).toMatchObject({ kind: 'refused' });
    for (const token of ['mig_join_none', await oneTime('any'), await oneTime(5)])
      expect(await method().verify(request('i-0abc', proof(document, token), pool))).toMatchObject({
        kind: 'refused',
      });
  });
});

describe('by AWS, the one-time token', () => {
  it('is good for the boot that used it first, and for no other of the same instance, also after a restart', async () => {
    const file = path.join(directory, 'one-time.json');
    const of = await openTokenBook(file, clock);
    const common = { kind: 'join', name: 'aws', createdBy: 'test', expiresAt: undefined } as const;
    const { secret } = await of.create({ ...common, poolId: 'linux', maxVms: 1 });
    const use = (by: TokenBook, bootId: string) =>
      byBook(by, { ...request('i-0abc', { method: 'aws' }), bootId }, secret, true);
    expect(await use(of, 'boot-1')).toMatchObject({ kind: 'ok' });
    expect(await use(of, 'boot-1')).toMatchObject({ kind: 'ok' });
    for (const after of [of, await openTokenBook(file, clock)])
      expect(await use(after, 'boot-2')).toMatchObject({
        kind: 'refused',
        reason: expect.stringContaining('was used by another boot'),
      });
  });
});

describe('by certificate', () => {
  const certificate = (subjectaltname: string) =>
    ({ subjectaltname, serialNumber: '01' }) as unknown as PeerCertificate;
  const verify = (names: string | undefined, vmId = 'vm-1') =>
    createMtlsJoin().verify(
      request(
        vmId,
        { method: 'mtls' },
        {},
        {
          certificate: names === undefined ? undefined : certificate(names),
        },
      ),
    );

  it('joins the VM that it names, in the pool that it names, if it names one', async () => {
    for (const names of [
      'URI:urn:mig:vm:vm-1',
      'DNS:vm-1, URI:urn:mig:vm:vm-1',
      'URI:urn:mig:vm:vm-1, URI:urn:mig:pool:linux',
    ])
      expect(await verify(names)).toMatchObject({ kind: 'ok' });
  });

  it('for another VM or pool, for two, for none, or without one, is refused', async () => {
    for (const names of [
      undefined,
      'DNS:vm-1',
      'URI:urn:mig:vm:vm-10',
      'URI:urn:mig:vm:vm-1, URI:urn:mig:vm:vm-2',
      'URI:urn:mig:vm:vm-1, URI:urn:mig:pool:windows',
      'DNS:"x, URI:urn:mig:vm:vm-1"',
    ])
      expect(await verify(names)).toMatchObject({ kind: 'refused' });
    expect(uriNames('DNS:"a, URI:urn:mig:vm:vm-1", URI:urn:mig:vm:vm-2')).toEqual([]);
  });
});
