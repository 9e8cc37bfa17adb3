/** What a caller over gRPC hears when it is not let in, and what the audit log hears of it. */
import { ServerError, Status, type CallContext } from 'nice-grpc';
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

/** @returns the error to throw: a refusal as its status, and recorded; anything else as it is */
export function toRefusal(
  error: unknown,
  audit: Audit,
  { vmId, route, context }: { readonly vmId: string; readonly route: string; readonly context: CallContext },
): unknown {
  if (!(error instanceof MigError)) return error;
  const status = STATUS[error.code] ?? Status.PERMISSION_DENIED;
  audit.record({
    actor: 'anonymous',
    action: 'access',
    target: vmId,
    from: peerAddress(context.peer),
    outcome: 'refused',
    detail: {
      route,
      status: Status[status],
      reason: error instanceof UnauthenticatedError ? (error.reason ?? '') : error.message,
    },
  });
  if (error instanceof TooManyAttemptsError || error instanceof TooMuchError)
    context.trailer.set('retry-after', String(Math.ceil(error.retryAfterMs / 1_000)));
  return new ServerError(status, error.message);
}
