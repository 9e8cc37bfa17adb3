/** What `migctl login` has to be told to reach this controller over TLS: for the hint in its log. */
import { X509Certificate } from 'node:crypto';
import type { TlsMaterial } from './tls-files.js';

export interface LoginFlagsOptions {
  readonly port: number;
  readonly clientCaFile: string;
}

/** ` --server https://NAME:PORT --ca-file FILE`; words in capitals where only people know. */
export function loginFlags(
  { cert, authorities }: TlsMaterial,
  { port, clientCaFile }: LoginFlagsOptions,
): string {
  const certificate = new X509Certificate(cert);
  const [, name = 'HOST'] =
    /(?:^|, )(?:DNS|IP Address):([A-Za-z0-9.:-]+)/.exec(certificate.subjectAltName ?? '') ?? [];
  const host = name.includes(':') ? `[${name}]` : name;
  const isOfClients = authorities.some((authority) => certificate.checkIssued(authority));
  const caFile = isOfClients ? clientCaFile : 'FILE_OF_ITS_AUTHORITY';
  return ` --server https://${host}:${port === 0 ? 'PORT' : port} --ca-file ${caFile}`;
}
