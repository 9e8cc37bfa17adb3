/** What a caller over gRPC hears when it is not let in, and what the audit log hears of it. */
import { Metadata, ServerError, Status } from 'nice-grpc';
import { MigError } from '@mig/common/errors';
import type { Audit } from '../auth/audit-log.js';
import { UnauthenticatedError } from '../auth/errors.js';
import { TooManyAttemptsError } from '../auth/limits/attempts.js';
import { TooMuchError } from '../auth/limits/limits.js';
import { peerAddress } from '../auth/peer-address.js';

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
export class RefusedCallError extends ServerError {
  constructor(
    code: Status,
    details: string,
    /** Of the call that ends by it. */
    readonly trailer: Metadata,
  ) {
    super(code, details);
  }
}

/** @returns the error to throw: a refusal as its status, and recorded; anything else as it is */
export function toRefusal(
  error: unknown,
  audit: Audit,
  { vmId, route, peer }: { readonly vmId: string; readonly route: string; readonly peer: string },
): unknown {
  if (!(error instanceof MigError)) return error;
  const status = STATUS[error.code] ?? Status.PERMISSION_DENIED;
  audit.record({
    actor: 'anonymous',
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
  const trailer = Metadata();
  if (error instanceof TooManyAttemptsError || error instanceof TooMuchError)
    trailer.set('retry-after', String(Math.ceil(error.retryAfterMs / 1_000)));
  return new RefusedCallError(status, error.message, trailer);
}
