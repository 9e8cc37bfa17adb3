import { isAbortError } from 'abort-controller-x';
import { ServerError, Status, type CallContext, type ServerMiddlewareCall } from 'nice-grpc';
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import { errorMessage } from '@mig/common/errors';
import { peerAddress } from '../../auth/peer-address.js';

export interface FailureLog {
  /**
   * Logs how a call ended. What a peer does wrong is a warning; a peer that goes away is nothing. Anybody can fail as often as they
   * like: of one kind, from one address, the first of a minute are logged one by one, and so many in all; the others are counted.
   * @returns what the peer may hear of it: of an unexpected error INTERNAL without its text, which the log has whole
   */
  failed(error: unknown, where: { readonly method: string; readonly peer: string }): unknown;
}

const WINDOW_MS = 60_000;
/** Of one kind, in a minute. */
const FIRST_COUNT = 5;
/** Of all kinds, in a minute. */
const TOTAL_COUNT = 100;
/** Kinds that are told apart in a minute (I12); all others share one count. */
const MAX_KINDS = 1_000;

export function createFailureLog(logger: Logger, clock: Clock): FailureLog {
  const maySay = createThrottle(logger, clock);
  return {
    failed(error, where) {
      if (error instanceof ServerError) {
        const status = Status[error.code];
        const entry = { ...where, status, reason: error.details };
        // The controller stops: nobody did anything wrong.
        if (error.code === Status.UNAVAILABLE) logger.debug(entry, 'a call was ended');
        else if (maySay(where, status)) logger.warn(entry, 'a call was ended');
        return error;
      }
      if (isAbortError(error)) return error;
      if (maySay(where, 'INTERNAL'))
        logger.error({ ...where, err: error, reason: errorMessage(error) }, 'a call failed unexpectedly');
      return new ServerError(Status.INTERNAL, 'internal error of the controller; its log has the cause');
    },
  };
}

type MaySay = (where: { readonly method: string; readonly peer: string }, status: string) => boolean;

/** Says how many were left out when the minute is over. */
function createThrottle(logger: Logger, clock: Clock): MaySay {
  const kinds = new Map<string, { readonly fact: object; count: number; left: number }>();
  let total = 0;

  function sum(): void {
    for (const { fact, left } of kinds.values())
      if (left > 0) logger.warn({ ...fact, repeated: left }, 'calls were ended like those before');
    kinds.clear();
    total = 0;
  }

  return ({ method, peer }, status) => {
    if (kinds.size === 0) clock.setTimer(sum, WINDOW_MS);
    const wanted = { method, address: peerAddress(peer), status };
    const own = JSON.stringify(wanted);
    const isKept = kinds.has(own) || kinds.size < MAX_KINDS;
    const key = isKept ? own : '';
    const kind = kinds.get(key) ?? { fact: isKept ? wanted : { of: 'other addresses' }, count: 0, left: 0 };
    kinds.set(key, kind);
    kind.count += 1;
    if (kind.count <= FIRST_COUNT && total < TOTAL_COUNT) {
      total += 1;
      return true;
    }
    kind.left += 1;
    return false;
  };
}

/** The failure log as middleware of nice-grpc. */
export const logFailures = (log: FailureLog) =>
  async function* logFailuresOf<Request, Response>(
    call: ServerMiddlewareCall<Request, Response>,
    context: CallContext,
  ): AsyncGenerator<Awaited<Response>, Awaited<Response> | void, undefined> {
    try {
      return yield* call.next(call.request, context);
    } catch (error) {
      throw log.failed(error, { method: call.method.path, peer: context.peer });
    }
  };
