/** For tests of the gRPC server: a server of bytes, and a client that is nothing but HTTP/2. */
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import type { OpenCall } from './call.js';
import { createHttp2GrpcServer, type Http2GrpcServer, type Http2GrpcServerOptions } from './http2-server.js';

export const TEST_OPTIONS: Http2GrpcServerOptions = {
  maxMessageBytes: 1_048_576,
  maxStreams: 20,
  maxHeaderBytes: 16_384,
  keepaliveMs: 60_000,
  keepaliveTimeoutMs: 10_000,
  tls: undefined,
};

export interface TestServer {
  readonly server: Http2GrpcServer;
  readonly port: number;
  /** Ends all that was made. */
  dispose(): Promise<void>;
  /** Opens a call, as a client that knows HTTP/2 and nothing of gRPC. */
  call(path: string, headers?: Record<string, string | string[]>): RawCall;
}

export interface RawCall {
  readonly stream: ClientHttp2Stream;
  readonly session: ClientHttp2Session;
  /** The messages so far. */
  readonly messages: Buffer[];
  send(message: Uint8Array, options?: { readonly compressed?: boolean }): void;
  /** Resolves when the stream is closed: how the call ended, from headers or trailers. */
  readonly ended: Promise<RawEnd>;
}

export interface RawEnd {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  /** `grpc-status` and `grpc-message`, wherever they stood; NaN = there was none. */
  readonly status: number;
  readonly message: string;
  /** How the stream was closed (RST_STREAM). */
  readonly rstCode: number;
}

export async function startTestServer(
  methods: readonly (readonly [path: string, open: OpenCall])[],
  options: Partial<Http2GrpcServerOptions> = {},
): Promise<TestServer> {
  const server = createHttp2GrpcServer(new Map(methods), { ...TEST_OPTIONS, ...options });
  const port = await server.listen('127.0.0.1', 0);
  const sessions = new Set<ClientHttp2Session>();
  let shared: ClientHttp2Session | undefined;
  return {
    server,
    port,
    call(path, headers = {}) {
      if (shared === undefined || shared.closed || shared.destroyed) {
        shared = http2.connect(`http://127.0.0.1:${port}`);
        shared.on('error', () => undefined);
        sessions.add(shared);
      }
      return openRawCall(shared, path, headers);
    },
    async dispose() {
      for (const session of sessions) session.destroy();
      server.destroy();
      await server.close();
    },
  };
}

export function openRawCall(
  session: ClientHttp2Session,
  path: string,
  extra: Record<string, string | string[]> = {},
): RawCall {
  const stream = session.request(
    { ':method': 'POST', ':path': path, te: 'trailers', 'content-type': 'application/grpc', ...extra },
    { endStream: false },
  );
  const messages: Buffer[] = [];
  let rest: Buffer = Buffer.alloc(0);
  let headers: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  stream.on('response', (received) => (headers = received));
  stream.on('trailers', (received: IncomingHttpHeaders) => (trailers = received));
  stream.on('error', () => undefined);
  stream.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
      const end = 5 + rest.readUInt32BE(1);
      messages.push(rest.subarray(5, end));
      rest = rest.subarray(end);
    }
  });
  const ended = new Promise<RawEnd>((resolve) => {
    stream.on('close', () => {
      const of = { ...headers, ...trailers };
      resolve({
        headers,
        trailers,
        status: Number(of['grpc-status'] ?? NaN),
        message: decodeURIComponent(String(of['grpc-message'] ?? '')),
        rstCode: stream.rstCode,
      });
    });
  });
  return {
    stream,
    session,
    messages,
    ended,
    send: (message, options) => void stream.write(rawFrame(message, options)),
  };
}

export function rawFrame(message: Uint8Array, options: { readonly compressed?: boolean } = {}): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = options.compressed === true ? 1 : 0;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
