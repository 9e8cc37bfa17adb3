/**
 * A gRPC server on node:http2 ("gRPC over HTTP2"): takes connections and streams, finds who serves a call, and ends in order.
 *
 * Why not @grpc/grpc-js below nice-grpc: docs/decisions. Limits (I12), and what happens at them: a message beyond `maxMessageBytes`
 * ends its call with RESOURCE_EXHAUSTED; streams of one connection beyond `maxStreams` are refused (REFUSED_STREAM); headers beyond
 * `maxHeaderBytes` end their stream (ENHANCE_YOUR_CALM); a connection that is silent and does not answer a PING is cut; one that
 * resets its streams as fast as it opens them is cut by Node.
 */
import http2, {
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Server, Socket } from 'node:net';
import { Status } from 'nice-grpc';
import { CERTIFICATE_NEEDED, keepCurrent, tlsOptionsOf, type ServerTls } from '../auth/tls/servers.js';
import { Call, type CallListener, type OpenCall } from './call.js';
import { Connection, type KeepaliveOptions, type Ticks } from './connection.js';
import { isGrpcContentType, parseTimeout } from './headers.js';

export interface Http2GrpcServerOptions extends KeepaliveOptions {
  /** Of one message of a client. */
  readonly maxMessageBytes: number;
  /** Calls on one connection at a time. */
  readonly maxStreams: number;
  /** Names and values of the headers of one call. */
  readonly maxHeaderBytes: number;
  /** Undefined = plain text. */
  readonly tls: ServerTls | undefined;
  /** Who may call; default: anybody. */
  readonly gate?: CallGate | undefined;
}

/** Says of each call whether it is served, before anything of it is read. */
export interface CallGate {
  /** @returns what serves the call, or refuses it */
  open(call: Call, served: OpenCall): CallListener;
  /** What came was no call of gRPC: it is answered, and nothing of it is read. */
  noCall(peer: string): void;
}

export interface Http2GrpcServer {
  /** For whoever looks at its connections before it does. */
  readonly netServer: Server;
  /** @returns the port that is listened on; rejects with the system's error if it cannot be had */
  listen(host: string, port: number): Promise<number>;
  /** Refuses new connections and calls (GOAWAY); resolves when those that are there have ended. */
  close(): Promise<void>;
  /** Cuts what is left. */
  destroy(): void;
}

/** Silence is counted in ticks: of a second, or a quarter of the silence that is allowed. */
const MAX_TICK_MS = 1_000;
/** A client that does not finish its TLS handshake, or does not speak HTTP/2 after it, is let go after this. */
const HANDSHAKE_MS = 10_000;

