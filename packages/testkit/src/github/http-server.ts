/**
 * HTTP around the exchange: reads a request whole, gives it to `respond`, writes the answer. Nothing about GitHub is
 * known here, and nothing about HTTP elsewhere.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { refusal } from './answers.js';
import type { Answer, RawRequest, Silence } from './exchange.js';

/** GitHub's own limit is larger; no request to this stand-in comes near. */
const MAX_BODY_BYTES = 1_048_576;

export interface HttpServerDeps {
  readonly respond: (request: RawRequest) => Promise<Answer | Silence>;
  /** Asked for every connection and every request; false breaks it off. */
  readonly reachable: () => boolean;
  /** An exception in `respond`: a defect of the stand-in itself. */
  readonly onDefect: (error: unknown) => void;
}

export interface HttpServer {
  readonly port: number;
  /** Breaks off every connection. */
  dropConnections(): void;
  close(): Promise<void>;
}

/** Listens on 127.0.0.1 and nowhere else. Rejects if the port is taken. */
export async function createHttpServer(deps: HttpServerDeps, options: { port: number }): Promise<HttpServer> {
  const server = createServer((incoming, outgoing) => {
    serve(deps, incoming, outgoing).catch((error: unknown) => {
      deps.onDefect(error);
      outgoing.destroy();
    });
  });
  server.on('connection', (socket) => {
    if (!deps.reachable()) socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    dropConnections: () => server.closeAllConnections(),
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

async function serve(
  deps: HttpServerDeps,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  outgoing.on('close', () => gone.abort());
  outgoing.on('error', () => gone.abort());
  const text = await readBody(incoming);
  const parsed = parse(incoming, text);
  const answer =
    parsed.kind === 'refused'
      ? parsed.answer
      : await deps.respond({
          method: incoming.method ?? 'GET',
          path: parsed.url.pathname,
          query: parsed.url.searchParams,
          headers: incoming.headers,
          body: parsed.body,
          origin: parsed.url.origin,
          signal: gone.signal,
        });
  if (answer === 'silence') {
    return; // until the client gives up, or the server is closed
  } else if (answer === 'reset') {
    incoming.socket.resetAndDestroy();
  } else if (answer === 'no-answer') {
    outgoing.destroy();
  } else if (gone.signal.aborted || outgoing.destroyed || !deps.reachable()) {
    answer.onUndelivered?.();
    outgoing.destroy();
  } else {
    write(outgoing, answer);
  }
}

function write(outgoing: ServerResponse, answer: Answer): void {
  const body = answer.body === undefined ? '' : JSON.stringify(answer.body);
  outgoing.writeHead(answer.status, {
    ...(body === '' ? {} : { 'content-type': 'application/json; charset=utf-8' }),
    ...(answer.status === 204 || answer.status === 304 ? {} : { 'content-length': Buffer.byteLength(body) }),
    ...answer.headers,
  });
  outgoing.end(body);
}

/** The body as text; undefined if it is too large. A client that breaks off counts as one that sent nothing more. */
async function readBody(incoming: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size <= MAX_BODY_BYTES) chunks.push(chunk);
    }
  } catch {
    return '';
  }
  return size > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks).toString('utf8');
}

type Parsed =
  | { readonly kind: 'parsed'; readonly url: URL; readonly body: unknown }
  | { kind: 'refused'; answer: Answer };

/** The address as its client wrote it, and the body. */
function parse(incoming: IncomingMessage, text: string | undefined): Parsed {
  const base = `http://${incoming.headers.host ?? '127.0.0.1'}`;
  const path = incoming.url ?? '/';
  if (!path.startsWith('/') || path.startsWith('//') || !URL.canParse(path, base))
    return { kind: 'refused', answer: refusal(400, 'Bad Request') };
  if (text === undefined) return { kind: 'refused', answer: refusal(413, 'Payload Too Large') };
  const url = new URL(path, base);
  if (text === '') return { kind: 'parsed', url, body: undefined };
  try {
    return { kind: 'parsed', url, body: JSON.parse(text) as unknown };
  } catch {
    return { kind: 'refused', answer: refusal(400, 'Problems parsing JSON') };
  }
}
