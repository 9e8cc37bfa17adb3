/**
 * Refuses a call before anything of it is read: of a VM that was cut for sending too much, and of an address that makes too many
 * calls without a valid credential. Who sends too much, before or in a call, is told RESOURCE_EXHAUSTED and loses the connection:
 * what is still on its way is not read, and who goes on has to come through the door again.
 */
import { Status } from 'nice-grpc';
import { TooMuchError, type Limits } from '../auth/limits/limits.js';
import { bearerOf } from '../auth/operator-auth.js';
import { isJwt, type SessionTokens } from '../auth/session-tokens.js';
import type { Door } from '../door/door.js';
import type { Call, CallListener, OpenCall } from '../grpc/call.js';
import type { CallGate } from '../grpc/http2-server.js';
import { retryAfter } from './retry-after.js';

export interface CallGateDeps {
  readonly sessionTokens: Pick<SessionTokens, 'verify' | 'recall'>;
  readonly limits: Pick<Limits, 'call' | 'assertTaken'>;
  readonly door: Pick<Door, 'charge' | 'turn' | 'refuse'>;
}

/** @param isMessage of a path: its calls are what a VM says, and are counted as messages where they are served */
export function createCallGate(
  { sessionTokens, limits, door }: CallGateDeps,
  isMessage: (path: string) => boolean,
): CallGate {
  /** @throws TooMuchError */
  function chargeStranger({ connection: { peer } }: Call): void {
    const waitMs = door.charge(peer);
    if (waitMs > 0) throw new TooMuchError('this address', 'it may without a valid credential', waitMs);
  }

  /** @throws TooMuchError */
  function countCall({ path }: Call, vmId: string): void {
    if (isMessage(path)) limits.assertTaken(vmId);
    else limits.call(vmId);
  }

  /** @returns `served`, or who refuses the call if `check` throws TooMuchError */
  function unlessTooMuch(call: Call, check: () => void, served: OpenCall): CallListener {
    try {
      check();
    } catch (error) {
      if (!(error instanceof TooMuchError)) throw error;
      call.end(Status.RESOURCE_EXHAUSTED, error.message, retryAfter(error));
      call.discard();
      door.refuse(call.connection.peer);
      return NOBODY;
    }
    return served(call);
  }

  return {
    open(call, served) {
      // Agents of tasks show theirs in a header of their own.
      const bearer = bearerOf(call.header('authorization')) ?? call.header('agent_token');
      const { peer } = call.connection;
      const known = bearer === undefined ? undefined : sessionTokens.recall(bearer);
      if (known !== undefined) {
        const inTurn = (): CallListener => waiting(call, door.turn(peer), () => served(call));
        return unlessTooMuch(call, () => countCall(call, known.vmId), inTurn);
      }
      // Before it is looked at: that takes the processor. Who is let in gets it back.
      return unlessTooMuch(
        call,
        () => chargeStranger(call),
        () =>
          waiting(call, door.turn(), () => {
            const verdict = bearer === undefined || !isJwt(bearer) ? undefined : sessionTokens.verify(bearer);
            return verdict?.kind === 'ok'
              ? unlessTooMuch(call, () => countCall(call, verdict.claims.vmId), served)
              : served(call);
          }),
      );
    },
    noCall(peer) {
      if (door.charge(peer) > 0) door.refuse(peer);
    },
  };
}

/** Nothing of the call is read until it is its turn. */
function waiting(call: Call, turn: Promise<void> | undefined, open: () => CallListener): CallListener {
  if (turn === undefined) return open();
  let listener: CallListener | undefined;
  let hasHalfClosed = false;
  call.pause();
  void turn.then(() => {
    // It went away, or its time is over.
    if (call.ended) return;
    listener = open();
    call.resume();
    if (hasHalfClosed) listener.onHalfClose();
  });
  return {
    onMessage: (bytes, start, end) => listener?.onMessage(bytes, start, end),
    onHalfClose() {
      hasHalfClosed = true;
      listener?.onHalfClose();
    },
    onCancel: () => listener?.onCancel(),
    onDrain: () => listener?.onDrain(),
  };
}

const NOBODY: CallListener = {
  onMessage: ignore,
  onHalfClose: ignore,
  onCancel: ignore,
  onDrain: ignore,
};

function ignore(): void {}
