/**
 * Requests that come on a connection before those ahead of them are answered: a few are taken, as HTTP/1.1 allows them; who sends
 * more has no use for the answers, and is cut. Node reads as many as there are in what has come, however many those are.
 */
import type { IncomingMessage, RequestListener } from 'node:http';
import type { Socket } from 'node:net';

const MAX_WAITING = 4;

/** @param onCut a connection is about to be cut */
export function boundPipelining(handler: RequestListener, onCut: (socket: Socket) => void): RequestListener {
  const waiting = new WeakMap<IncomingMessage['socket'], number>();
  return (request, response) => {
    const { socket } = request;
    const count = (waiting.get(socket) ?? 0) + 1;
    if (count > MAX_WAITING || socket.destroyed) {
      if (!socket.destroyed) {
        readNoMore(socket);
        onCut(socket);
      }
      socket.destroy();
      // Node would make an error with its stack for each that is left when the socket is closed.
      request.destroy();
      return;
    }
    waiting.set(socket, count);
    response.once('close', () => waiting.set(socket, (waiting.get(socket) ?? 1) - 1));
    handler(request, response);
  };
}

/** What an HTTP parser of Node takes for: what follows is no HTTP. */
const NO_HTTP = 2;

/**
 * The rest of what has come is not looked at. Node offers nothing for that (a connection that is destroyed is read to the end of
 * what has come), so it is done by the parser that it keeps with the connection (lib/_http_server.js); where that is not there, all is read.
 */
function readNoMore(socket: Socket): void {
  const { parser } = socket as Socket & { readonly parser?: { onIncoming?: unknown } | null };
  if (typeof parser?.onIncoming === 'function') parser.onIncoming = () => NO_HTTP;
}
