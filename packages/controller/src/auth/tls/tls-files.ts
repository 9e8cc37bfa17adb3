/**
 * The controller's certificate, its key and the authorities of clients, read from files and read again when these change:
 * certificates are renewed while streams live. Files that are damaged, or do not fit together, are not taken; those before stay in use.
 * The certificate and the authorities are taken each by itself: one that is damaged does not keep the other from being renewed.
 *
 * A file system that does not answer is left to itself: one read waits for it at most, and it is looked again when that has ended.
 */
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { toRfc3339, type Clock } from '@mig/common/clock';
import { MigError, errorMessage, printable } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { isAuthority, parseCertificates } from '@mig/common/pem';
import { readTlsFile } from './read-tls-file.js';
import { validityOf } from './verify-chain.js';

export interface TlsMaterial {
  /** With those between it and its authority (PEM). */
  readonly cert: string;
  readonly key: Buffer;
  /** PEM; undefined = certificates of clients are of nobody. */
  readonly ca: readonly string[] | undefined;
  /** As `ca`; the same array as long as they are the same. */
  readonly authorities: readonly X509Certificate[];
}

export interface TlsFiles {
  readonly current: TlsMaterial;
  /** Called with every material that follows. */
  onChange(listener: (material: TlsMaterial) => void): void;
  /** Looks now whether the files have changed; every `reloadMs` it is done by itself. */
  look(): Promise<void>;
  /** What an operator should know: files that do not fit, a certificate that has expired or ends soon. */
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

export interface TlsFilesDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: from the disk. */
  readonly read?: typeof readTlsFile;
}

/** The controller does not start with files that are no certificate and key. */
export class TlsFilesError extends MigError {
  constructor(reason: string) {
    super(
      'bad-tls-files',
      `the certificate cannot be used: ${reason}; "migctl certs issue" makes one, or name others in tls.cert_file, tls.key_file and tls.client_ca_file`,
    );
  }
}

type Pair = Pick<TlsMaterial, 'cert' | 'key'>;
type Authorities = Pick<TlsMaterial, 'ca' | 'authorities'>;

const DAY_MS = 86_400_000;
const SOON_MS = 7 * DAY_MS;
/** An authority is replaced in several steps, which take people some days. */
const AUTHORITY_SOON_MS = 30 * DAY_MS;
const READ_TIMEOUT_MS = 5_000;

/** @throws TlsFilesError */
export async function openTlsFiles(options: TlsFileOptions, deps: TlsFilesDeps): Promise<TlsFiles> {
  const { clock, logger } = deps;
  const listeners: ((material: TlsMaterial) => void)[] = [];
  const source = createSource(options, deps);
  const opened = await source.load();
  if (opened === 'waiting' || 'reason' in opened.pair || 'reason' in opened.authorities) {
    const reasons =
      opened === 'waiting'
        ? [source.silence]
        : [opened.pair, opened.authorities].flatMap((one) => ('reason' in one ? [one.reason] : []));
    throw new TlsFilesError(reasons.join('; '));
  }
  let current: TlsMaterial = { ...opened.pair, ...opened.authorities };
  let failures: readonly string[] = [];
  let told: readonly string[] = [];
  let stopped = false;
  let timer: unknown;

  function take(pair: Pair, authorities: Authorities): void {
    const next = {
      ...(isSamePair(pair, current) ? { cert: current.cert, key: current.key } : pair),
      ...(isSameList(authorities.ca, current.ca)
        ? { ca: current.ca, authorities: current.authorities }
        : authorities),
    };
    const isNewPair = next.cert !== current.cert || next.key !== current.key;
    if (stopped || (!isNewPair && next.authorities === current.authorities)) return;
    const hasNewAuthorities = next.authorities !== current.authorities;
    current = next;
    for (const listener of listeners) listener(next);
    const { validTo, subject } = new X509Certificate(next.cert);
    if (isNewPair)
      logger.info({ event: 'certificate_reloaded', subject, validTo }, 'the certificate was read anew');
    if (hasNewAuthorities)
      logger.info(
        { event: 'client_authorities_reloaded', authorities: next.authorities.map(nameOf) },
        'the authorities of clients were read anew: who has a certificate of another is not taken any more',
      );
  }

  async function look(): Promise<void> {
    const loaded = await source.load();
    if (loaded === 'waiting') {
      failures = [`${source.silence}; what was read before is used`];
    } else {
      const { pair, authorities } = loaded;
      failures = [
        ...('reason' in pair
          ? [`the new certificate cannot be used (${pair.reason}); the one before is`]
          : []),
        ...('reason' in authorities
          ? [`the new authorities of clients cannot be used (${authorities.reason}); those before are`]
          : []),
      ];
      take('reason' in pair ? current : pair, 'reason' in authorities ? current : authorities);
    }
    tell();
  }

  const warnings = (): string[] => [...endings(current, options, clock.now()), ...failures];

  /** Each is told of in the log once, until it has gone and comes again. */
  function tell(): void {
    const now = warnings();
    for (const warning of now) {
      if (told.includes(warning)) continue;
      if (failures.includes(warning)) logger.error({ event: 'certificate_refused' }, warning);
      else logger.warn({ event: 'certificate_ends' }, warning);
    }
    told = now;
  }

  function schedule(): void {
    timer = clock.setTimer(() => {
      void look().finally(() => {
        if (!stopped) schedule();
      });
    }, options.reloadMs);
  }
  tell();
  schedule();

  return {
    get current() {
      return current;
    },
    onChange: (listener) => void listeners.push(listener),
    look,
    warnings,
    stop() {
      stopped = true;
      clock.clearTimer(timer);
    },
  };
}

