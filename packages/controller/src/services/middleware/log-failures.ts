import { isAbortError } from 'abort-controller-x';
import { ServerError, Status, type CallContext, type ServerMiddlewareCall } from 'nice-grpc';
import type { Logger } from '@mig/common/logger';
import { errorMessage } from '@mig/common/errors';

/**
 * Logs how calls end, and lets no unexpected error through: the peer gets INTERNAL without its text, the log has it whole.
 * What a peer does wrong is a warning; a peer that goes away is nothing.
 */
export function createFailureLog(logger: Logger) {
  return async function* logFailures<Request, Response>(
    call: ServerMiddlewareCall<Request, Response>,
    context: CallContext,
  ): AsyncGenerator<Awaited<Response>, Awaited<Response> | void, undefined> {
    try {
      return yield* call.next(call.request, context);
    } catch (error) {
      const where = { method: call.method.path, peer: context.peer };
      if (error instanceof ServerError) {
        // The controller stops: nobody did anything wrong.
        const level = error.code === Status.UNAVAILABLE ? 'debug' : 'warn';
        logger[level]({ ...where, status: Status[error.code], reason: error.details }, 'a call was ended');
        throw error;
      }
      if (isAbortError(error)) throw error;
      logger.error({ ...where, err: error, reason: errorMessage(error) }, 'a call failed unexpectedly');
      throw new ServerError(Status.INTERNAL, 'internal error of the controller; its log has the cause');
    }
  };
}
