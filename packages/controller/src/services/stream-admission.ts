/** Who may open a stream, and what it is told when it may not. */
import { Metadata, ServerError, Status } from 'nice-grpc';
import type { ConnectRequest } from '@mig/common/domain/messages';
import { MigError } from '@mig/common/errors';
import type { Audit } from '../auth/audit-log.js';
import { TooMuchError, type Limits } from '../auth/limits/limits.js';
import { ForbiddenError, UnauthenticatedError, isAudited } from '../auth/errors.js';
import { bearerOf } from '../auth/operator-auth.js';
import { peerAddress } from '../auth/peer-address.js';
import { actorOf, type VmPrincipal } from '../auth/principal.js';
import type { Admitted, VmGate } from '../auth/vm-gate.js';
import type { Door } from '../door/door.js';
import { retryAfter } from './retry-after.js';

export interface StreamCallerFacts {
  /** The header; undefined = there is none. */
  readonly authorization: string | undefined;
  /** Where the call comes from. */
  readonly peer: string;
}

export interface StreamAdmission {
  /** @throws StreamRefusedError if it may not */
  admit(request: ConnectRequest, caller: StreamCallerFacts): Promise<Admitted>;
  /** The VM of a stream spoke for another one, which ends its stream: who, for whom, from where. */
  impersonated(speaker: VmPrincipal, claimedVmId: string, peer: string): void;
}

/** A stream may not be opened. */
export class StreamRefusedError extends ServerError {
  constructor(
    code: Status,
    details: string,
    /** Of the call that ends by it. */
    readonly trailer: Metadata,
  ) {
    super(code, details);
  }
}

export function createStreamAdmission(deps: {
  readonly gate: Pick<VmGate, 'admitStream'>;
  readonly limits: Pick<Limits, 'connect'>;
  readonly door: Pick<Door, 'vouch' | 'refuse'>;
  readonly audit: Audit;
}): StreamAdmission {
  const { gate, limits, door, audit } = deps;

  function tellRefused(refusal: {
    readonly actor: string | undefined;
    readonly target: string;
    readonly peer: string;
    readonly status: Status;
    readonly reason: string;
  }): void {
    audit.record({
      actor: refusal.actor ?? 'anonymous',
      action: 'access',
      target: refusal.target,
      from: peerAddress(refusal.peer),
      outcome: 'refused',
      detail: { route: 'StreamCommands', status: Status[refusal.status], reason: refusal.reason },
    });
  }

  return {
    impersonated: (speaker, claimedVmId, peer) =>
      tellRefused({
        actor: actorOf(speaker),
        target: claimedVmId,
        peer,
        status: Status.PERMISSION_DENIED,
        reason: `a message on the stream of VM ${speaker.vmId} names another VM`,
      }),

    async admit({ vmId, poolId, bootId }, { authorization, peer }) {
      const bearer = bearerOf(authorization);
      try {
        const admitted = await gate.admitStream({ vmId, poolId, bootId, bearer, address: peer });
        limits.connect(vmId);
        door.vouch(peer, vmId);
        return admitted;
      } catch (error) {
        if (!(error instanceof MigError)) throw error;
        if (error instanceof TooMuchError) door.refuse(peer);
        const status = STATUS[error.code] ?? Status.PERMISSION_DENIED;
        if (!isAudited(error))
          tellRefused({
            actor: error instanceof ForbiddenError ? error.actor : undefined,
            target: vmId,
            peer,
            status,
            reason: error instanceof UnauthenticatedError ? (error.reason ?? '') : error.message,
          });
        const isLater = status === Status.RESOURCE_EXHAUSTED || status === Status.UNAVAILABLE;
        const trailer = isLater ? retryAfter(error) : Metadata();
        throw new StreamRefusedError(status, error.message, trailer);
      }
    },
  };
}

const STATUS: Readonly<Record<string, Status>> = {
  unauthenticated: Status.UNAUTHENTICATED,
  forbidden: Status.PERMISSION_DENIED,
  'vm-claimed': Status.ALREADY_EXISTS,
  'join-unavailable': Status.UNAVAILABLE,
  'too-many-attempts': Status.RESOURCE_EXHAUSTED,
  'too-much': Status.RESOURCE_EXHAUSTED,
  'pool-full': Status.RESOURCE_EXHAUSTED,
};
