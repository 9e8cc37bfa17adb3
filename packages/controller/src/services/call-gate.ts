/**
 * Refuses a call before anything of it is read: of a VM that was cut for sending too much, and of an address that makes too many
 * calls without a valid credential. Who sends too much, before or in a call, is told RESOURCE_EXHAUSTED and loses the connection:
 * what is still on its way is not read, and who goes on has to come through the door again.
 */
import type { CallContext, ServerMiddlewareCall } from 'nice-grpc';
import { TooMuchError, type Limits } from '../auth/limits/limits.js';
import { bearerOf } from '../auth/operator-auth.js';
import type { SessionTokens } from '../auth/session-tokens.js';
import { isJwt } from '../auth/vm-gate.js';
import type { Door } from '../door/door.js';
import { TooMuchStatus } from './too-much-status.js';

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
      const refusal = error instanceof TooMuchError ? new TooMuchStatus(error) : error;
      if (refusal instanceof TooMuchStatus) {
        context.trailer.set('retry-after', String(Math.ceil(refusal.retryAfterMs / 1_000)));
        door.refuse(context.peer);
      }
      throw refusal;
    }
  };
}
