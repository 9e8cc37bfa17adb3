/**
 * The controller's certificate, its key and the authorities of clients, read from files and read again when these change:
 * certificates are renewed while streams live. Files that do not fit together are not taken; the ones before stay in use.
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { toRfc3339, type Clock } from '@mig/common/clock';
import { MigError, errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';

export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Undefined = certificates of clients are not asked for. */
  readonly ca: Buffer | undefined;
}

export interface TlsFiles {
  readonly current: TlsMaterial;
  /** Called with every material that follows. */
  onChange(listener: (material: TlsMaterial) => void): void;
  /** Looks now whether the files have changed; every `reloadMs` it is done by itself. */
  look(): Promise<void>;
  /** What an operator should know: files that do not fit, a certificate that ends soon. */
  warnings(): string[];
  stop(): void;
}

export interface TlsFileOptions {
  readonly certFile: string;
  readonly keyFile: string;
  /** Empty = none. */
  readonly clientCaFile: string;
  readonly reloadMs: number;
}

/** The controller does not start with files that are no certificate and key. */
export class TlsFilesError extends MigError {
  constructor(reason: string) {
    super(
      'bad-tls-files',
      `the certificate cannot be used: ${reason}; "migctl certs issue" makes one, or name others in tls.cert_file and tls.key_file`,
    );
  }
}

const SOON_MS = 7 * 86_400_000;

/** @throws TlsFilesError */
export async function openTlsFiles(
  options: TlsFileOptions,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<TlsFiles> {
  const listeners: ((material: TlsMaterial) => void)[] = [];
  let failure: string | undefined;
  let stopped = false;
  let timer: unknown;
  let current = await load(options).catch((error: unknown) => {
    throw new TlsFilesError(errorMessage(error));
  });

  async function look(): Promise<void> {
    try {
      const next = await load(options);
      failure = undefined;
      if (isSame(next, current) || stopped) return;
      current = next;
      for (const listener of listeners) listener(next);
      const { validTo, subject } = new X509Certificate(next.cert);
      logger.info({ event: 'certificate_reloaded', subject, validTo }, 'the certificate was read anew');
    } catch (error) {
      const reason = errorMessage(error);
      if (reason !== failure)
        logger.error(
          { event: 'certificate_refused', reason },
          'the new certificate cannot be used; the one before stays in use',
        );
      failure = reason;
    }
  }

  function schedule(): void {
    timer = clock.setTimer(() => {
      void look().finally(() => {
        if (!stopped) schedule();
      });
    }, options.reloadMs);
  }
  schedule();

  return {
    get current() {
      return current;
    },
    onChange: (listener) => void listeners.push(listener),
    look,
    warnings() {
      const endsAt = Date.parse(new X509Certificate(current.cert).validTo);
      const ending =
        endsAt - clock.now() < SOON_MS
          ? [`the certificate ${options.certFile} ends at ${toRfc3339(endsAt)}: renew it`]
          : [];
      return failure === undefined
        ? ending
        : [...ending, `the new certificate cannot be used (${failure}); the one before is`];
    },
    stop() {
      stopped = true;
      clock.clearTimer(timer);
    },
  };
}

/** @throws the file system's error, or one that says what does not fit */
async function load({ certFile, keyFile, clientCaFile }: TlsFileOptions): Promise<TlsMaterial> {
  const [cert, key, ca] = await Promise.all([
    readFile(certFile),
    readFile(keyFile),
    clientCaFile === '' ? undefined : readFile(clientCaFile),
  ]);
  // It throws if one is none, or they are not of each other.
  createSecureContext({ cert, key, ...(ca === undefined ? {} : { ca }) });
  return { cert, key, ca };
}

const isSame = (one: TlsMaterial, other: TlsMaterial): boolean =>
  one.cert.equals(other.cert) &&
  one.key.equals(other.key) &&
  (one.ca === undefined) === (other.ca === undefined) &&
  (one.ca === undefined || other.ca === undefined || one.ca.equals(other.ca));
