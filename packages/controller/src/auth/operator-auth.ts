/** Who is at the operator API: by token, by the person's own sign-in, by certificate; or nobody, where none is asked for. */
import type { PeerCertificate } from 'node:tls';
import { EVERY_POOL } from '@mig/common/domain/roles';
import type { OperatorPrincipal } from './principal.js';
import type { TokenBook } from './token-book.js';

/** What a request brings along. */
export interface Presented {
  /** Of `Authorization: Bearer`; undefined = none. */
  readonly bearer: string | undefined;
  /** Of the TLS connection, checked; undefined = none. */
  readonly certificate: PeerCertificate | undefined;
}

export type OperatorVerdict =
  | { readonly kind: 'known'; readonly principal: OperatorPrincipal }
  /** The reason is for the audit log alone. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** A further way to know an operator, asked when the token book knows nothing. Undefined = not of its kind. */
export type OperatorMethod = (presented: Presented) => Promise<OperatorVerdict | undefined>;

export interface OperatorAuth {
  identify(presented: Presented): Promise<OperatorVerdict>;
}

const ANONYMOUS: OperatorPrincipal = {
  kind: 'operator',
  name: 'operator',
  id: 'operator',
  grants: { [EVERY_POOL]: 'admin' },
  via: 'none',
};

export function createOperatorAuth(
  { book, methods = [] }: { readonly book: TokenBook; readonly methods?: readonly OperatorMethod[] },
  options: { readonly required: boolean },
): OperatorAuth {
  function byToken(bearer: string): OperatorVerdict | undefined {
    const token = book.find(bearer);
    if (token === undefined) return undefined;
    if (token.kind !== 'operator')
      return { kind: 'unknown', reason: `${token.id} is a join token, which is no operator's` };
    const state = book.stateOf(token);
    if (state !== 'active') return { kind: 'unknown', reason: `token ${token.id} is ${state}` };
    const { id, name, grants, expiresAt } = token;
    return { kind: 'known', principal: { kind: 'operator', name, id, grants, via: 'token', expiresAt } };
  }

  async function known(presented: Presented): Promise<OperatorVerdict> {
    const token = presented.bearer === undefined ? undefined : byToken(presented.bearer);
    if (token !== undefined) return token;
    for (const method of methods) {
      const verdict = await method(presented);
      if (verdict !== undefined) return verdict;
    }
    return {
      kind: 'unknown',
      reason: presented.bearer === undefined ? 'no credential' : 'unknown credential',
    };
  }

  return {
    async identify(presented) {
      const verdict = await known(presented);
      return verdict.kind === 'known' || options.required ? verdict : { kind: 'known', principal: ANONYMOUS };
    },
  };
}

/** The token of an `Authorization` header; undefined for another scheme, or none. */
export function bearerOf(header: string | undefined): string | undefined {
  return /^bearer +([\x21-\x7e]{1,16384}) *$/i.exec(header ?? '')?.[1];
}
