/** TLS to the controller: read when a connection is made, so that renewed files are used by the next one. */
import { readFileSync } from 'node:fs';
import { Agent, type Dispatcher } from 'undici';
import type { MigletConfig } from '../config.js';

/** PEM. */
export interface LinkTls {
  /** Undefined = the authorities of Node. */
  readonly ca: Buffer | undefined;
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
}

type TlsConfig = MigletConfig['controller']['tls'];

/** @throws the file system's error */
export function readLinkTls({ ca_file, cert_file, key_file }: TlsConfig): LinkTls {
  const read = (file: string): Buffer | undefined => (file === '' ? undefined : readFileSync(file));
  return { ca: read(ca_file), cert: read(cert_file), key: read(key_file) };
}

/** For HTTP; undefined = nothing of its own is configured. */
export function createLinkDispatcher(config: TlsConfig): Dispatcher | undefined {
  if (config.ca_file === '' && config.cert_file === '') return undefined;
  const { ca, cert, key } = readLinkTls(config);
  return new Agent({
    connect: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    },
  });
}
