/** How a VM proves that it belongs to a pool, before it has a session. Each way is one implementation of this. */
import type { PeerCertificate } from 'node:tls';
import type { PoolJoin } from '../auth-config.js';

export const JOIN_METHODS = ['token', 'gce', 'aws', 'mtls'] as const;
export type JoinMethodName = (typeof JOIN_METHODS)[number];

/** What a VM brings along: only what its method needs is there. */
export interface JoinProof {
  readonly method: JoinMethodName;
  readonly token?: string | undefined;
  readonly identity_token?: string | undefined;
  readonly document?: string | undefined;
  readonly signature?: string | undefined;
}

export interface JoinRequest {
  readonly vmId: string;
  readonly poolId: string;
  readonly bootId: string;
  readonly proof: JoinProof;
  /** Of the TLS connection; undefined = none that was checked. */
  readonly certificate: PeerCertificate | undefined;
  /** What is configured for the pool. */
  readonly pool: PoolJoin;
}

export type JoinVerdict =
  /**
   * `by` says in the audit log by what: the id of a token, an instance. Never a secret (I8).
   * `tokenId`: of a join token that can be revoked, which ends the session too.
   */
  | { readonly kind: 'ok'; readonly by: string; readonly tokenId?: string }
  /** The reason is for the audit log alone. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** It cannot be found out now; the VM tries again. */
  | { readonly kind: 'unavailable'; readonly reason: string };

export interface JoinMethod {
  verify(request: JoinRequest): Promise<JoinVerdict>;
}

export const refused = (reason: string): JoinVerdict => ({ kind: 'refused', reason });
