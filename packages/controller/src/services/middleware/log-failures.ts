import { isAbortError } from 'abort-controller-x';
import { ServerError, Status, type CallContext, type ServerMiddlewareCall } from 'nice-grpc';
import type { Logger } from '@mig/common/logger';
import { errorMessage } from '@mig/common/errors';

export interface FailureLog {
  /**
   * Logs how a call ended. What a peer does wrong is a warning; a peer that goes away is nothing.
   * @returns what the peer may hear of it: of an unexpected error INTERNAL without its text, which the log has whole
   */
  failed(error: unknown, where: { readonly method: string; readonly peer: string }): unknown;
}

export const createFailureLog = (logger: Logger): FailureLog => ({
  failed(error, where) {
    if (error instanceof ServerError) {
      // The controller stops: nobody did anything wrong.
      const level = error.code === Status.UNAVAILABLE ? 'debug' : 'warn';
      logger[level]({ ...where, status: Status[error.code], reason: error.details }, 'a call was ended');
      return error;
    }
    if (isAbortError(error)) return error;
    logger.error({ ...where, err: error, reason: errorMessage(error) }, 'a call failed unexpectedly');
    return new ServerError(Status.INTERNAL, 'internal error of the controller; its log has the cause');
  },
});

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
