/** TLS 1.2 or newer on both ports, from files that may change while connections live. */
import { constants } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import { problemType } from '@mig/common/api/problem';
import type { ClientTrust } from './client-trust.js';
import type { TlsFiles, TlsMaterial } from './tls-files.js';

/** Whether clients show a certificate: not asked, those that have one, or all. */
export type ClientCertificates = 'none' | 'optional' | 'required';

export interface ServerTls {
  readonly files: TlsFiles;
  readonly clientCertificates: ClientCertificates;
  readonly trust: ClientTrust;
}

/** Of TLS 1.3 and 1.2: keys that are new for each connection, and encryption that authenticates (no CBC, no SHA-1). */
const CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
].join(':');

/** What Node's TLS is given of the files. */
const contextOf = ({ cert, key, ca }: TlsMaterial, clientCertificates: ClientCertificates) => ({
  cert,
  key,
  minVersion: 'TLSv1.2' as const,
  ciphers: CIPHERS,
  ...(clientCertificates === 'none'
    ? {}
    : {
        ...(ca === undefined ? {} : { ca: [...ca] }),
        // A session that is resumed would not be checked again, nor have what the client sent along with its certificate.
        secureOptions: constants.SSL_OP_NO_TICKET,
      }),
});

/** Options of a server of TLS; `keepCurrent` has it use what follows. */
export const tlsOptionsOf = ({ files, clientCertificates }: ServerTls) => ({
  ...contextOf(files.current, clientCertificates),
  requestCert: clientCertificates !== 'none',
  rejectUnauthorized: clientCertificates === 'required',
});

export function keepCurrent(
  server: { setSecureContext(options: ReturnType<typeof contextOf>): void },
  { files, clientCertificates }: ServerTls,
): void {
  files.onChange((material) => server.setSecureContext(contextOf(material, clientCertificates)));
}

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
  const server = https.createServer(
    { ...limits, ...tlsOptionsOf(tls), handshakeTimeout: options.headersTimeoutMs },
    (request, response) => {
      if (tls.trust.admits(request.socket)) handler(request, response);
      else refuse(response);
    },
  );
  keepCurrent(server, tls);
  return server;
}

/** The certificate that the connection began with counts no more: another is shown on another connection. */
function refuse(response: http.ServerResponse): void {
  response.writeHead(401, { 'content-type': 'application/problem+json', connection: 'close' });
  response.end(
    JSON.stringify({
      type: problemType('client-certificate'),
      title: 'A client certificate is needed',
      status: 401,
      detail: CERTIFICATE_NEEDED,
    }),
  );
}

/** What a client is told whose certificate counted when it connected. */
export const CERTIFICATE_NEEDED =
  'the client certificate of this connection has expired, or its authority is not taken any more: connect again with another';
