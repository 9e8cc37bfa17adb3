/**
 * The guard of every HTTP route. Who may call which is data (route-rights.ts); a route without a line there is refused
 * when the server is made, so that none is ever open by oversight.
 *
 * An operator is known before the body is read; what the call is about (a VM, a command, a drain, pools) is looked at when
 * its ids have been checked (I10). What is out of an operator's reach is answered as if it were not there.
 *
 * A VM with a session is known, and counted, before its body is read; what comes without a valid credential is counted for its
 * address, has a small body, and is read only while the address has credit (door/door.ts).
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { MigError } from '@mig/common/errors';
import type { AuditFact } from '@mig/common/domain/audit';
import { highestRole, isAtLeast, poolsWith, roleIn, type Role } from '@mig/common/domain/roles';
import type { DurableAudit } from './audit-log.js';
import { ForbiddenError, UnauthenticatedError, isAudited, needsRole } from './errors.js';
import { assertReach, type CallReachDeps } from './call-reach.js';
import { bearerOf, type OperatorAuth } from './operator-auth.js';
import { actorOf, type Principal, type VmPrincipal } from './principal.js';
import type { Door } from '../door/door.js';
import { TooMuchError, type Limits } from './limits/limits.js';
import type { ClientTrust } from './tls/client-trust.js';
import { bodyOf } from './body-of.js';
import { peerAddress, peerOf } from './peer-address.js';
import { ROUTE_RIGHTS, type Right } from './route-rights.js';
import { isJwt, type SessionTokens } from './session-tokens.js';
import type { HttpCaller, IssuedSession } from './vm-gate.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who calls; undefined on routes for anybody. */
    principal: Principal | undefined;
    /** A VM has joined by this request: what it is answered. */
    issuedSession: IssuedSession | undefined;
    /** The VM whose message this has been counted as, by its session; before its body was read. */
    countedFor: string | undefined;
    /** Why it was refused, for the audit log alone. */
    refusal: string | undefined;
    /** What came as its body, however it was announced. */
    bodyBytes: number;
    /** Who tried, where the credential is good and does not go so far. */
    refusedActor: string | undefined;
    /** It has its entry in the audit log. */
    isTold: boolean;
    /** What a call that was done is answered, for the audit log. */
    answer: Readonly<Record<string, unknown>> | undefined;
  }
}

export interface HttpGuardDeps extends CallReachDeps {
  readonly operators: OperatorAuth;
  /** The client certificate of a connection, if it counts now. */
  readonly certificateOf: ClientTrust['certificateOf'];
  readonly vms: {
    admitHttp(caller: HttpCaller): Promise<VmPrincipal & { readonly session?: IssuedSession }>;
  };
  readonly limits: Pick<Limits, 'request' | 'message' | 'bytes' | 'assertTaken'>;
  readonly sessions: Pick<SessionTokens, 'verify' | 'recall'>;
  readonly door: Pick<Door, 'charge' | 'turn' | 'vouch' | 'refuse'>;
  readonly audit: DurableAudit;
}

/** A route was added and nobody said who may call it. */
class RouteWithoutRightError extends MigError {
  constructor(route: string) {
    super('route-without-right', `${route} has no line in auth/route-rights.ts: say who may call it`);
  }
}

/** Somebody without a valid credential sends more than it takes to get one. */
export class BodyTooLargeError extends MigError {
  constructor() {
    super(
      'stranger-body-too-large',
      `a request without a valid credential may have a body of ${MAX_STRANGER_BODY} bytes: join first`,
    );
  }
}

/** Bytes of a body that is read before it is known whose it is: a proof to join by has a few thousand. */
export const MAX_STRANGER_BODY = 65_536;

/** Of a body whose length is not said, in credit: so much of it may have to be read. */
const UNKNOWN_LENGTH_COST = 16;
/** Of a webhook, in credit. */
const LARGEST_COST = 64;

