/**
 * Who speaks for a VM, over HTTP and over the stream (I10): a VM with a session, one that joins now, or, where that is
 * allowed, one that brings nothing. Whatever is refused is refused in the same words; why is for the audit log.
 */
import type { PeerCertificate } from 'node:tls';
import { MigError } from '@mig/common/errors';
import type { Audit } from './audit-log.js';
import type { AuthConfig, PoolJoin } from './auth-config.js';
import { VmClaimedError, type Claims } from './claims.js';
import { ForbiddenError, UnauthenticatedError } from './errors.js';
import type { JoinMethod, JoinMethodName, JoinProof } from './join/join-method.js';
import { TooManyAttemptsError } from './limits/attempts.js';
import { createOpenSessions, type OpenSessions } from './open-sessions.js';
import { peerAddress } from './peer-address.js';
import { vmActor, type VmPrincipal } from './principal.js';
import { hashSecret } from './secret.js';
import { isJwt, type IssuedToken, type SessionClaims, type SessionTokens } from './session-tokens.js';

export interface IssuedSession extends IssuedToken {
  readonly claims: SessionClaims;
}

export interface HttpCaller {
  /** Of the path; checked. */
  readonly vmId: string;
  /** Checked by the route's schema. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly bearer: string | undefined;
  readonly address: string;
  /** Of the connection, checked; undefined = none. */
  readonly certificate: PeerCertificate | undefined;
  /** It may be the first that a VM says. */
  readonly mayJoin: boolean;
}

export interface StreamCaller {
  readonly vmId: string;
  readonly poolId: string;
  readonly bootId: string;
  readonly bearer: string | undefined;
  readonly address: string;
}

export interface AgentCaller {
  readonly agentId: string;
  readonly token: string | undefined;
  readonly address: string;
}

export type Admitted = VmPrincipal & {
  /** It has just joined: this is its session. */
  readonly session?: IssuedSession;
  /** It came with this session. */
  readonly claims?: SessionClaims;
  /** When the token ends that it came with. */
  readonly expiresAtMs?: number;
};

export interface VmGate extends OpenSessions {
  /** @throws UnauthenticatedError, ForbiddenError, VmClaimedError, JoinUnavailableError, TooManyAttemptsError */
  admitHttp(caller: HttpCaller): Promise<Admitted>;
  /** @throws as `admitHttp` */
  admitStream(caller: StreamCaller): Promise<Admitted>;
  /** Agents of tasks and nodes: by a session, or by a join token where no boot owns the name. @throws as `admitHttp` */
  admitAgent(caller: AgentCaller): Promise<VmPrincipal>;
  /** The next token of a session that goes on. @throws UnauthenticatedError if it does not, or the VM has ended */
  renew(claims: SessionClaims): Promise<IssuedToken>;
}

/** Agents whose join token is known (I12): more than a fleet has. Beyond it all join anew. */
const MAX_AGENTS = 100_000;

/** What it takes to look at a proof cannot be had now. */
export class JoinUnavailableError extends MigError {
  readonly isAudited = true;
  constructor() {
    super('join-unavailable', 'whether this VM may join cannot be found out now: try again');
  }
}

export interface VmGateDeps {
  readonly sessions: SessionTokens;
  readonly claims: Claims;
  readonly methods: Readonly<Record<JoinMethodName, JoinMethod>>;
  readonly audit: Audit;
  /** The pool of a VM that is there and has not ended. */
  readonly poolOf: (vmId: string) => string | undefined;
  /** The VM has said that it ends, and its stream has ended. */
  readonly isDone: (vmId: string) => boolean;
  /** The pool of a join token. */
  readonly poolOfToken: (token: string) => string | undefined;
  /** Was this join token revoked, together with the sessions that began with it? */
  readonly endsSessions: (tokenId: string) => boolean;
  /** Rises with every token that is revoked. */
  readonly revocationCount: () => number;
  readonly pool: (poolId: string) => { readonly join: PoolJoin; readonly allowUnauthenticated: boolean };
  /** A second boot claimed the name; for the VM's history. */
  readonly onClaimRefused: (vmId: string, bootId: string, address: string) => void;
  /** A VM joins: also that is counted. @throws TooMuchError */
  readonly joins: (vmId: string) => void;
  /** A VM that was not there appears. @throws PoolFullError */
  readonly newVm: (poolId: string) => void;
  /** Counts joins that fail, by address. @returns how long further ones are answered with 429; 0 = they are not */
  readonly failed: (address: string) => number;
}

