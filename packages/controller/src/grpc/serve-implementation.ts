/**
 * Serves the `ServiceImplementation`s of nice-grpc: promises, async iterables and a `CallContext`, as that library has them.
 *
 * The client is read as fast as the implementation takes its messages, and written to as fast as it reads. An error that is no
 * `ServerError` is UNKNOWN; middleware (middleware/log-failures.ts) has made INTERNAL of it before.
 */
import { isAbortError } from 'abort-controller-x';
import {
  Metadata,
  ServerError,
  Status,
  type CallContext,
  type CompatServiceDefinition,
  type ServerMiddleware,
  type ServiceImplementation,
} from 'nice-grpc';
import type { Call, OpenCall } from './call.js';
import { isEmptyMetadata } from './headers.js';
import { createIncoming, type Incoming } from './incoming.js';
import { methodsOf, type ServedMethod } from './service-definition.js';

/** Calls the implementation of one method: yields what is to be sent, or returns the one answer. */
type Handler = (request: unknown, context: CallContext) => AsyncGenerator<unknown, unknown, undefined>;

/** @returns the calls of the service, by path */
export function serveImplementation<Service extends CompatServiceDefinition>(
  definition: Service,
  implementation: ServiceImplementation<Service>,
  middleware: ServerMiddleware,
): [path: string, open: OpenCall][] {
  const functions = implementation as Readonly<
    Record<string, (request: unknown, context: CallContext) => unknown>
  >;
  return methodsOf(definition).map((method) => {
    const handler = handlerOf(
      method,
      (request, context) => functions[method.name]?.call(implementation, request, context),
      middleware,
    );
    return [method.path, (call) => serve(call, method, handler)];
  });
}

function handlerOf(
  { path, requestStream, responseStream, options }: ServedMethod,
  implement: (request: unknown, context: CallContext) => unknown,
  middleware: ServerMiddleware,
): Handler {
  const next: Handler = async function* (request, context) {
    if (!responseStream) return await implement(request, context);
    yield* implement(request, context) as AsyncIterable<unknown>;
    return undefined;
  };
  const method = { path, requestStream, responseStream, options };
  return (request, context) =>
    middleware({ method, requestStream, request, responseStream, next } as never, context);
}

function serve(call: Call, method: ServedMethod, handler: Handler): ReturnType<OpenCall> {
  const cancelled = new AbortController();
  const trailer = Metadata();
  const header = Metadata();
  const context: CallContext = {
    metadata: call.metadata(),
    peer: call.connection.peer,
    header,
    sendHeader: () => {
      if (!isEmptyMetadata(header)) call.sendHeaders(header);
    },
    trailer,
    signal: cancelled.signal,
  };
  let drained: (() => void) | undefined;
  const incoming = createIncoming(call);

  async function run(): Promise<void> {
    const request = method.requestStream ? incoming.messages : await onlyMessage(incoming, method);
    const results = handler(request, context);
    try {
      let result = await results.next();
      while (result.done !== true) {
        context.sendHeader();
        if (!send(method, call, result.value)) await room();
        result = cancelled.signal.aborted ? await results.return(undefined) : await results.next();
      }
      context.sendHeader();
      if (!method.responseStream) send(method, call, result.value);
    } finally {
      // What still comes is for nobody.
      incoming.stop();
      context.sendHeader();
    }
  }

  const room = (): Promise<void> =>
    new Promise((resolve) => {
      if (cancelled.signal.aborted) resolve();
      else drained = resolve;
    });

  const wake = (): void => {
    const resolve = drained;
    drained = undefined;
    resolve?.();
  };

  run().then(
    () => call.end(Status.OK, '', trailer),
    (error: unknown) => {
      const { code, details } = statusOf(error);
      call.end(code, details, trailer);
    },
  );

  return {
    onMessage(bytes, start, end) {
      let message: unknown;
      try {
        message = method.decode(bytes.subarray(start, end));
      } catch {
        call.end(Status.INVALID_ARGUMENT, 'a message could not be decoded');
        cancelled.abort();
        incoming.fail();
        wake();
        return;
      }
      incoming.push(message);
    },
    onHalfClose: () => incoming.end(),
    onCancel() {
      cancelled.abort();
      incoming.fail();
      wake();
    },
    onDrain: wake,
  };
}

function send(method: ServedMethod, call: Call, message: unknown): boolean {
  let bytes: Uint8Array;
  try {
    bytes = method.encode(message);
  } catch {
    throw new ServerError(Status.INTERNAL, 'Error serializing response');
  }
  return call.send(bytes);
}

/** @throws ServerError if there is none, or another */
async function onlyMessage(incoming: Incoming, { path }: ServedMethod): Promise<unknown> {
  const messages = incoming.messages[Symbol.asyncIterator]();
  const first = await messages.next();
  if (first.done === true) throw new ServerError(Status.UNIMPLEMENTED, `no request message came for ${path}`);
  const second = await messages.next();
  if (second.done !== true)
    throw new ServerError(Status.UNIMPLEMENTED, `more than one request message came for ${path}`);
  return first.value;
}

function statusOf(error: unknown): { readonly code: Status; readonly details: string } {
  if (error instanceof ServerError) return error;
  if (isAbortError(error)) return { code: Status.CANCELLED, details: 'The operation was cancelled' };
  return { code: Status.UNKNOWN, details: 'Unknown server error occurred' };
}
