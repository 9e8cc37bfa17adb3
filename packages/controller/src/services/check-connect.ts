/** What the first message of a stream must be. */
import { ServerError, Status } from 'nice-grpc';
import { InvalidIdError } from '@mig/common/errors';
import { assertId } from '@mig/common/domain/ids';
import type { ConnectRequest, MigletMessage } from '@mig/common/domain/messages';

/** @throws ServerError if it is no `connect`, or has an id that breaks the rule (I10) */
export function checkConnect(message: MigletMessage): ConnectRequest {
  if (message.kind === 'malformed') throw malformed(message.reason);
  if (message.kind !== 'connect') {
    throw new ServerError(
      Status.FAILED_PRECONDITION,
      `the first message must be connect, not ${message.kind}`,
    );
  }
  const { request } = message;
  checkId('vm_id', request.vmId);
  checkId('pool_id', request.poolId);
  if (request.orgId !== '') checkId('org_id', request.orgId);
  if (request.bootId !== '') checkId('boot_id', request.bootId);
  return request;
}

/** @throws ServerError */
export function checkId(field: string, value: string): void {
  try {
    assertId(field, value);
  } catch (error) {
    if (error instanceof InvalidIdError) throw new ServerError(Status.INVALID_ARGUMENT, error.message);
    throw error;
  }
}

export const malformed = (reason: string): ServerError =>
  new ServerError(Status.INVALID_ARGUMENT, `a message could not be decoded: ${reason}`);
