/**
 * Who speaks for a VM, over HTTP and over the stream (I10): a VM with a session, one that joins now, or, where that is
 * allowed, one that brings nothing. Whatever is refused is refused in the same words; why is for the audit log.
 */
import type { Socket } from 'node:net';
import type { PeerCertificate } from 'node:tls';
import { MigError } from '@mig/common/errors';
import type { Audit } from './audit-log.js';
import type { AuthConfig, PoolJoin } from './auth-config.js';
import type { Claims } from './claims.js';
import { ForbiddenError, UnauthenticatedError } from './errors.js';
import type { JoinMethod, JoinMethodName, JoinProof } from './join/join-method.js';
import { peerAddress } from './peer-address.js';
import { certificateOf } from './peer-certificate.js';
import type { VmPrincipal } from './principal.js';
import type { IssuedToken, SessionClaims, SessionTokens } from './session-tokens.js';

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
  readonly socket: Socket;
  /** The route may be the first that a VM calls. */
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
};

export interface VmGate {
  /** @throws UnauthenticatedError, ForbiddenError, VmClaimedError, JoinUnavailableError, TooManyAttemptsError */
  admitHttp(caller: HttpCaller): Promise<Admitted>;
  /** @throws as `admitHttp` */
  admitStream(caller: StreamCaller): Promise<Admitted>;
  /** Agents of tasks and nodes: by a session, or by a join token where no boot owns the name. @throws as `admitHttp` */
  admitAgent(caller: AgentCaller): Promise<VmPrincipal>;
  /** The next token of a session that goes on. */
  renew(claims: SessionClaims): IssuedToken;
}

/** Another boot owns the name. */
export class VmClaimedError extends MigError {
  constructor(readonly vmId: string) {
    super(
      'vm-claimed',
      `VM ${vmId} belongs to another boot, which has not ended: it can join when that one is lost, or was released by "migctl release ${vmId}"`,
    );
  }
}

/** What it takes to look at a proof cannot be had now. */
export class JoinUnavailableError extends MigError {
  constructor() {
    super('join-unavailable', 'whether this VM may join cannot be found out now: try again');
  }
}

export interface VmGateDeps {
  readonly sessions: SessionTokens;
  readonly claims: Claims;
  readonly methods: Readonly<Record<JoinMethodName, JoinMethod>>;
  readonly audit: Audit;
  /** The pool of a VM that is there and has not ended; undefined = the name is free. */
  readonly poolOf: (vmId: string) => string | undefined;
  /** The pool of a join token. */
  readonly poolOfToken: (token: string) => string | undefined;
  readonly pool: (poolId: string) => { readonly join: PoolJoin; readonly allowUnauthenticated: boolean };
  /** A second boot claimed the name; for the VM's history. */
  readonly onClaimRefused: (vmId: string, bootId: string, address: string) => void;
  /** Counts what fails, and refuses an address that failed too often. */
  /** A VM joins: also that is counted. @throws TooMuchError */
  readonly joins: (vmId: string) => void;
  /** A VM that was not there appears. @throws PoolFullError */
  readonly newVm: (poolId: string) => void;
  readonly attempts: {
    /** @throws TooManyAttemptsError */
    assertAllowed(address: string): void;
    failed(address: string): void;
  };
}

