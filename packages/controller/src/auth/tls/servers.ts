/** TLS 1.2 or newer on both ports, from files that may change while connections live: those keep what they began with. */
import http from 'node:http';
import https from 'node:https';
import type { TlsFiles, TlsMaterial } from './tls-files.js';

/** Whether clients show a certificate: not asked, those that have one, or all. */
export type ClientCertificates = 'none' | 'optional' | 'required';

export interface ServerTls {
  readonly files: TlsFiles;
  readonly clientCertificates: ClientCertificates;
}

/** What Node's TLS is given of the files. */
export const contextOf = ({ cert, key, ca }: TlsMaterial) => ({
  cert,
  key,
  minVersion: 'TLSv1.2' as const,
  ...(ca === undefined ? {} : { ca }),
});

export interface HttpServerOptions {
  readonly requestTimeoutMs: number;
  readonly headersTimeoutMs: number;
  readonly maxHeaderBytes: number;
}

/** What fastify's `serverFactory` is to make. */
export function createHttpListener(
  handler: http.RequestListener,
  tls: ServerTls | undefined,
  options: HttpServerOptions,
): http.Server {
  const limits = {
    requestTimeout: options.requestTimeoutMs,
    headersTimeout: options.headersTimeoutMs,
    maxHeaderSize: options.maxHeaderBytes,
    connectionsCheckingInterval: 5_000,
  };
  if (tls === undefined) return http.createServer(limits, handler);
  const { files, clientCertificates } = tls;
  const server = https.createServer(
    {
      ...limits,
      ...contextOf(files.current),
      handshakeTimeout: options.headersTimeoutMs,
      requestCert: clientCertificates !== 'none',
      rejectUnauthorized: clientCertificates === 'required',
    },
    handler,
  );
  files.onChange((material) => server.setSecureContext(contextOf(material)));
  return server;
}
