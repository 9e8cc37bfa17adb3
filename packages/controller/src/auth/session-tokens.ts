/**
 * Session tokens of VMs: JWT signed with Ed25519, short-lived, bound to the VM, its boot, its pool, the session, the
 * address that it joined from and the join token that it joined by. The key is made at the first start and never leaves its file.
 *
 * A signature that was made here, or found good, is not looked at again: a token is known by all of its characters until it ends.
 * Whether the session counts still (its epoch, its join token) is looked at each time, by whoever asks.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  randomUUID,
  sign,
  verify,
  type JsonWebKey,
} from 'node:crypto';
import { exportJWK, generateKeyPair, jwtVerify, errors as joseErrors } from 'jose';
import * as z from 'zod';
import type { Clock } from '@mig/common/clock';
import { MigError, errorMessage } from '@mig/common/errors';
import { readPrivateFile, writePrivateFile } from './private-file.js';

export interface SessionClaims {
  readonly vmId: string;
  readonly poolId: string;
  readonly bootId: string;
  readonly sessionId: string;
  /** As `peerAddress` writes it; empty = not bound to one. */
  readonly address: string;
  /** Of the VM's name, when the session was issued: a release begins another. */
  readonly epoch: string;
  /** The join token that it began with; empty = it began with none that can be revoked. */
  readonly joinTokenId: string;
}

/** The reason is for the audit log alone. */
export type SessionVerdict =
  | { readonly kind: 'ok'; readonly claims: SessionClaims; readonly expiresAtMs: number }
  | { readonly kind: 'refused'; readonly reason: string };

export interface SessionTokens {
  /** @param sessionId the session goes on; default: a new one begins */
  issue(claims: Omit<SessionClaims, 'sessionId'>, sessionId?: string): Promise<IssuedToken>;
  verify(token: string): Promise<SessionVerdict>;
  /** Of a token that was made or verified here lately, at once; undefined = it takes `verify`. */
  recall(token: string): SessionClaims | undefined;
}

/** What looks like a session is one that is not taken, never a join token. */
export const isJwt = (token: string): boolean => token.split('.').length === 3;

export interface IssuedToken {
  readonly token: string;
  readonly sessionId: string;
  /** How long it is taken from now, milliseconds. */
  readonly expiresInMs: number;
}

/** Tokens that are known at a time (I12); the one that was asked for longest ago is forgotten, and looked at again. */
const MAX_KNOWN = 20_000;
const AUDIENCE = 'mig:vm';
const ISSUER = 'mig:controller';
const TYPE = 'mig-session+jwt';
/** Clocks of one controller and its standby may differ by this. */
const TOLERANCE_S = 5;

/** The key cannot be read. The controller does not start: a new one would end every session without a word. */
export class SessionKeyError extends MigError {
  constructor(
    readonly file: string,
    reason: string,
  ) {
    super(
      'bad-session-key',
      `the key of the sessions cannot be read from ${file} (${reason}): restore it, or remove it; then every VM joins again`,
    );
  }
}

const keySchema = z.looseObject({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  kid: z.string(),
  d: z.string(),
  x: z.string(),
});
const payloadSchema = z.object({
  sub: z.string(),
  pool: z.string(),
  boot: z.string(),
  sid: z.string(),
  addr: z.string(),
  // Sessions of an older controller say nothing of these.
  epoch: z.string().default(''),
  by: z.string().default(''),
  exp: z.number(),
});
const ownPayloadSchema = payloadSchema.extend({
  iss: z.literal(ISSUER),
  aud: z.literal(AUDIENCE),
  nbf: z.number(),
});