/** To be called before any route is added. */
export function guardRoutes(app: FastifyInstance, deps: HttpGuardDeps): void {
  app.decorateRequest('principal', undefined);
  app.decorateRequest('issuedSession', undefined);
  app.decorateRequest('countedFor', undefined);
  app.decorateRequest('refusal', undefined);
  app.decorateRequest('bodyBytes', 0);
  app.decorateRequest('refusedActor', undefined);
  app.decorateRequest('isTold', false);
  app.decorateRequest('answer', undefined);

  app.addHook('onRoute', ({ method, url }) => {
    for (const name of [method].flat()) rightOf(name, url);
  });

  app.addHook('onRequest', async (request, reply) => {
    const right = rightOfRequest(request);
    if (right?.who === 'vm') await countVm(request);
    if (right === undefined || right.who === 'anybody')
      await chargeStranger(request, costOf(request, right?.cost));
    if (right?.who !== 'operator') return;
    const verdict = await deps.operators.identify({
      bearer: bearerOf(request.headers.authorization),
      certificate: deps.certificateOf(request.raw.socket),
    });
    if (verdict.kind === 'unknown') {
      await chargeStranger(request);
      throw unauthenticated(request, reply, verdict.reason);
    }
    deps.door.vouch(peerOf(request.raw.socket));
    request.principal = verdict.principal;
    deps.limits.request(verdict.principal.id);
  });

  // When the body is there: a refusal is entered with what was wanted.
  app.addHook('preValidation', async (request) => {
    const right = rightOfRequest(request);
    const { principal } = request;
    if (right?.who !== 'operator' || principal?.kind !== 'operator') return;
    if (!isAtLeast(highestRole(principal.grants), right.role)) throw needsRole(right.role);
  });

  app.addHook('preHandler', async (request, reply) => {
    const right = rightOfRequest(request);
    if (right?.who === 'vm') await admitVm(request, reply);
    const { principal } = request;
    if (right?.who === 'operator' && principal?.kind === 'operator')
      assertReach(deps, request, principal, right);
  });

  app.addHook('preSerialization', (request, reply, payload, done) => {
    if (reply.statusCode < 400) request.answer = payload as Readonly<Record<string, unknown>>;
    done(null, payload);
  });

  // Before the answer: what an operator has changed is in the audit log on the disk when they are told so.
  app.addHook('onSend', async (request, reply, payload) => {
    await tell(request, reply);
    return payload;
  });

  app.addHook('onError', (request, _, error, done) => {
    if (error instanceof TooMuchError && request.principal?.kind !== 'operator')
      deps.door.refuse(peerOf(request.raw.socket));
    done();
  });

  app.addHook('onResponse', (request, reply, done) => {
    // Whoever sent it could sign it.
    if (isWebhook(request) && reply.statusCode < 300) deps.door.vouch(peerOf(request.raw.socket));
    done();
  });

  /** Resolves when it is the request's turn. @throws TooMuchError */
  async function chargeStranger(request: FastifyRequest, cost?: number): Promise<void> {
    const waitMs = deps.door.charge(peerOf(request.raw.socket), cost);
    if (waitMs > 0) throw new TooMuchError('this address', 'it may without a valid credential', waitMs);
    await deps.door.turn();
  }

  /** @throws TooMuchError, BodyTooLargeError */
  async function countVm(request: FastifyRequest): Promise<void> {
    const bearer = bearerOf(request.headers.authorization);
    const bytes = Number(request.headers['content-length'] ?? 0);
    let claims = bearer === undefined ? undefined : deps.sessions.recall(bearer);
    if (claims === undefined) {
      // Before it is looked at: that takes the processor. Who is let in gets it back.
      await chargeStranger(
        request,
        request.headers['transfer-encoding'] === undefined ? 1 : UNKNOWN_LENGTH_COST,
      );
      const verdict = bearer !== undefined && isJwt(bearer) ? deps.sessions.verify(bearer) : undefined;
      if (verdict?.kind !== 'ok') {
        if (bytes > MAX_STRANGER_BODY) throw new BodyTooLargeError();
        return;
      }
      ({ claims } = verdict);
    }
    const { vmId } = claims;
    request.countedFor = vmId;
    deps.limits.assertTaken(vmId);
    countMessage(request, vmId, bytes);
  }

  /** @throws TooMuchError */
  function countMessage(request: FastifyRequest, vmId: string, bytes: number): void {
    const isHeartbeat = request.routeOptions.url?.endsWith('/heartbeat') === true;
    const waitMs = deps.limits.message(vmId, bytes, isHeartbeat ? 'heartbeat' : undefined);
    if (waitMs > 0) throw new TooMuchError(`VM ${vmId}`, 'can be taken at once', waitMs);
  }

  async function admitVm(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    try {
      const admitted = await deps.vms.admitHttp({
        vmId: (request.params as { vm_id: string }).vm_id,
        body: bodyOf(request),
        bearer: bearerOf(request.headers.authorization),
        address: request.ip,
        certificate: deps.certificateOf(request.raw.socket),
        mayJoin: isBeginning(request),
      });
      request.principal = admitted;
      request.issuedSession = admitted.session;
      deps.door.vouch(peerOf(request.raw.socket), admitted.vmId);
      if (request.countedFor !== admitted.vmId) {
        deps.limits.assertTaken(admitted.vmId);
        countMessage(request, admitted.vmId, 0);
      }
      // Its length may not have been said before.
      if (request.countedFor === undefined || request.headers['content-length'] === undefined)
        deps.limits.bytes(admitted.vmId, request.bodyBytes);
    } catch (error) {
      request.isTold = isAudited(error);
      if (error instanceof UnauthenticatedError)
        throw unauthenticated(request, reply, error.reason ?? 'no credential');
      if (error instanceof ForbiddenError) request.refusedActor = error.actor;
      if (error instanceof MigError) request.refusal = error.message;
      throw error;
    }
  }

  async function tell(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const right = rightOfRequest(request);
    const action = right?.who === 'operator' ? right.action : undefined;
    const { statusCode } = reply;
    const denied = statusCode === 401 || statusCode === 403 || statusCode === 429;
    if (right === undefined || request.isTold || (action === undefined && !denied)) return;
    request.isTold = true;
    const params = (request.params ?? {}) as Readonly<Record<string, string>>;
    const body = bodyOf(request);
    const isDone = statusCode < 400;
    const answer = (isDone ? request.answer : undefined) ?? {};
    const fact: AuditFact = {
      actor: request.refusedActor ?? actorOf(request.principal),
      action: action?.name ?? 'access',
      target: action?.target?.(body, answer) ?? params['id'] ?? params['vm_id'] ?? '',
      from: peerAddress(request.ip),
      outcome: isDone ? 'done' : statusCode < 500 ? 'refused' : 'failed',
      detail: {
        ...action?.detail?.(body),
        ...(isDone ? action?.result?.(answer) : undefined),
        ...(action === undefined ? { route: `${request.method} ${request.routeOptions.url ?? ''}` } : {}),
        ...(isDone ? {} : { status: String(statusCode) }),
        ...(request.refusal === undefined ? {} : { reason: request.refusal }),
      },
    };
    if (isDone) await deps.audit.commit(fact);
    else deps.audit.record(fact);
  }
}