export function createVmGate(
  deps: VmGateDeps,
  options: { readonly required: boolean; readonly bindAddress: AuthConfig['session']['bind_address'] },
): VmGate {
  const { sessions, claims } = deps;
  /** By what each agent has joined. */
  const agents = new Map<string, string>();

  const reasonAgainst = (session: SessionClaims): string | undefined =>
    claims.silencedBy(session) ??
    (deps.endsSessions(session.joinTokenId) ? `join token ${session.joinTokenId} is revoked` : undefined);

  /** @throws ForbiddenError */
  function bySession(
    bearer: string,
    vmId: string,
    address: string,
  ): { readonly claims: SessionClaims; readonly expiresAtMs: number } | { readonly reason: string } {
    const verdict = sessions.verify(bearer);
    if (verdict.kind === 'refused') return { reason: verdict.reason };
    const session = verdict.claims;
    if (session.vmId !== vmId)
      throw new ForbiddenError(`this session is of another VM than ${vmId}`, vmActor(session.vmId));
    if (session.address !== '' && session.address !== address)
      return { reason: `the session is of address ${session.address}` };
    const reason = reasonAgainst(session);
    if (reason !== undefined) return { reason };
    claims.heard(session, address);
    return { claims: session, expiresAtMs: verdict.expiresAtMs };
  }

  function assertSame(session: SessionClaims, poolId: string, bootId: string): void {
    if (poolId !== '' && poolId !== session.poolId)
      throw new ForbiddenError(
        `VM ${session.vmId} joined another pool than ${poolId}`,
        vmActor(session.vmId),
      );
    if (bootId !== '' && bootId !== session.bootId)
      throw new ForbiddenError(
        `this session of VM ${session.vmId} is of another boot`,
        vmActor(session.vmId),
      );
  }

  /** A boot that joins again shows the session that it has; from where it comes does not matter then. */
  function isOf({ bearer, vmId, bootId }: StreamCaller): boolean {
    if (bearer === undefined || !isJwt(bearer)) return false;
    const verdict = sessions.verify(bearer);
    if (verdict.kind === 'refused') return false;
    const session = verdict.claims;
    return session.vmId === vmId && session.bootId === bootId && reasonAgainst(session) === undefined;
  }

  async function nextOf(session: SessionClaims): Promise<IssuedToken> {
    const reason = deps.isDone(session.vmId) ? 'the VM has ended' : reasonAgainst(session);
    if (reason !== undefined) throw new UnauthenticatedError(reason);
    return sessions.issue(session, session.sessionId);
  }

  /**
   * @param options.known it joined before by the same proof: that is looked at again, and the name, and nothing is counted or told
   * @throws as `admitHttp`
   */
  async function admitJoin(
    caller: StreamCaller,
    proof: JoinProof,
    certificate: PeerCertificate | undefined,
    { known }: { readonly known: boolean },
  ): Promise<{
    readonly principal: VmPrincipal;
    readonly joinTokenId: string;
    tellDone(session: string): void;
  }> {
    const { vmId, poolId, bootId, address } = caller;
    const { join: pool } = deps.pool(poolId);
    const tell = (outcome: 'done' | 'refused' | 'failed', detail: Record<string, string>): void =>
      deps.audit.record({
        actor: outcome === 'done' ? `vm:${vmId}` : 'anonymous',
        action: 'vm.join',
        target: vmId,
        from: address,
        outcome,
        detail: { pool: poolId, boot: bootId, method: proof.method, ...detail },
      });
    const verdict = pool.methods.includes(proof.method)
      ? await deps.methods[proof.method].verify({ vmId, poolId, bootId, proof, certificate, pool })
      : ({ kind: 'refused', reason: `the pool does not take the method ${proof.method}` } as const);
    if (verdict.kind === 'unavailable') {
      tell('failed', { reason: verdict.reason });
      throw new JoinUnavailableError();
    }
    if (verdict.kind === 'refused') {
      tell('refused', { reason: verdict.reason });
      const lockedMs = deps.failed(address);
      if (lockedMs > 0) throw new TooManyAttemptsError(lockedMs, true);
      throw new UnauthenticatedError(verdict.reason, true);
    }
    const isProven = isOf(caller);
    if (!known) {
      deps.joins(vmId);
      if (deps.poolOf(vmId) === undefined) deps.newVm(poolId);
    }
    const fault = claims.claim({ vmId, poolId, bootId, address, isProven });
    if (fault !== undefined) {
      const refusal = new VmClaimedError(vmId, fault);
      tell('refused', { by: verdict.by, reason: refusal.message });
      deps.onClaimRefused(vmId, bootId, address);
      throw refusal;
    }
    return {
      principal: { kind: 'vm', vmId, poolId, bootId, via: 'join' },
      joinTokenId: verdict.tokenId ?? '',
      tellDone: (session) => tell('done', { by: verdict.by, ...(session === '' ? {} : { session }) }),
    };
  }

  /** @throws as `admitHttp` */
  async function join(
    caller: StreamCaller,
    proof: JoinProof,
    certificate: PeerCertificate | undefined,
  ): Promise<Admitted> {
    const { principal, joinTokenId, tellDone } = await admitJoin(caller, proof, certificate, {
      known: false,
    });
    const { vmId, poolId, bootId, address } = caller;
    const session = {
      vmId,
      poolId,
      bootId,
      address: options.bindAddress ? address : '',
      epoch: claims.epochOf(vmId),
      joinTokenId,
    };
    const issued = sessions.issue(session);
    tellDone(issued.sessionId);
    return { ...principal, session: { ...issued, claims: { ...session, sessionId: issued.sessionId } } };
  }

  function admitAnonymous(vmId: string, poolId: string, bootId: string, reason: string): VmPrincipal {
    const principal = { kind: 'vm', vmId, poolId, bootId, via: 'none' } as const;
    const there = deps.poolOf(vmId);
    const enter = (): VmPrincipal => {
      if (there === undefined && poolId !== '') deps.newVm(poolId);
      return principal;
    };
    if (!options.required) return enter();
    const owner = claims.poolOf(vmId);
    const pools = [poolId === '' ? there : poolId, owner].filter((id) => id !== undefined);
    const allowed =
      pools.length > 0 && pools.every((id) => deps.pool(id).allowUnauthenticated) && !claims.isJoined(vmId);
    if (!allowed) throw new UnauthenticatedError(reason);
    if (owner !== undefined && pools[0] !== owner) throw new VmClaimedError(vmId, 'otherPool');
    return enter();
  }

  const tokenProof = (token: string): JoinProof => ({ method: 'token', token });

  return {
    async admitHttp({ vmId, body, bearer, address: rawAddress, certificate, mayJoin }) {
      const address = peerAddress(rawAddress);
      const poolId = textOf(body['pool_id']);
      const bootId = textOf(body['boot_id']);
      const proof = body['join'] as (JoinProof & { readonly boot_id?: string }) | undefined;
      if (mayJoin && proof !== undefined) {
        const joining = { vmId, poolId, bootId: proof.boot_id ?? bootId, bearer, address };
        try {
          return await join(joining, proof, certificate);
        } catch (error) {
          // Who asks nobody for a credential does not mind one that is wrong.
          if (options.required || !(error instanceof UnauthenticatedError)) throw error;
          return admitAnonymous(vmId, poolId, bootId, error.message);
        }
      }
      if (bearer === undefined) return admitAnonymous(vmId, poolId, bootId, 'no credential');
      const known = bySession(bearer, vmId, address);
      if ('claims' in known) {
        // A VM tells what an earlier boot of its own left untold, and says that it does.
        assertSame(known.claims, poolId, body['earlier_boot'] === true ? '' : bootId);
        const { poolId: pool, bootId: boot } = known.claims;
        const admitted = { kind: 'vm', vmId, poolId: pool, bootId: boot, via: 'session' } as const;
        // A VM that announces itself is answered with its session, however it joined.
        if (body['type'] !== 'vm_started' || deps.isDone(vmId)) return { ...admitted, claims: known.claims };
        const issued = await nextOf(known.claims);
        return { ...admitted, claims: known.claims, session: { ...issued, claims: known.claims } };
      }
      if (!options.required) return admitAnonymous(vmId, poolId, bootId, known.reason);
      if (mayJoin && poolId !== '' && !isJwt(bearer))
        return join({ vmId, poolId, bootId, bearer, address }, tokenProof(bearer), undefined);
      throw new UnauthenticatedError(known.reason);
    },

    async admitStream({ vmId, poolId, bootId, bearer, address: rawAddress }) {
      const address = peerAddress(rawAddress);
      if (bearer === undefined) return admitAnonymous(vmId, poolId, bootId, 'no credential');
      const known = bySession(bearer, vmId, address);
      if ('claims' in known) {
        if (bootId !== known.claims.bootId)
          throw new ForbiddenError(`this session of VM ${vmId} is of another boot`, vmActor(vmId));
        assertSame(known.claims, poolId, bootId);
        return { kind: 'vm', vmId, poolId, bootId, via: 'session', ...known };
      }
      if (!options.required) return admitAnonymous(vmId, poolId, bootId, known.reason);
      if (isJwt(bearer)) throw new UnauthenticatedError(known.reason);
      return join({ vmId, poolId, bootId, bearer, address }, tokenProof(bearer), undefined);
    },

    async admitAgent({ agentId: vmId, token, address: rawAddress }) {
      const address = peerAddress(rawAddress);
      const recorded = deps.poolOf(vmId) ?? '';
      if (token === undefined) return admitAnonymous(vmId, recorded, '', 'no credential');
      const session = bySession(token, vmId, address);
      if ('claims' in session) {
        const { poolId, bootId } = session.claims;
        return { kind: 'vm', vmId, poolId, bootId, via: 'session' };
      }
      if (!options.required) return admitAnonymous(vmId, recorded, '', session.reason);
      const poolId = deps.poolOfToken(token) ?? recorded;
      if (isJwt(token) || poolId === '') throw new UnauthenticatedError(session.reason);
      // A node shows its token with every call; the first counts.
      const key = `${poolId} ${address} ${hashSecret(token)}`;
      const known = agents.get(vmId) === key;
      const joining = { vmId, poolId, bootId: '', bearer: undefined, address };
      const { principal, tellDone } = await admitJoin(joining, tokenProof(token), undefined, { known });
      if (known) return principal;
      if (agents.size >= MAX_AGENTS) agents.clear();
      agents.set(vmId, key);
      tellDone('');
      return principal;
    },

    renew: nextOf,
    ...createOpenSessions({
      reasonAgainst,
      changeCount: () => claims.changeCount + deps.revocationCount(),
      audit: deps.audit,
    }),
  };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