/** @param methods by path: `/package.Service/Method` */
export function createHttp2GrpcServer(
  methods: ReadonlyMap<string, OpenCall>,
  options: Http2GrpcServerOptions,
): Http2GrpcServer {
  const connections = new Map<ServerHttp2Session, Connection>();
  /** Of TLS: those that have not shaken hands have no session yet. */
  const sockets = new Set<Socket>();
  const ticks: Ticks = { now: 0 };
  const server = createServer(options);

  server.on('session', (session: ServerHttp2Session) => {
    connections.set(session, new Connection(session, ticks));
    session.on('close', onSessionClosed);
    session.on('error', ignore);
  });
  function onSessionClosed(this: ServerHttp2Session): void {
    connections.delete(this);
  }
  server.on('sessionError', ignore);
  server.on('tlsClientError', ignore);
  server.on('stream', onStream);
  function onStream(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    _flags: number,
    rawHeaders: string[],
  ): void {
    const connection = connections.get(stream.session as ServerHttp2Session);
    if (connection === undefined) return void stream.destroy();
    connection.heard();
    const refusal = refusalOf(headers);
    if (refusal !== undefined) {
      stream.on('error', ignore);
      stream.respond(refusal, { endStream: true });
      gate?.noCall(connection.peer);
      return;
    }
    if (!isAdmitted(connection.session)) {
      const call = new Call(stream, rawHeaders, { path: '', connection, maxMessageBytes: 0 });
      call.open(certificateNeeded, undefined);
      // What it has opened goes on; nothing new is opened on it.
      connection.session.close();
      return;
    }
    const path = headers[':path'] ?? '';
    const { maxMessageBytes } = options;
    const call = new Call(stream, rawHeaders, { path, connection, maxMessageBytes });
    const timeout = headers['grpc-timeout'];
    const timeoutMs = timeout === undefined ? undefined : parseTimeout(String(timeout));
    const isBadTimeout = timeout !== undefined && timeoutMs === undefined;
    const served = isBadTimeout ? badTimeout(String(timeout)) : (methods.get(path) ?? notImplemented);
    call.open(gate === undefined ? served : (opened) => gate.open(opened, served), timeoutMs);
  }
  const { tls, gate } = options;
  const isAdmitted = ({ socket }: ServerHttp2Session): boolean => tls?.trust.admits(socket) ?? true;
  let authorities = tls?.files.current.authorities;
  tls?.files.onChange((material) => {
    if (material.authorities === authorities) return;
    authorities = material.authorities;
    // Of an authority that was taken out: its streams end as if the network had broken. Those of the others go on.
    for (const session of connections.keys())
      if (!session.destroyed && !isAdmitted(session)) session.destroy();
  });
  if (tls !== undefined) {
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', onSocketClosed);
    });
  }
  function onSocketClosed(this: Socket): void {
    sockets.delete(this);
  }

  const tickMs = Math.min(MAX_TICK_MS, options.keepaliveMs / 4);
  const ask = Math.ceil(options.keepaliveMs / tickMs);
  const patience = Math.ceil(options.keepaliveTimeoutMs / tickMs);
  const timer = setInterval(() => {
    ticks.now += 1;
    for (const connection of connections.values()) connection.look(ask, patience);
  }, tickMs).unref();

  return {
    netServer: server,

    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => {
          server.removeListener('error', reject);
          server.on('error', ignore);
          resolve((server.address() as AddressInfo).port);
        });
      }),

    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const session of connections.keys()) session.close();
      await closed;
      clearInterval(timer);
    },

    destroy() {
      for (const session of connections.keys()) session.destroy();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function createServer({ tls, maxStreams, maxHeaderBytes }: Http2GrpcServerOptions): Http2Server {
  const settings = {
    settings: { maxConcurrentStreams: maxStreams, maxHeaderListSize: maxHeaderBytes },
    unknownProtocolTimeout: HANDSHAKE_MS,
  };
  if (tls === undefined) return http2.createServer(settings);
  const server = http2.createSecureServer({
    ...settings,
    ...tlsOptionsOf(tls),
    ALPNProtocols: ['h2'],
    handshakeTimeout: HANDSHAKE_MS,
  });
  keepCurrent(server, tls);
  return server;
}

/** Undefined = it is a call of gRPC. */
function refusalOf(headers: IncomingHttpHeaders): { ':status': number; allow?: string } | undefined {
  if (headers[':method'] !== 'POST') return { ':status': 405, allow: 'POST' };
  return isGrpcContentType(headers['content-type']) ? undefined : { ':status': 415 };
}

const NOBODY = {
  onMessage: ignore,
  onHalfClose: ignore,
  onCancel: ignore,
  onDrain: ignore,
};

const notImplemented: OpenCall = (call) => {
  call.end(Status.UNIMPLEMENTED, `The server does not implement the method ${call.path}`);
  return NOBODY;
};

const certificateNeeded: OpenCall = (call) => {
  call.end(Status.UNAUTHENTICATED, CERTIFICATE_NEEDED);
  return NOBODY;
};

const badTimeout =
  (value: string): OpenCall =>
  (call) => {
    call.end(Status.INTERNAL, `Invalid grpc-timeout value ${JSON.stringify(value)}`);
    return NOBODY;
  };

function ignore(): void {}
