/** Who may open a stream, and what it is told when it may not. */
import { Metadata, ServerError, Status } from 'nice-grpc';
import type { ConnectRequest } from '@mig/common/domain/messages';
import { MigError } from '@mig/common/errors';
import type { Audit } from '../auth/audit-log.js';
import { TooManyAttemptsError } from '../auth/limits/attempts.js';
import { TooMuchError, type Limits } from '../auth/limits/limits.js';
import { UnauthenticatedError } from '../auth/errors.js';
import { bearerOf } from '../auth/operator-auth.js';
import { peerAddress } from '../auth/peer-address.js';
import type { Admitted, VmGate } from '../auth/vm-gate.js';

export interface StreamCallerFacts {
  /** The header; undefined = there is none. */
  readonly authorization: string | undefined;
  /** Where the call comes from. */
  readonly peer: string;
}

export interface StreamAdmission {
  /** @throws StreamRefusedError if it may not */
  admit(request: ConnectRequest, caller: StreamCallerFacts): Promise<Admitted>;
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
  readonly audit: Audit;
}): StreamAdmission {
  const { gate, limits, audit } = deps;
  return {
    async admit({ vmId, poolId, bootId }, { authorization, peer }) {
      const bearer = bearerOf(authorization);
      try {
        const admitted = await gate.admitStream({ vmId, poolId, bootId, bearer, address: peer });
        limits.connect(vmId);
        return admitted;
      } catch (error) {
        if (!(error instanceof MigError)) throw error;
        const status = STATUS[error.code] ?? Status.PERMISSION_DENIED;
        audit.record({
          actor: 'anonymous',
          action: 'access',
          target: vmId,
          from: peerAddress(peer),
          outcome: 'refused',
          detail: {
            route: 'StreamCommands',
            status: Status[status],
            reason: error instanceof UnauthenticatedError ? (error.reason ?? '') : error.message,
          },
        });
        const trailer = Metadata();
        if (error instanceof TooManyAttemptsError || error instanceof TooMuchError)
          trailer.set('retry-after', String(Math.ceil(error.retryAfterMs / 1_000)));
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
