/**
 * People and CI by the tokens of an identity provider (OpenID Connect): signature, issuer, audience and end are checked, and
 * a claim says the role. The provider's keys are found by its own description, and kept (key-cache.ts).
 */
import { errors, jwtVerify, type JWTPayload } from 'jose';
import * as z from 'zod';
import type { Clock } from '@mig/common/clock';
import { EVERY_POOL, ROLES, isAtLeast, type Role } from '@mig/common/domain/roles';
import { errorMessage } from '@mig/common/errors';
import { OidcUnavailableError } from './errors.js';
import { createKeyCache, fetchJson } from './key-cache.js';
import type { OperatorMethod } from './operator-auth.js';

export interface OidcOptions {
  /** Empty = nobody gets in by it. */
  readonly issuer: string;
  readonly audience: string;
  /** Whose name it is, in the audit log. */
  readonly name_claim: string;
  /** Its value, or any of its values, is looked up in `roles`. */
  readonly role_claim: string;
  /** Value of the claim -> role of every pool. */
  readonly roles: Readonly<Record<string, Role>>;
}

export interface OidcDeps {
  readonly clock: Clock;
  readonly fetch: typeof globalThis.fetch;
}

/** None with a shared secret, and not `none`. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const TIMEOUT_MS = 5_000;
const descriptionSchema = z.object({ issuer: z.string(), jwks_uri: z.url() });

export function byOidc(options: OidcOptions, { clock, fetch }: OidcDeps): OperatorMethod {
  const keys = createKeyCache(clock, async () => {
    const url = `${options.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const { issuer, jwks_uri } = descriptionSchema.parse(await fetchJson(fetch, url, TIMEOUT_MS));
    if (issuer !== options.issuer) throw new Error(`it calls itself ${issuer}`);
    return fetchJson(fetch, jwks_uri, TIMEOUT_MS);
  });

  return async ({ bearer }) => {
    if (options.issuer === '' || bearer?.split('.').length !== 3) return undefined;
    try {
      const { payload } = await jwtVerify(bearer, keys, {
        algorithms: ALGORITHMS,
        issuer: options.issuer,
        audience: options.audience,
        currentDate: new Date(clock.now()),
        clockTolerance: 30,
        requiredClaims: ['exp', 'sub'],
      });
      return toVerdict(payload, options);
    } catch (error) {
      if (isOfToken(error)) return { kind: 'unknown', reason: `OIDC token: ${error.code}` };
      throw new OidcUnavailableError(errorMessage(error));
    }
  };
}

function toVerdict(payload: JWTPayload, options: OidcOptions): Awaited<ReturnType<OperatorMethod>> {
  const claim = payload[options.role_claim];
  const values = (Array.isArray(claim) ? claim : [claim]).filter((value) => typeof value === 'string');
  const roles = values.flatMap((value) =>
    Object.hasOwn(options.roles, value) ? [options.roles[value] ?? 'viewer'] : [],
  );
  const role = ROLES.findLast((one) => roles.some((given) => isAtLeast(given, one)));
  if (role === undefined) return { kind: 'unknown', reason: `OIDC token of ${String(payload.sub)}: no role` };
  const name = payload[options.name_claim] ?? payload.sub;
  if (typeof name !== 'string' || name === '')
    return { kind: 'unknown', reason: `OIDC token: its claim ${options.name_claim} is no name` };
  // Some providers leave it out, and let nobody choose an address that is not theirs.
  if (options.name_claim === 'email' && !isVerified(payload['email_verified']))
    return { kind: 'unknown', reason: `OIDC token of ${String(payload.sub)}: its address is not verified` };
  return {
    kind: 'known',
    principal: {
      kind: 'operator',
      name: `oidc:${name}`,
      id: `oidc:${payload.sub ?? ''}`,
      grants: { [EVERY_POOL]: role },
      via: 'oidc',
      expiresAt: (payload.exp ?? 0) * 1_000,
    },
  };
}

/** Some providers write it as a text. */
const isVerified = (claim: unknown): boolean => claim === undefined || claim === true || claim === 'true';

/** What is wrong with the token itself; anything else is the provider's, and may pass. */
function isOfToken(error: unknown): error is errors.JOSEError {
  return error instanceof errors.JOSEError;
}
