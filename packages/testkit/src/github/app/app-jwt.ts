/**
 * An App's JSON web token, checked as GitHub checks it. The messages are GitHub's own words: Octokit recognizes a clock
 * that is wrong by `'Expiration time' claim ('exp')` and `'Issued at' claim ('iat')` in them, and tries again by GitHub's
 * clock (@octokit/auth-app, octokit/auth-app.js issue 698).
 */
import { createVerify, type KeyObject } from 'node:crypto';

/** The longest that a token may be valid, from GitHub's now (github-facts 2.2). There is no tolerance. */
const MAX_LIFETIME_S = 600;

export type JwtVerdict =
  | { readonly kind: 'ok' }
  | { readonly kind: 'refused'; readonly status: 401 | 404; readonly message: string };

export function verifyAppJwt(
  token: string,
  expected: {
    readonly issuers: readonly string[];
    readonly keys: readonly KeyObject[];
    readonly nowMs: number;
  },
): JwtVerdict {
  const [head = '', body = '', signature = '', ...rest] = token.split('.');
  const header = decode(head);
  const claims = decode(body);
  if (header?.['alg'] !== 'RS256' || claims === undefined || rest.length > 0) return undecodable;
  const issuer = claims['iss'];
  if (typeof issuer !== 'string' && typeof issuer !== 'number')
    return refuse("'Issuer' claim ('iss') must be an Integer");
  if (!expected.issuers.includes(String(issuer)))
    return { kind: 'refused', status: 404, message: 'Integration not found' };
  const isSigned = expected.keys.some((key) =>
    createVerify('RSA-SHA256').update(`${head}.${body}`).verify(key, signature, 'base64url'),
  );
  return isSigned ? checkTimes(claims['exp'], claims['iat'], expected.nowMs / 1000) : undecodable;
}

function checkTimes(expires: unknown, issued: unknown, nowS: number): JwtVerdict {
  if (typeof expires !== 'number' || expires <= nowS) {
    return refuse(
      "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
    );
  }
  if (expires > nowS + MAX_LIFETIME_S)
    return refuse("'Expiration time' claim ('exp') is too far in the future");
  if (!Number.isInteger(issued) || Number(issued) > nowS) {
    return refuse(
      "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
    );
  }
  return { kind: 'ok' };
}

const refuse = (message: string): JwtVerdict => ({ kind: 'refused', status: 401, message });
const undecodable = refuse('A JSON web token could not be decoded');

function decode(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
