/**
 * Bytes that are no message of an RPC are the caller's fault: INVALID_ARGUMENT. The library would end the call with INTERNAL,
 * which blames the controller.
 */
import { ServerError, Status, type CallContext, type ServerMiddlewareCall } from 'nice-grpc';

class Malformed {}

/** A decoder that never throws: what it cannot decode reaches `refuseMalformed`, which lets no handler see it. */
export const forgiving =
  <Bytes extends Uint8Array, Request>(decode: (bytes: Bytes) => Request): ((bytes: Bytes) => Request) =>
  (bytes) => {
    try {
      return decode(bytes);
    } catch {
      return new Malformed() as Request;
    }
  };

/** A middleware for services whose decoders are forgiving. */
export async function* refuseMalformed<Request, Response>(
  call: ServerMiddlewareCall<Request, Response>,
  context: CallContext,
): AsyncGenerator<Awaited<Response>, Awaited<Response> | void, undefined> {
  if (call.requestStream) return yield* call.next(wellFormed(call.request), context);
  assertWellFormed(call.request);
  return yield* call.next(call.request, context);
}

async function* wellFormed<Request>(requests: AsyncIterable<Request>): AsyncGenerator<Request> {
  for await (const request of requests) {
    assertWellFormed(request);
    yield request;
  }
}

function assertWellFormed(request: unknown): void {
  if (request instanceof Malformed)
    throw new ServerError(Status.INVALID_ARGUMENT, 'a message could not be decoded');
}
