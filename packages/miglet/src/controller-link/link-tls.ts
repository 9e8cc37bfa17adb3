/**
 * TLS to the controller. The files are read when a connection is made, so that renewed ones, and authorities that were added or
 * taken out, are used by the next one, without a restart. Files that cannot be used fail that connection, and are tried again with
 * the next.
 */
import { createPrivateKey } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { Agent } from 'node:http';
import { Agent as SecureAgent } from 'node:https';
import { ChannelCredentials } from 'nice-grpc';
import { MigError, errorMessage } from '@mig/common/errors';
import { parseCertificates } from '@mig/common/pem';
import type { MigletConfig } from '../config.js';

/** PEM. */
export interface LinkTls {
  /** Undefined = the authorities of Node. */
  readonly ca: Buffer | undefined;
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
}

type TlsConfig = MigletConfig['controller']['tls'];

/** A file of `controller.tls` cannot be used. */
export class LinkTlsError extends MigError {
  constructor(
    readonly key: keyof TlsConfig,
    readonly file: string,
    reason: string,
  ) {
    super('bad-tls-file', `controller.tls.${key} ${file}: ${reason}: ${REMEDY[key]}`);
  }
}

const KEPT_MS = 4_000;

const REMEDY: Readonly<Record<keyof TlsConfig, string>> = {
  ca_file:
    "copy the certificate of the controller's authority (ca.pem) there, or leave the key empty for those of Node",
  cert_file:
    'copy the certificate of this VM there ("migctl certs issue --vm VM" makes one), or leave the key empty',
  key_file: 'copy the key of controller.tls.cert_file there',
};

/** @throws LinkTlsError */
export function readLinkTls(config: TlsConfig): LinkTls {
  const { ca_file: caFile, cert_file: certFile, key_file: keyFile } = config;
  if (certFile === '' && keyFile !== '')
    throw new LinkTlsError(
      'cert_file',
      '(empty)',
      'controller.tls.key_file is set, and there is no certificate to it',
    );
  if (certFile !== '' && keyFile === '')
    throw new LinkTlsError(
      'key_file',
      '(empty)',
      'controller.tls.cert_file is set, and there is no key to it',
    );
  const authorities = certificatesOf('ca_file', caFile);
  const chain = certificatesOf('cert_file', certFile);
  const key = keyFile === '' ? undefined : readFile('key_file', keyFile);
  if (key !== undefined) {
    const privateKey = parse('key_file', keyFile, () => createPrivateKey(key));
    if (chain?.[0]?.certificate.checkPrivateKey(privateKey) !== true)
      throw new LinkTlsError('key_file', keyFile, `it is not the key of the certificate in ${certFile}`);
  }
  return { ca: joined(authorities), cert: joined(chain), key };
}

type Certificates = ReturnType<typeof parseCertificates>;

const joined = (certificates: Certificates | undefined): Buffer | undefined =>
  certificates === undefined ? undefined : Buffer.from(certificates.map(({ pem }) => pem).join(''));

const certificatesOf = (key: 'ca_file' | 'cert_file', file: string): Certificates | undefined =>
  file === '' ? undefined : parse(key, file, () => parseCertificates(readFile(key, file).toString('latin1')));

const readFile = (key: keyof TlsConfig, file: string): Buffer =>
  parse(key, file, () => {
    // A pipe would be waited for, and the MIGlet with it.
    if (!statSync(file).isFile()) throw new Error('it is no regular file');
    return readFileSync(file);
  });

/** What cannot be read or parsed is said with its key and its file. */
function parse<T>(key: keyof TlsConfig, file: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof LinkTlsError ? error : new LinkTlsError(key, file, errorMessage(error));
  }
}

/**
 * Where a gRPC channel goes, and how.
 *
 * @param endpoint HOST:PORT @param tls undefined = plain text
 * @throws if the certificates are none
 */
export function channelTarget(endpoint: string, tls: LinkTls | undefined): [string, ChannelCredentials] {
  if (tls === undefined) return [`http://${endpoint}`, ChannelCredentials.createInsecure()];
  return [
    `https://${endpoint}`,
    ChannelCredentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.cert ?? null),
  ];
}

/**
 * For HTTP. A connection is kept for the next request for 4 s: a server that closes it after 5 s, as Node's does, is not raced.
 *
 * @param endpoint says whether it is TLS
 */
export function createLinkAgent({
  endpoint,
  tls,
}: Pick<MigletConfig['controller'], 'endpoint' | 'tls'>): Agent {
  const kept = { keepAlive: true, timeout: KEPT_MS };
  if (!endpoint.startsWith('https:')) return new Agent(kept);
  // A session that is resumed would not look at the files.
  const agent = new SecureAgent({ ...kept, maxCachedSessions: 0 });
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    let files: LinkTls;
    try {
      files = readLinkTls(tls);
    } catch (error) {
      callback?.(error as Error, undefined as never);
      return undefined;
    }
    return connect({ ...options, ...given(files) });
  };
  return agent;
}

const given = ({ ca, cert, key }: LinkTls) => ({
  ...(ca === undefined ? {} : { ca }),
  ...(cert === undefined ? {} : { cert }),
  ...(key === undefined ? {} : { key }),
});
