/** Server-sent events: one answer that goes on, written only as fast as it is read. */
import type { FastifyReply, FastifyRequest } from 'fastify';

export interface EventStream {
  /** Resolves when the connection has room for more; at once after its end. */
  send(event: { readonly id?: string; readonly type: string; readonly data: unknown }): Promise<void>;
  /** Aborted when the reader has gone, or the controller stops. */
  readonly closed: AbortSignal;
  end(): void;
}

/** A comment goes out this often, so that no proxy takes the connection for dead. */
const COMMENT_MS = 15_000;

/** Takes the connection over from the framework. @param stopping ends the stream */
export function openEventStream(
  request: FastifyRequest,
  reply: FastifyReply,
  stopping: AbortSignal,
): EventStream {
  reply.hijack();
  const response = reply.raw;
  const closed = new AbortController();
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    // nginx would gather it otherwise.
    'x-accel-buffering': 'no',
  });
  response.flushHeaders();
  request.raw.socket.setNoDelay(true);
  const timer = setInterval(() => {
    if (!response.writableNeedDrain) response.write(':\n\n');
  }, COMMENT_MS).unref();
  const leave = (): void => {
    clearInterval(timer);
    stopping.removeEventListener('abort', onStopping);
    closed.abort();
  };
  const onStopping = (): void => {
    leave();
    response.end();
  };
  if (stopping.aborted) onStopping();
  stopping.addEventListener('abort', onStopping, { once: true });
  response.once('close', leave);
  response.on('error', leave);
  return {
    closed: closed.signal,
    async send({ id, type, data }) {
      if (closed.signal.aborted) return;
      const text = `${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
      if (response.write(text)) return;
      await new Promise<void>((resolve) => {
        const go = (): void => {
          response.off('drain', go);
          closed.signal.removeEventListener('abort', go);
          resolve();
        };
        response.on('drain', go);
        closed.signal.addEventListener('abort', go, { once: true });
      });
    },
    end() {
      leave();
      response.end();
    },
  };
}

/** Where a reader goes on: the header that browsers send by themselves, or the parameter for those that cannot. */
export const lastEventId = (request: FastifyRequest, after: string | undefined): string | undefined => {
  const header = request.headers['last-event-id'];
  return (Array.isArray(header) ? header[0] : header) || after;
};
