/** How tasks and jobs reach the controller: by the same endpoint, wire and session as the commands. */
import { ClientError, Status } from 'nice-grpc';
import type { Outcome } from '@mig/common/outcome';
import type { Credentials } from './credentials.js';
import type { LinkTls } from './link-tls.js';

export interface ControllerAccess {
  /** HOST:PORT of gRPC; asked for again at every connection. */
  readonly endpoint: () => string;
  /** Undefined = plain text. @throws the file system's error */
  readonly tls: () => LinkTls | undefined;
  readonly credentials: Pick<Credentials, 'authorize' | 'refuse'>;
}

/** The token to speak with; undefined = none is needed. @throws NotAuthorizedError */
export async function tokenOf(
  { credentials }: ControllerAccess,
  signal: AbortSignal,
): Promise<string | undefined> {
  const outcome: Outcome<string | undefined> = await credentials.authorize(signal);
  if (outcome.kind === 'ok') return outcome.value;
  throw new NotAuthorizedError(outcome.reason);
}

/** There is no session now, and none to be had. */
class NotAuthorizedError extends Error {}

/** A token that the controller did not take is dropped, and the VM joins again. */
export function noteRefusal(
  { credentials }: ControllerAccess,
  error: unknown,
  token: string | undefined,
): void {
  if (error instanceof ClientError && error.code === Status.UNAUTHENTICATED) credentials.refuse(token);
}
