/** People by an identity provider: a stand-in of it, offline. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { SignJWT, exportJWK, generateKeyPair, type JWK } from 'jose';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { byOidc } from './by-oidc.js';

const ISSUER = 'https://login.example';
const clock = createManualClock();
let key: Awaited<ReturnType<typeof generateKeyPair>>;
let published: JWK;
let asked: string[] = [];
let isUp = true;
const provider = (input: unknown): Promise<Response> => {
  const url = String(input);
  asked.push(url);
  if (!isUp) return Promise.reject(new Error('no route'));
  return Promise.resolve(
    url.endsWith('/.well-known/openid-configuration')
      ? Response.json({ issuer: ISSUER, jwks_uri: `${ISSUER}/keys` })
      : Response.json({ keys: [published] }),
  );
};
beforeAll(async () => {
  key = await generateKeyPair('ES256');
  published = { ...(await exportJWK(key.publicKey)), kid: 'k1', alg: 'ES256' };
});

const make = () =>
  byOidc(
    {
      issuer: ISSUER,
      audience: 'mig',
      name_claim: 'email',
      role_claim: 'groups',
      roles: { staff: 'viewer', sre: 'operator', root: 'admin' },
    },
    { clock, fetch: provider },
  );
const token = (change: object = {}, by = key.privateKey): Promise<string> => {
  const nowS = Math.floor(clock.now() / 1_000);
  const claims = {
    iss: ISSUER,
    aud: 'mig',
    sub: 'u1',
    exp: nowS + 600,
    email: 'ann@example',
    groups: ['staff', 'sre'],
  };
  return new SignJWT({ ...claims, ...change }).setProtectedHeader({ alg: 'ES256', kid: 'k1' }).sign(by);
};
const ask = async (bearer: string) => make()({ bearer, certificate: undefined });

describe('a token of the identity provider', () => {
  it('is a person with the highest role that the claim gives', async () => {
    expect(await ask(await token())).toMatchObject({
      kind: 'known',
      principal: { name: 'oidc:ann@example', grants: { '*': 'operator' }, via: 'oidc' },
    });
    expect(await ask(await token({ groups: 'root' }))).toMatchObject({
      principal: { grants: { '*': 'admin' } },
    });
  });

  it.each<[string, object]>([
    ['of another issuer', { iss: 'https://evil.example' }],
    ['for another program', { aud: 'other' }],
    ['that has expired', { exp: 1 }],
    ['without an end', { exp: undefined }],
    ['without a role', { groups: ['guests'] }],
    ['whose role is the name of a property of every object', { groups: ['constructor', '__proto__'] }],
    ['without the claim', { groups: undefined }],
    ['whose address the provider has not verified', { email_verified: false }],
    ['whose name is none', { email: { a: 1 } }],
  ])('%s is refused', async (_, change) => {
    expect(await ask(await token(change))).toMatchObject({ kind: 'unknown' });
  });

  it('that a stranger signed, or nobody, or with the public key as a secret, is refused', async () => {
    const stranger = (await generateKeyPair('ES256')).privateKey;
    expect(await ask(await token({}, stranger))).toMatchObject({ kind: 'unknown' });
    const [, payload = ''] = (await token()).split('.');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    expect(await ask(`${none}.${payload}.`)).toMatchObject({ kind: 'unknown' });
    const hmac = await new SignJWT({ sub: 'u1' })
      .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
      .sign(Buffer.from(JSON.stringify(published)));
    expect(await ask(hmac)).toMatchObject({ kind: 'unknown' });
  });

  it('is not asked for where the credential is of another kind, and the keys are fetched once', async () => {
    const method = make();
    asked = [];
    expect(await method({ bearer: 'mig_op_x', certificate: undefined })).toBeUndefined();
    expect(asked).toEqual([]);
    for (let count = 0; count < 5; count += 1)
      await method({ bearer: await token({ jti: String(count) }), certificate: undefined });
    expect(asked).toHaveLength(2);
  });

  it('cannot be looked at while the provider is down; that is no refusal, and passes', async () => {
    const method = make();
    isUp = false;
    await expect(method({ bearer: await token(), certificate: undefined })).rejects.toMatchObject({
      code: 'oidc-unavailable',
    });
    isUp = true;
    asked = [];
    await expect(method({ bearer: await token(), certificate: undefined })).rejects.toMatchObject({
      code: 'oidc-unavailable',
    });
    expect(asked).toEqual([]);
    clock.advance(10_000);
    expect(await method({ bearer: await token(), certificate: undefined })).toMatchObject({ kind: 'known' });
  });

  it('is looked at by the keys that are there while the provider is down, whatever key a stranger names', async () => {
    const method = make();
    const good = async () => method({ bearer: await token({ exp: 4_000_000_000 }), certificate: undefined });
    expect(await good()).toMatchObject({ kind: 'known' });
    isUp = false;
    clock.advance(60_000);
    const unknown = await new SignJWT({ sub: 'u1' })
      .setProtectedHeader({ alg: 'ES256', kid: 'invented' })
      .sign((await generateKeyPair('ES256')).privateKey);
    await expect(method({ bearer: unknown, certificate: undefined })).rejects.toMatchObject({
      code: 'oidc-unavailable',
    });
    expect(await good()).toMatchObject({ kind: 'known' });
    clock.advance(23 * 3_600_000);
    expect(await good()).toMatchObject({ kind: 'known' });
    clock.advance(3_600_000);
    await expect(good()).rejects.toMatchObject({ code: 'oidc-unavailable' });
    isUp = true;
    clock.advance(10_000);
    expect(await good()).toMatchObject({ kind: 'known' });
  });
});