export function createVmGate(
  deps: VmGateDeps,
  options: { readonly required: boolean; readonly bindAddress: AuthConfig['session']['bind_address'] },
): VmGate {
  const { sessions, claims, attempts } = deps;

  /** @param bootId empty = not said */
  async function bySession(
    bearer: string,
    vmId: string,
    address: string,
  ): Promise<{ readonly claims: SessionClaims } | { readonly reason: string }> {
    const verdict = await sessions.verify(bearer);
    if (verdict.kind === 'refused') return { reason: verdict.reason };
    const session = verdict.claims;
    if (session.vmId !== vmId) throw new ForbiddenError(`this session is of another VM than ${vmId}`);
    if (session.address !== '' && session.address !== address)
      return { reason: `the session is of address ${session.address}` };
    if (!claims.maySpeak(vmId, session.bootId)) return { reason: 'the session is of a boot that is over' };
    return { claims: session };
  }

  function assertSame(session: SessionClaims, poolId: string, bootId: string): void {
    if (poolId !== '' && poolId !== session.poolId)
      throw new ForbiddenError(`VM ${session.vmId} joined another pool than ${poolId}`);
    if (bootId !== '' && bootId !== session.bootId)
      throw new ForbiddenError(`this session of VM ${session.vmId} is of another boot`);
  }

  /** @throws as `admitHttp` */
  async function join(
    caller: Omit<StreamCaller, 'bearer'>,
    proof: JoinProof,
    certificate: PeerCertificate | undefined,
  ): Promise<Admitted> {
    const { vmId, poolId, bootId, address } = caller;
    attempts.assertAllowed(address);
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
      attempts.failed(address);
      tell('refused', { reason: verdict.reason });
      throw new UnauthenticatedError(verdict.reason);
    }
    deps.joins(vmId);
    if (deps.poolOf(vmId) === undefined) deps.newVm(poolId);
    const owner = claims.claim(vmId, bootId);
    if (owner !== undefined) {
      tell('refused', { by: verdict.by, reason: `the name belongs to boot ${owner}` });
      deps.onClaimRefused(vmId, bootId, address);
      throw new VmClaimedError(vmId);
    }
    const principal = { kind: 'vm', vmId, poolId, bootId, via: 'join' } as const;
    const session = { vmId, poolId, bootId, address: options.bindAddress ? address : '' };
    const issued = sessions.issue(session);
    tell('done', { by: verdict.by, session: issued.sessionId });
    return { ...principal, session: { ...issued, claims: { ...session, sessionId: issued.sessionId } } };
  }

  function admitAnonymous(vmId: string, poolId: string, bootId: string, reason: string): VmPrincipal {
    const principal = { kind: 'vm', vmId, poolId, bootId, via: 'none' } as const;
    const recorded = deps.poolOf(vmId);
    const enter = (): VmPrincipal => {
      if (recorded === undefined && poolId !== '') deps.newVm(poolId);
      return principal;
    };
    if (!options.required) return enter();
    const pools = [poolId, recorded].filter((id): id is string => id !== undefined && id !== '');
    const allowed =
      pools.length > 0 && pools.every((id) => deps.pool(id).allowUnauthenticated) && !claims.isJoined(vmId);
    if (!allowed) throw new UnauthenticatedError(reason);
    return enter();
  }

  const tokenProof = (token: string): JoinProof => ({ method: 'token', token });

  return {
    async admitHttp({ vmId, body, bearer, address: rawAddress, socket, mayJoin }) {
      const address = peerAddress(rawAddress);
      const poolId = textOf(body['pool_id']);
      const bootId = textOf(body['boot_id']);
      const proof = body['join'] as (JoinProof & { readonly boot_id?: string }) | undefined;
      if (mayJoin && proof !== undefined) {
        const joining = { vmId, poolId, bootId: proof.boot_id ?? bootId, address };
        try {
          return await join(joining, proof, certificateOf(socket));
        } catch (error) {
          // Who asks nobody for a credential does not mind one that is wrong.
          if (options.required || !(error instanceof UnauthenticatedError)) throw error;
          return admitAnonymous(vmId, poolId, bootId, error.message);
        }
      }
      if (bearer === undefined) return admitAnonymous(vmId, poolId, bootId, 'no credential');
      const known = await bySession(bearer, vmId, address);
      if ('claims' in known) {
        // A VM tells what an earlier boot of its own left untold, and says that it does.
        assertSame(known.claims, poolId, body['earlier_boot'] === true ? '' : bootId);
        const { poolId: pool, bootId: boot } = known.claims;
        const admitted = { kind: 'vm', vmId, poolId: pool, bootId: boot, via: 'session' } as const;
        // A VM that announces itself is answered with its session, however it joined.
        if (body['type'] !== 'vm_started') return { ...admitted, claims: known.claims };
        const issued = sessions.issue(known.claims, known.claims.sessionId);
        return { ...admitted, claims: known.claims, session: { ...issued, claims: known.claims } };
      }
      if (!options.required) return admitAnonymous(vmId, poolId, bootId, known.reason);
      if (mayJoin && poolId !== '' && !isJwt(bearer))
        return join({ vmId, poolId, bootId, address }, tokenProof(bearer), undefined);
      throw new UnauthenticatedError(known.reason);
    },

    async admitStream({ vmId, poolId, bootId, bearer, address: rawAddress }) {
      const address = peerAddress(rawAddress);
      if (bearer === undefined) return admitAnonymous(vmId, poolId, bootId, 'no credential');
      const known = await bySession(bearer, vmId, address);
      if ('claims' in known) {
        if (bootId !== known.claims.bootId)
          throw new ForbiddenError(`this session of VM ${vmId} is of another boot`);
        assertSame(known.claims, poolId, bootId);
        return { kind: 'vm', vmId, poolId, bootId, via: 'session', claims: known.claims };
      }
      if (!options.required) return admitAnonymous(vmId, poolId, bootId, known.reason);
      if (isJwt(bearer)) throw new UnauthenticatedError(known.reason);
      return join({ vmId, poolId, bootId, address }, tokenProof(bearer), undefined);
    },

    async admitAgent({ agentId: vmId, token, address: rawAddress }) {
      const address = peerAddress(rawAddress);
      const recorded = deps.poolOf(vmId) ?? '';
      if (token === undefined) return admitAnonymous(vmId, recorded, '', 'no credential');
      const known = await bySession(token, vmId, address);
      if ('claims' in known) {
        const { poolId, bootId } = known.claims;
        return { kind: 'vm', vmId, poolId, bootId, via: 'session' };
      }
      if (!options.required) return admitAnonymous(vmId, recorded, '', known.reason);
      const poolId = deps.poolOfToken(token) ?? recorded;
      if (isJwt(token) || poolId === '') throw new UnauthenticatedError(known.reason);
      const { kind, via } = await join({ vmId, poolId, bootId: '', address }, tokenProof(token), undefined);
      return { kind, vmId, poolId, bootId: '', via };
    },

    renew: ({ sessionId, ...session }) => sessions.issue(session, sessionId),
  };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** What looks like a session is one that is not taken, never a join token. */
const isJwt = (token: string): boolean => token.split('.').length === 3;
