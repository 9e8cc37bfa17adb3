/**
 * Where runners are downloaded from, in a test: one file on 127.0.0.1, in whole or from an offset (`Range`, as GitHub's own
 * store serves it), and what can go wrong on the way.
 */
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export interface DownloadServer {
  /** Of the file. */
  readonly url: string;
  /** Offsets that the file was asked for from, one for each request that was answered with content. */
  readonly offsets: readonly number[];
  /** The connection of the next request is reset after so many bytes of content. */
  cutNextAfter(bytes: number): void;
  /** The next requests are answered with this status and no content. */
  failNext(status: number, count?: number): void;
  /** Every request is answered with the whole file, whatever it asks for. */
  ignoreRanges(): void;
  /** The next request is sent elsewhere. */
  redirectNext(url: string): void;
  close(): Promise<void>;
}

export interface DownloadServerOptions {
  readonly file: string;
  /** Default `http`. Clients of `https` have to trust `LOOPBACK_CERTIFICATE`. */
  readonly protocol?: 'http' | 'https';
}

const DATA = fileURLToPath(new URL('../../data/tls/', import.meta.url));
/** The file with the certificate of 127.0.0.1 that stand-ins have, and who signed it: for NODE_EXTRA_CA_CERTS. */
export const LOOPBACK_CERTIFICATE = path.join(DATA, 'loopback-cert.pem');

/** Resolves when it listens. */
export async function createDownloadServer(options: DownloadServerOptions): Promise<DownloadServer> {
  const { file, protocol = 'http' } = options;
  const offsets: number[] = [];
  let cutAfter: number | undefined;
  let failures: { status: number; left: number } | undefined;
  let hasRanges = true;
  let redirectTo: string | undefined;

  function answer(request: IncomingMessage, response: ServerResponse): void {
    if (failures !== undefined && failures.left > 0) {
      failures.left -= 1;
      response.writeHead(failures.status).end();
      return;
    }
    if (redirectTo !== undefined) {
      response.writeHead(302, { location: redirectTo }).end();
      redirectTo = undefined;
      return;
    }
    const content = readFileSync(file);
    const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
    const offset = hasRanges ? Number(asked ?? 0) : 0;
    if (offset >= content.length) {
      response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
      return;
    }
    const part = content.subarray(offset);
    const range = `bytes ${offset}-${content.length - 1}/${content.length}`;
    offsets.push(offset);
    response.writeHead(asked === undefined || !hasRanges ? 200 : 206, {
      'content-type': 'application/octet-stream',
      'content-length': part.length,
      'accept-ranges': 'bytes',
      etag: `"${content.length}"`,
      ...(asked === undefined || !hasRanges ? {} : { 'content-range': range }),
    });
    if (cutAfter === undefined) {
      response.end(part);
      return;
    }
    const cut = part.subarray(0, cutAfter);
    cutAfter = undefined;
    // What was written goes out before the connection breaks: by a reset, which a TLS socket does not know.
    const reset = (): void =>
      void (protocol === 'http' ? request.socket.resetAndDestroy() : request.socket.destroy());
    response.write(cut, () => setImmediate(reset));
  }

  const server =
    protocol === 'http'
      ? createHttpServer(answer)
      : createHttpsServer(
          {
            cert: readFileSync(LOOPBACK_CERTIFICATE),
            key: readFileSync(path.join(DATA, 'loopback-key.pem')),
          },
          answer,
        );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${protocol}://127.0.0.1:${port}/${path.basename(file)}`,
    offsets,
    cutNextAfter(bytes) {
      cutAfter = bytes;
    },
    failNext(status, count = 1) {
      failures = { status, left: count };
    },
    ignoreRanges() {
      hasRanges = false;
    },
    redirectNext(url) {
      redirectTo = url;
    },
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
