/**
 * Refuses a call before anything of it is read: of a VM that was cut for sending too much, and of an address that makes too many
 * calls without a valid credential. Who is told RESOURCE_EXHAUSTED, here or by the call itself, loses the connection as well:
 * what is still on its way is not read, and who goes on has to come through the door again.
 */
import { ServerError, Status, type CallContext, type ServerMiddlewareCall } from 'nice-grpc';
import { TooMuchError, type Limits } from '../auth/limits/limits.js';
import { bearerOf } from '../auth/operator-auth.js';
import type { SessionTokens } from '../auth/session-tokens.js';
import { isJwt } from '../auth/vm-gate.js';
import type { Door } from '../door/door.js';

export interface CallGateDeps {
  readonly sessions: Pick<SessionTokens, 'verify'>;
  readonly limits: Pick<Limits, 'call'>;
  readonly door: Pick<Door, 'charge' | 'refuse'>;
}

export function createCallGate({ sessions, limits, door }: CallGateDeps) {
  /** @throws TooMuchError */
  async function assertMayCall({ metadata, peer }: CallContext): Promise<void> {
    const bearer = bearerOf(metadata.get('authorization'));
    const verdict = bearer !== undefined && isJwt(bearer) ? await sessions.verify(bearer) : undefined;
    if (verdict?.kind === 'ok') {
      limits.call(verdict.claims.vmId);
      return;
    }
    const waitMs = door.charge(peer);
    if (waitMs > 0) throw new TooMuchError('this address', 'it may without a valid credential', waitMs);
  }

  return async function* gate<Request, Response>(
    call: ServerMiddlewareCall<Request, Response>,
    context: CallContext,
  ): AsyncGenerator<Awaited<Response>, Awaited<Response> | void, undefined> {
    try {
      await assertMayCall(context);
      return yield* call.next(call.request, context);
    } catch (error) {
      const refusal = error instanceof TooMuchError ? toServerError(error, context) : error;
      if (refusal instanceof ServerError && refusal.code === Status.RESOURCE_EXHAUSTED)
        door.refuse(context.peer);
      throw refusal;
    }
  };
}

function toServerError(error: TooMuchError, { trailer }: CallContext): ServerError {
  trailer.set('retry-after', String(Math.ceil(error.retryAfterMs / 1_000)));
  return new ServerError(Status.RESOURCE_EXHAUSTED, error.message);
}