/** May whoever calls see what belongs to this pool? For lists, which leave out the rest. */
export function maySee(request: FastifyRequest, poolId: string, role: Role = 'viewer'): boolean {
  const { principal } = request;
  return principal?.kind === 'operator' && isAtLeast(roleIn(principal.grants, poolId), role);
}

/** In which pools whoever calls has this role; undefined = in every one. */
export function poolsOf(request: FastifyRequest, role: Role): readonly string[] | undefined {
  const { principal } = request;
  return principal?.kind === 'operator' ? poolsWith(principal.grants, role) : [];
}

/** Who it was, for records: `created_by`. */
export const callerName = (request: FastifyRequest): string =>
  request.principal?.kind === 'operator' ? request.principal.name : 'operator';

function rightOf(method: string, url: string): Right {
  const key = `${method === 'HEAD' ? 'GET' : method} ${url}`;
  const right = Object.hasOwn(ROUTE_RIGHTS, key) ? ROUTE_RIGHTS[key] : undefined;
  if (right === undefined) throw new RouteWithoutRightError(key);
  return right;
}

/** Undefined for a path that no route has: it is answered with 404, to anybody. */
const rightOfRequest = (request: FastifyRequest): Right | undefined =>
  request.routeOptions.url === undefined ? undefined : rightOf(request.method, request.routeOptions.url);

/** These alone may be the first that a VM says. */
const isBeginning = (request: FastifyRequest): boolean =>
  request.routeOptions.url?.endsWith('/join') === true ||
  (request.routeOptions.url?.endsWith('/events') === true && bodyOf(request)['type'] === 'vm_started');

const isWebhook = ({ routeOptions: { url } }: FastifyRequest): boolean => url === '/webhooks/github';

/** Where anybody may send a large body, it costs. One whose length is not said may be the largest. */
function costOf(request: FastifyRequest, cost = 1): number {
  if (!isWebhook(request)) return cost;
  const length = request.headers['content-length'];
  return cost + (length === undefined ? LARGEST_COST : Math.floor(Number(length) / MAX_STRANGER_BODY));
}

function unauthenticated(request: FastifyRequest, reply: FastifyReply, reason: string): UnauthenticatedError {
  request.refusal = reason;
  void reply.header('www-authenticate', 'Bearer');
  return new UnauthenticatedError();
}
