/** `fetch` for a controller whose certificate is of an authority of its own, or that asks for a client certificate. */
import { readFileSync } from 'node:fs';
import { errorMessage } from '@mig/common/errors';
import { PemError, parseCertificates } from '@mig/common/pem';
import { UsageError } from '../errors.js';

export interface TlsFiles {
  readonly ca_file?: string | undefined;
  readonly cert_file?: string | undefined;
  readonly key_file?: string | undefined;
}

/** The files are read, and the library loaded, when the first request is made. @throws UsageError then */
export function secureFetch(plain: typeof globalThis.fetch, files: TlsFiles): typeof globalThis.fetch {
  const { ca_file: caFile, cert_file: certFile, key_file: keyFile } = files;
  if (caFile === undefined && certFile === undefined) return plain;
  let ready: Promise<typeof globalThis.fetch> | undefined;
  async function make(): Promise<typeof globalThis.fetch> {
    const connect = {
      ...(caFile === undefined ? {} : { ca: certificates('--ca-file', caFile) }),
      ...(certFile === undefined ? {} : { cert: certificates('--cert-file', certFile) }),
      ...(keyFile === undefined ? {} : { key: read('--key-file', keyFile) }),
    };
    const undici = await import('undici');
    const dispatcher = new undici.Agent({ connect });
    return ((input: string, init?: object) =>
      undici.fetch(input, { ...init, dispatcher })) as unknown as typeof globalThis.fetch;
  }
  return async (input, init) => {
    ready ??= make();
    return (await ready)(input, init);
  };
}

/** Half a file would be taken for one that says less. */
function certificates(source: string, file: string): string {
  try {
    return parseCertificates(read(source, file))
      .map(({ pem }) => pem)
      .join('');
  } catch (error) {
    if (!(error instanceof PemError)) throw error;
    throw new UsageError(`${source}: ${file}: ${error.message}`);
  }
}

function read(source: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${source}: ${file} cannot be read (${errorMessage(error)})`);
  }
}
