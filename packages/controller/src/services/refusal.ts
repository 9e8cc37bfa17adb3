/** What a caller over gRPC hears when it is not let in, and what the audit log hears of it. */
import { Metadata, ServerError, Status } from 'nice-grpc';
import { MigError } from '@mig/common/errors';
import type { Audit } from '../auth/audit-log.js';
import { ForbiddenError, UnauthenticatedError, isAudited } from '../auth/errors.js';
import { peerAddress } from '../auth/peer-address.js';
import { retryAfter } from './retry-after.js';

const STATUS: Readonly<Record<string, Status>> = {
  unauthenticated: Status.UNAUTHENTICATED,
  forbidden: Status.PERMISSION_DENIED,
  'vm-claimed': Status.ALREADY_EXISTS,
  'join-unavailable': Status.UNAVAILABLE,
  'too-many-attempts': Status.RESOURCE_EXHAUSTED,
  'too-much': Status.RESOURCE_EXHAUSTED,
  'pool-full': Status.RESOURCE_EXHAUSTED,
};

/** A call may not be made. */
export class RefusedError extends ServerError {
  constructor(
    code: Status,
    details: string,
    /** Of the call that ends by it. */
    readonly trailer: Metadata,
  ) {
    super(code, details);
  }
}

export interface RefusedCall {
  readonly vmId: string;
  readonly route: string;
  /** Where the call comes from. */
  readonly peer: string;
}

/** @returns the error to throw: a refusal as its status, and recorded; anything else as it is */
export function toRefusal(error: unknown, audit: Audit, { vmId, route, peer }: RefusedCall): unknown {
  if (!(error instanceof MigError)) return error;
  const status = STATUS[error.code] ?? Status.PERMISSION_DENIED;
  if (!isAudited(error))
    audit.record({
      actor: (error instanceof ForbiddenError ? error.actor : undefined) ?? 'anonymous',
      action: 'access',
      target: vmId,
      from: peerAddress(peer),
      outcome: 'refused',
      detail: {
        route,
        status: Status[status],
        reason: error instanceof UnauthenticatedError ? (error.reason ?? '') : error.message,
      },
    });
  const isLater = status === Status.RESOURCE_EXHAUSTED || status === Status.UNAVAILABLE;
  return new RefusedError(status, error.message, isLater ? retryAfter(error) : Metadata());
}
