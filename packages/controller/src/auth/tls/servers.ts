/** TLS 1.2 or newer on both ports, from files that may change while connections live: those keep what they began with. */
import http from 'node:http';
import https from 'node:https';
import { ServerCredentials, experimental } from '@grpc/grpc-js';
import type { TlsFiles, TlsMaterial } from './tls-files.js';

/** Whether clients show a certificate: not asked, those that have one, or all. */
export type ClientCertificates = 'none' | 'optional' | 'required';

export interface ServerTls {
  readonly files: TlsFiles;
  readonly clientCertificates: ClientCertificates;
}

export function grpcCredentials(tls: ServerTls | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const { files, clientCertificates } = tls;
  type Identity = experimental.IdentityCertificateUpdateListener;
  type Ca = experimental.CaCertificateUpdateListener;
  const identities = new Set<Identity>();
  const authorities = new Set<Ca>();
  const tellIdentity = (listener: Identity, { cert, key }: TlsMaterial): void =>
    listener({ certificate: cert, privateKey: key });
  const tellCa = (listener: Ca, { ca }: TlsMaterial): void =>
    listener(ca === undefined ? null : { caCertificate: ca });
  files.onChange((material) => {
    for (const listener of authorities) tellCa(listener, material);
    for (const listener of identities) tellIdentity(listener, material);
  });
  const provider: experimental.CertificateProvider = {
    addIdentityCertificateListener(listener) {
      identities.add(listener);
      // Not at once: the library enters the server, which it is for, only after this call.
      queueMicrotask(() => tellIdentity(listener, files.current));
    },
    removeIdentityCertificateListener: (listener) => void identities.delete(listener),
    addCaCertificateListener(listener) {
      authorities.add(listener);
      queueMicrotask(() => tellCa(listener, files.current));
    },
    removeCaCertificateListener: (listener) => void authorities.delete(listener),
  };
  // The library (1.14.7) takes the provider of the identity first, whatever its declaration says; null as the other one = no
  // certificate is asked for.
  return experimental.createCertificateProviderServerCredentials(
    provider,
    clientCertificates === 'none' ? null : provider,
    clientCertificates === 'required',
  );
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
  const { files, clientCertificates } = tls;
  const contextOf = ({ cert, key, ca }: TlsMaterial) => ({
    cert,
    key,
    minVersion: 'TLSv1.2' as const,
    ...(ca === undefined ? {} : { ca }),
  });
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
