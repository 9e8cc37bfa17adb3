/** A server of archives over TLS, as GitHub's is, with faults on demand; and a proxy for it. All on 127.0.0.1. */
import { createHash } from 'node:crypto';
import { createServer as createPlainServer, type IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { TEST_CERTIFICATE, TEST_KEY } from './tls.contract.js';

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export interface ReleaseServer {
  readonly url: string;
  /** What was asked for, in its order. */
  readonly requests: { readonly path: string; readonly range: string; readonly ifRange: string }[];
  /** What is served now. */
  archive: Buffer;
  /** Bytes that the next answers send before their connection breaks; taken one by one. */
  readonly breaks: number[];
  /** What the next answers are instead: taken one by one. */
  readonly instead: { readonly status: number; readonly headers?: Record<string, string> }[];
  /** What names the archive; default: its checksum. Empty = nothing does. */
  etag: string | undefined;
  /** Sends this much, and then nothing more, until it is closed. */
  stallAfter: number | undefined;
  /** Answers a request for a part with the part that begins so many bytes later. */
  rangeOffset: number;
  /** Without Content-Length, in chunks. */
  chunked: boolean;
  close(): Promise<void>;
}

export async function createReleaseServer(archive: Buffer): Promise<ReleaseServer> {
  const server = createServer({ key: TEST_KEY, cert: TEST_CERTIFICATE });
  server.on('request', (request: IncomingMessage, response) => {
    const range = request.headers.range ?? '';
    const ifRange = String(request.headers['if-range'] ?? '');
    state.requests.push({ path: request.url ?? '', range, ifRange });
    const instead = state.instead.shift();
    if (instead !== undefined) {
      response.writeHead(instead.status, instead.headers).end();
      return;
    }
    const etag = state.etag ?? `"${sha256(state.archive)}"`;
    const [, first] = /^bytes=(\d+)-$/.exec(range) ?? [];
    const isPart = first !== undefined && ifRange === etag && etag !== '';
    const from = isPart ? Number(first) + state.rangeOffset : 0;
    const body = state.archive.subarray(from);
    response.writeHead(from > 0 ? 206 : 200, {
      ...(etag === '' ? {} : { etag }),
      ...(state.chunked ? {} : { 'content-length': body.length }),
      ...(from > 0
        ? { 'content-range': `bytes ${from}-${state.archive.length - 1}/${state.archive.length}` }
        : {}),
    });
    const breakAfter = state.breaks.shift();
    if (breakAfter !== undefined) {
      response.write(body.subarray(0, breakAfter), () => response.destroy());
      return;
    }
    if (state.stallAfter !== undefined) response.write(body.subarray(0, state.stallAfter));
    else response.end(body);
  });
  const port = await listen(server);
  const state: ReleaseServer = {
    url: `https://127.0.0.1:${port}/actions-runner.tar.gz`,
    requests: [],
    archive,
    breaks: [],
    instead: [],
    etag: undefined,
    stallAfter: undefined,
    rangeOffset: 0,
    chunked: false,
    close: () => close(server),
  };
  return state;
}

export interface Proxy {
  readonly url: string;
  /** HOST:PORT of every tunnel that was asked for. */
  readonly tunnels: string[];
  close(): Promise<void>;
}

/** An HTTP proxy that makes tunnels (CONNECT), and nothing else. */
export async function createProxy(): Promise<Proxy> {
  const tunnels: string[] = [];
  const server = createPlainServer((_, response) => response.writeHead(501).end());
  const sockets = new Set<Socket>();
  server.on('connect', (request: IncomingMessage, client: Socket) => {
    tunnels.push(request.url ?? '');
    const { hostname, port } = new URL(`http://${request.url ?? ''}`);
    const target = connect(Number(port), hostname, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      target.pipe(client).pipe(target);
    });
    for (const socket of [client, target]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        target.destroy();
      });
    }
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    tunnels,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return close(server);
    },
  };
}

type AnyServer = Server | ReturnType<typeof createPlainServer>;

const listen = (server: AnyServer): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });

const close = (server: AnyServer): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
