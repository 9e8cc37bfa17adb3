/**
 * Session tokens of VMs: JWT signed with Ed25519, short-lived, bound to the VM, its boot, its pool, the session and the
 * address that it joined from. The key is made at the first start and never leaves its file.
 */
import { createPrivateKey, createPublicKey, randomUUID, sign, verify, type JsonWebKey } from 'node:crypto';
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
}

export interface SessionTokens {
  /** @param sessionId the session goes on; default: a new one begins */
  issue(claims: Omit<SessionClaims, 'sessionId'>, sessionId?: string): IssuedToken;
  /** The reason is for the audit log alone. */
  verify(
    token: string,
  ): Promise<
    | { readonly kind: 'ok'; readonly claims: SessionClaims }
    | { readonly kind: 'refused'; readonly reason: string }
  >;
}

export interface IssuedToken {
  readonly token: string;
  readonly sessionId: string;
  /** How long it is taken from now, milliseconds. */
  readonly expiresInMs: number;
}

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
});
const fullPayloadSchema = payloadSchema.extend({
  iss: z.string(),
  aud: z.string(),
  exp: z.number(),
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

  /** What nearly every token is, with no more work than that takes; undefined = it is looked at again, to say what is wrong. */
  function claimsOf(token: string): SessionClaims | undefined {
    if (!token.startsWith(`${header}.`)) return undefined;
    const end = token.lastIndexOf('.');
    const signed = Buffer.from(token.slice(0, end));
    if (!verify(null, signed, publicKey, Buffer.from(token.slice(end + 1), 'base64url'))) return undefined;
    const payload = fullPayloadSchema.safeParse(
      JSON.parse(Buffer.from(token.slice(header.length + 1, end), 'base64url').toString()),
    );
    if (!payload.success) return undefined;
    const { iss, aud, exp, nbf, ...claims } = payload.data;
    const nowS = Math.floor(clock.now() / 1_000);
    const isNow = exp > nowS - TOLERANCE_S && nbf <= nowS + TOLERANCE_S;
    return iss === ISSUER && aud === AUDIENCE && isNow ? toClaims(claims) : undefined;
  }

  return {
    issue(claims, sessionId = randomUUID()) {
      const nowS = Math.floor(clock.now() / 1_000);
      const payload = encode({
        pool: claims.poolId,
        boot: claims.bootId,
        sid: sessionId,
        addr: claims.address,
        iss: ISSUER,
        aud: AUDIENCE,
        sub: claims.vmId,
        iat: nowS,
        nbf: nowS - TOLERANCE_S,
        exp: nowS + Math.ceil(options.lifetimeMs / 1_000),
        jti: randomUUID(),
      });
      const signed = `${header}.${payload}`;
      // At once, here: a signature takes less than handing it to another thread.
      const token = `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`;
      return { token, sessionId, expiresInMs: options.lifetimeMs };
    },
    async verify(token) {
      try {
        const known = claimsOf(token);
        if (known !== undefined) return { kind: 'ok', claims: known };
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
        return { kind: 'ok', claims: toClaims(payloadSchema.parse(payload)) };
      } catch (error) {
        const reason = error instanceof joseErrors.JOSEError ? error.code : 'not a session token';
        return { kind: 'refused', reason: `session token: ${reason}` };
      }
    },
  };
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

const toClaims = ({ sub, pool, boot, sid, addr }: z.infer<typeof payloadSchema>): SessionClaims => ({
  vmId: sub,
  poolId: pool,
  bootId: boot,
  sessionId: sid,
  address: addr,
});

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
