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
import { exportJWK, generateKeyPair } from 'jose';
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
  issue(claims: Omit<SessionClaims, 'sessionId'>, sessionId?: string): IssuedToken;
  verify(token: string): SessionVerdict;
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
/** Forged tokens that are known at a time (I12). */
const MAX_FORGED = 1_000;
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
  iss: z.string(),
  aud: z.string(),
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
  /** Hashes of tokens whose signature was found wrong: they come again. */
  const forged = new Set<string>();
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

  const isSignedHere = (token: string): boolean => {
    const end = token.lastIndexOf('.');
    const signature = Buffer.from(token.slice(end + 1), 'base64url');
    return verify(null, Buffer.from(token.slice(0, end)), publicKey, signature);
  };

  function forget(token: string): void {
    forged.add(hashOf(token));
    if (forged.size <= MAX_FORGED) return;
    const [oldest] = forged;
    if (oldest !== undefined) forged.delete(oldest);
  }

  /** What is wrong with a token of which the signature is not looked at, or not good. */
  function refusalOf(token: string): SessionVerdict {
    const { alg } = toObject(token.slice(0, token.indexOf('.')));
    return refused(alg === 'EdDSA' ? 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' : 'ERR_JOSE_ALG_NOT_ALLOWED');
  }

  function remember(token: string, claims: SessionClaims, expiresAtS: number): void {
    known.set(hashOf(token), { claims, expiresAtMs: expiresAtS * 1_000 });
    if (known.size <= MAX_KNOWN) return;
    const [oldest] = known.keys();
    if (oldest !== undefined) known.delete(oldest);
  }

  return {
    recall: (token) => find(token)?.claims,
    issue(claims, sessionId = randomUUID()) {
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
    verify(token) {
      // Most of what VMs that join bring: nothing is to be said of what is wrong with it.
      if (!isJwt(token)) return refused('ERR_JWS_INVALID');
      const found = find(token);
      if (found !== undefined) return { kind: 'ok', ...found };
      // Of another key, or of none: the header's own word for its algorithm counts for nothing.
      if (!token.startsWith(`${header}.`) || forged.has(hashOf(token))) return refusalOf(token);
      if (!isSignedHere(token)) {
        forget(token);
        return refusalOf(token);
      }
      const { data: payload } = payloadSchema.safeParse(toObject(token.split('.')[1] ?? ''));
      if (payload === undefined) return refused('not a session token');
      const { iss, aud, sub, pool, boot, sid, addr, epoch, by, exp, nbf } = payload;
      const nowS = Math.floor(clock.now() / 1_000);
      if (exp <= nowS - TOLERANCE_S) return refused('ERR_JWT_EXPIRED');
      if (iss !== ISSUER || aud !== AUDIENCE || nbf > nowS + TOLERANCE_S)
        return refused('ERR_JWT_CLAIM_VALIDATION_FAILED');
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
    },
  };
}

const refused = (reason: string): SessionVerdict => ({ kind: 'refused', reason: `session token: ${reason}` });

/** A part of a token; empty if it is none. */
function toObject(part: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
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