type Part<T> = T | { readonly reason: string };

interface Loaded {
  readonly pair: Part<Pair>;
  readonly authorities: Part<Authorities>;
}

/** Reads the files one after the other: what does not answer holds one thread up, not all that read files. */
function createSource(
  { certFile, keyFile, clientCaFile }: TlsFileOptions,
  { clock, read = readTlsFile }: TlsFilesDeps,
): { load(): Promise<Loaded | 'waiting'>; readonly silence: string } {
  let reading = '';
  let isReading = false;

  async function text(key: string, file: string): Promise<Buffer> {
    reading = `tls.${key} ${file}`;
    return read(file).catch((error: unknown) => {
      throw new Error(`tls.${key} cannot be read: ${errorMessage(error)}`);
    });
  }

  async function pair(): Promise<Pair> {
    const bytes = await text('cert_file', certFile);
    const key = await text('key_file', keyFile);
    const blocks = named('cert_file', certFile, () => parseCertificates(bytes.toString('latin1')));
    const cert = blocks.map(({ pem }) => pem).join('');
    const privateKey = named('key_file', keyFile, () => createPrivateKey(key));
    if (blocks[0]?.certificate.checkPrivateKey(privateKey) !== true)
      throw new Error(
        `tls.key_file ${keyFile} is not the key of the first certificate in tls.cert_file ${certFile}`,
      );
    named('cert_file', certFile, () => createSecureContext({ cert, key }));
    return { cert, key };
  }

  async function authorities(): Promise<Authorities> {
    if (clientCaFile === '') return { ca: undefined, authorities: [] };
    const bytes = await text('client_ca_file', clientCaFile);
    const blocks = named('client_ca_file', clientCaFile, () => parseCertificates(bytes.toString('latin1')));
    const other = blocks.find(({ certificate }) => !isAuthority(certificate));
    if (other !== undefined)
      throw new Error(
        `tls.client_ca_file ${clientCaFile} holds ${nameOf(other.certificate)}, which is no certificate of an authority`,
      );
    return {
      ca: blocks.map(({ pem }) => pem),
      authorities: blocks.map(({ certificate }) => certificate),
    };
  }

  async function all(): Promise<Loaded> {
    const reason = (error: unknown): { reason: string } => ({ reason: errorMessage(error) });
    return { pair: await pair().catch(reason), authorities: await authorities().catch(reason) };
  }

  return {
    async load() {
      if (isReading) return 'waiting';
      isReading = true;
      const loading = all().finally(() => (isReading = false));
      let timer: unknown;
      const late = new Promise<'waiting'>((resolve) => {
        timer = clock.setTimer(() => resolve('waiting'), READ_TIMEOUT_MS);
      });
      const loaded = await Promise.race([loading, late]);
      clock.clearTimer(timer);
      return loaded;
    },
    get silence() {
      return `${reading} does not answer: its file system has not handed it over within ${READ_TIMEOUT_MS / 1_000} s`;
    },
  };
}

function named<T>(key: string, file: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new Error(`tls.${key} ${file}: ${errorMessage(error)}`, { cause: error });
  }
}

/** What has ended, ends soon, or has not begun. */
function endings(
  { cert, authorities }: TlsMaterial,
  { certFile, clientCaFile }: TlsFileOptions,
  nowMs: number,
): string[] {
  const certificate = new X509Certificate(cert);
  const { fromMs, untilMs } = validityOf(certificate);
  const own =
    nowMs >= untilMs
      ? [`the certificate ${certFile} has expired at ${toRfc3339(untilMs)}: clients refuse it; renew it`]
      : nowMs < fromMs
        ? [
            `the certificate ${certFile} is not valid before ${toRfc3339(fromMs)}: clients refuse it; look at the clocks`,
          ]
        : untilMs - nowMs < SOON_MS
          ? [`the certificate ${certFile} ends at ${toRfc3339(untilMs)}: renew it`]
          : [];
  const ofClients = authorities.flatMap((authority) => {
    const endsAt = validityOf(authority).untilMs;
    const what = `the authority ${nameOf(authority)} in ${clientCaFile}`;
    if (nowMs >= endsAt)
      return [
        `${what} has expired at ${toRfc3339(endsAt)}: clients with a certificate of it are refused; replace it`,
      ];
    return endsAt - nowMs < AUTHORITY_SOON_MS
      ? [`${what} ends at ${toRfc3339(endsAt)}: replace it ("migctl certs rotate", docs/tls.md)`]
      : [];
  });
  return [...own, ...ofClients];
}

const nameOf = ({ subject }: X509Certificate): string => printable((subject ?? '').replaceAll('\n', ', '));

const isSamePair = (one: Pair, other: Pair): boolean => one.cert === other.cert && one.key.equals(other.key);

const isSameList = (one: readonly string[] | undefined, other: readonly string[] | undefined): boolean =>
  one?.length === other?.length && (one ?? []).every((text, index) => text === other?.[index]);