/** @throws SessionKeyError, or the file system's error */
export async function openSessionTokens(
  file: string,
  { clock }: { readonly clock: Clock },
  options: { readonly lifetimeMs: number },
): Promise<SessionTokens> {
  const jwk = await readOrMakeKey(file);
  const { key, publicKey } = toKeys(file, jwk);
  const header = encode({ alg: 'EdDSA', typ: TYPE, kid: jwk.kid });
  /** By the hash of the token, which is a tenth of its length. */
  const known = new Map<string, { readonly claims: SessionClaims; readonly expiresAtMs: number }>();

  function find(token: string): { readonly claims: SessionClaims; readonly expiresAtMs: number } | undefined {
    const hash = hashOf(token);
    const found = known.get(hash);
    if (found === undefined) return undefined;
    known.delete(hash);
    if (clock.now() >= found.expiresAtMs + TOLERANCE_S * 1_000) return undefined;
    known.set(hash, found);
    return found;
  }

  /** Is it one of ours, beyond doubt? What is not is looked at with more care, to say what is wrong. */
  function isSignedHere(token: string): boolean {
    const end = token.lastIndexOf('.');
    return (
      token.startsWith(`${header}.`) &&
      verify(
        null,
        Buffer.from(token.slice(0, end)),
        publicKey,
        Buffer.from(token.slice(end + 1), 'base64url'),
      )
    );
  }

  /** @throws JOSEError that says what is wrong */
  async function carefulPayloadOf(token: string): Promise<z.infer<typeof payloadSchema>> {
    const { payload } = await jwtVerify(token, publicKey, {
      // The header's own word for its algorithm counts for nothing.
      algorithms: ['EdDSA'],
      audience: AUDIENCE,
      issuer: ISSUER,
      typ: TYPE,
      currentDate: new Date(clock.now()),
      clockTolerance: TOLERANCE_S,
      requiredClaims: ['exp', 'sub'],
    });
    return payloadSchema.parse(payload);
  }

  /** Undefined if something about it is not as it should be. */
  function payloadOf(token: string): z.infer<typeof payloadSchema> | undefined {
    if (!isSignedHere(token)) return undefined;
    const [, text = ''] = token.split('.');
    const payload = ownPayloadSchema.safeParse(JSON.parse(Buffer.from(text, 'base64url').toString()));
    const nowS = Math.floor(clock.now() / 1_000);
    if (!payload.success) return undefined;
    const { exp, nbf } = payload.data;
    return exp > nowS - TOLERANCE_S && nbf <= nowS + TOLERANCE_S ? payload.data : undefined;
  }

  function remember(token: string, claims: SessionClaims, expiresAtS: number): void {
    known.set(hashOf(token), { claims, expiresAtMs: expiresAtS * 1_000 });
    if (known.size <= MAX_KNOWN) return;
    const [oldest] = known.keys();
    if (oldest !== undefined) known.delete(oldest);
  }

  return {
    recall: (token) => find(token)?.claims,
    async issue(claims, sessionId = randomUUID()) {
      const nowS = Math.floor(clock.now() / 1_000);
      const expiresAtS = nowS + Math.ceil(options.lifetimeMs / 1_000);
      const payload = encode({
        pool: claims.poolId,
        boot: claims.bootId,
        sid: sessionId,
        addr: claims.address,
        epoch: claims.epoch,
        by: claims.joinTokenId,
        iss: ISSUER,
        aud: AUDIENCE,
        sub: claims.vmId,
        iat: nowS,
        nbf: nowS - TOLERANCE_S,
        exp: expiresAtS,
        jti: randomUUID(),
      });
      const signed = `${header}.${payload}`;
      // At once, here: a signature costs less than handing it to another thread.
      const token = `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`;
      remember(token, { ...claims, sessionId }, expiresAtS);
      return { token, sessionId, expiresInMs: options.lifetimeMs };
    },
    async verify(token) {
      // Most of what VMs that join bring: nothing is to be said of what is wrong with it.
      if (!isJwt(token)) return { kind: 'refused', reason: 'session token: ERR_JWS_INVALID' };
      const found = find(token);
      if (found !== undefined) return { kind: 'ok', ...found };
      try {
        const payload = payloadOf(token) ?? (await carefulPayloadOf(token));
        const { sub, pool, boot, sid, addr, epoch, by, exp } = payload;
        const claims = {
          vmId: sub,
          poolId: pool,
          bootId: boot,
          sessionId: sid,
          address: addr,
          epoch,
          joinTokenId: by,
        };
        remember(token, claims, exp);
        return { kind: 'ok', claims, expiresAtMs: exp * 1_000 };
      } catch (error) {
        const reason = error instanceof joseErrors.JOSEError ? error.code : 'not a session token';
        return { kind: 'refused', reason: `session token: ${reason}` };
      }
    },
  };
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

const hashOf = (token: string): string => createHash('sha256').update(token).digest('base64');

/** @throws SessionKeyError */
function toKeys(file: string, jwk: z.infer<typeof keySchema>) {
  try {
    const key = createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' });
    return { key, publicKey: createPublicKey(key) };
  } catch (error) {
    throw new SessionKeyError(file, errorMessage(error));
  }
}

async function readOrMakeKey(file: string): Promise<z.infer<typeof keySchema>> {
  const text = await readPrivateFile(file);
  if (text !== undefined) {
    try {
      return keySchema.parse(JSON.parse(text));
    } catch (error) {
      throw new SessionKeyError(file, errorMessage(error).split('\n', 1)[0] ?? '');
    }
  }
  const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const jwk = keySchema.parse({ ...(await exportJWK(privateKey)), kid: randomUUID() });
  await writePrivateFile(file, `${JSON.stringify(jwk)}\n`);
  return jwk;
}
