/**
 * Downloads a file over https: through the proxies of the environment, taken up again where it broke off, checked against its
 * SHA-256 while it comes.
 *
 * After a break the same address is asked again (what it redirects to may have expired) for the rest, on the condition that the
 * file is still the same (RFC 9110, Range with If-Range); a server that cannot say so sends it anew from its beginning. No step
 * leaves https, redirects included. Everything is bounded: redirects, breaks in a row without a byte, bytes, silence.
 */
import { createHash, type Hash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { Dispatcher, request } from 'undici';
import { errorMessage } from '@mig/common/errors';
import { fatal, ok, retryable, type Outcome } from '@mig/common/outcome';
import { isSystemError } from '../../host/system-error.js';

export interface DownloadRequest {
  readonly url: string;
  /** Of the whole file, lower case. */
  readonly sha256: string;
  /** Where it is written; what is there is replaced. It is left half written if the download fails: the caller removes it. */
  readonly file: string;
}

export interface DownloadOptions {
  /** Proxies are read from it: `https_proxy`, `http_proxy`, `no_proxy`, in small or capital letters. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Called after every piece; `total` is undefined where the server does not say it. */
  readonly onProgress?: (received: number, total: number | undefined) => void;
  /** Certificate authorities (PEM) instead of the system's. Default: those of Node, with NODE_EXTRA_CA_CERTS. */
  readonly ca?: string;
  /** Default 2 GiB; a longer file is refused. */
  readonly maxBytes?: number;
  /** A server that is silent for so long is left; default 30 s. */
  readonly silenceMs?: number;
  /** The first wait after a break; doubled with each that brought no byte, up to 10 s. Default 500 ms. */
  readonly retryMs?: number;
}

/** `mismatch`: all of it came, and it is not what was wanted. */
export type DownloadOutcome =
  Outcome<{ readonly bytes: number }> | { readonly kind: 'mismatch'; readonly reason: string };

const MAX_BYTES = 2 * 2 ** 30;
const SILENCE_MS = 30_000;
const CONNECT_MS = 15_000;
const RETRY_MS = 500;
const MAX_RETRY_MS = 10_000;
const MAX_REDIRECTS = 5;
/** In all, and in a row without a byte. */
const MAX_BREAKS = 50;
const MAX_VAIN_BREAKS = 5;

export async function download(
  wanted: DownloadRequest,
  options: DownloadOptions,
  signal: AbortSignal,
): Promise<DownloadOutcome> {
  const http = await openHttp(options);
  let file: FileHandle | undefined;
  try {
    file = await open(wanted.file, 'w', 0o600);
    return await transfer(wanted, file, http, options, signal);
  } catch (error) {
    if (signal.aborted)
      return retryable('the download was given up: it took too long, or was not wanted any more');
    if (isSystemError(error)) return retryable(describeDisk(error, wanted.file));
    throw error;
  } finally {
    await file?.close();
    await http.dispatcher.destroy();
  }
}

/** undici, and its connections: for one download. */
interface Http {
  readonly request: typeof request;
  readonly dispatcher: Dispatcher;
}

async function openHttp({ env, ca, silenceMs = SILENCE_MS }: DownloadOptions): Promise<Http> {
  // Loaded here: most starts find their runner there, and download nothing.
  const { EnvHttpProxyAgent, request } = await import('undici');
  const tls = ca === undefined ? {} : { ca };
  const dispatcher = new EnvHttpProxyAgent({
    httpProxy: env['http_proxy'] ?? env['HTTP_PROXY'] ?? '',
    httpsProxy: env['https_proxy'] ?? env['HTTPS_PROXY'] ?? '',
    noProxy: env['no_proxy'] ?? env['NO_PROXY'] ?? '',
    connect: { ...tls, timeout: CONNECT_MS },
    requestTls: tls,
    proxyTls: tls,
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
  });
  return { request, dispatcher };
}

/** What has come so far. */
interface Received {
  bytes: number;
  hash: Hash;
  /** What names this very file at the server; undefined = it cannot be taken up again. */
  validator: string | undefined;
  total: number | undefined;
}

async function transfer(
  wanted: DownloadRequest,
  file: FileHandle,
  http: Http,
  options: DownloadOptions,
  signal: AbortSignal,
): Promise<DownloadOutcome> {
  const received: Received = { bytes: 0, hash: createHash('sha256'), validator: undefined, total: undefined };
  let vainBreaks = 0;
  for (let breaks = 1; ; breaks += 1) {
    const before = received.bytes;
    const outcome = await receive(wanted.url, file, received, http, options, signal);
    if (outcome.kind === 'ok') return check(wanted, received);
    if (outcome.kind === 'fatal') return outcome;
    vainBreaks = received.bytes > before ? 0 : vainBreaks + 1;
    if (breaks >= MAX_BREAKS || vainBreaks >= MAX_VAIN_BREAKS)
      return retryable(`${outcome.reason}; given up after ${breaks} attempts`, outcome.afterMs);
    const waitMs = Math.min((options.retryMs ?? RETRY_MS) * 2 ** vainBreaks, MAX_RETRY_MS);
    await pause(waitMs, undefined, { signal });
  }
}

function check({ url, sha256 }: DownloadRequest, received: Received): DownloadOutcome {
  const actual = received.hash.digest('hex');
  if (actual === sha256) return ok({ bytes: received.bytes });
  return {
    kind: 'mismatch',
    reason: `${withoutQuery(url)} has the SHA-256 ${actual}, and ${sha256} was expected: it is not used`,
  };
}

/** One answer, to its end or its break. @throws what the disk says, and if it is aborted */
async function receive(
  url: string,
  file: FileHandle,
  received: Received,
  http: Http,
  options: DownloadOptions,
  signal: AbortSignal,
): Promise<Outcome<void>> {
  const maxBytes = options.maxBytes ?? MAX_BYTES;
  const answer = await ask(url, received, http, signal);
  if (answer.kind !== 'ok') return answer;
  const { statusCode, headers, body } = answer.value;
  try {
    if (statusCode === 206 && rangeStart(headers) !== received.bytes) {
      forget(received);
      return retryable(`${withoutQuery(url)} sent another part than was asked for`);
    }
    if (statusCode !== 206) {
      if (received.bytes > 0) await file.truncate(0);
      forget(received);
    }
    const length = Number(header(headers, 'content-length') ?? Number.NaN);
    received.total = Number.isNaN(length) ? undefined : received.bytes + length;
    received.validator = validatorOf(headers);
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (received.bytes + chunk.length > maxBytes)
        return fatal(`${withoutQuery(url)} is longer than ${maxBytes} bytes: it is no runner`);
      await writeAll(file, chunk, received.bytes);
      received.hash.update(chunk);
      received.bytes += chunk.length;
      options.onProgress?.(received.bytes, received.total);
    }
    if (received.total !== undefined && received.bytes < received.total)
      return retryable(`${withoutQuery(url)} broke off after ${received.bytes} of ${received.total} bytes`);
    return ok(undefined);
  } catch (error) {
    if (signal.aborted || isDiskError(error)) throw error;
    return retryable(`${withoutQuery(url)} broke off after ${received.bytes} bytes (${errorMessage(error)})`);
  } finally {
    // Never rejects: what is left of an answer that is not wanted is not read.
    body.on('error', () => undefined).destroy();
  }
}

function forget(received: Received): void {
  received.bytes = 0;
  received.hash = createHash('sha256');
  received.validator = undefined;
  received.total = undefined;
}

type Headers = Dispatcher.ResponseData['headers'];

/** Follows redirects to an answer with the file, or what is left of it. */
async function ask(
  url: string,
  received: Received,
  http: Http,
  signal: AbortSignal,
): Promise<Outcome<Dispatcher.ResponseData>> {
  const headers: Record<string, string> = { accept: 'application/octet-stream', 'user-agent': 'miglet' };
  if (received.bytes > 0 && received.validator !== undefined) {
    headers['range'] = `bytes=${received.bytes}-`;
    headers['if-range'] = received.validator;
  }
  let at = url;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    if (!at.startsWith('https://'))
      return fatal(
        `${withoutQuery(at)} is not https (${redirects === 0 ? 'runner.download_url' : `${withoutQuery(url)} led there`}): it is not downloaded from`,
      );
    let answer: Dispatcher.ResponseData;
    try {
      answer = await http.request(at, { dispatcher: http.dispatcher, headers, signal });
    } catch (error) {
      if (signal.aborted) throw error;
      return retryable(`${withoutQuery(at)} was not reached (${errorMessage(error)})`);
    }
    const { statusCode } = answer;
    if (statusCode === 200 || (statusCode === 206 && headers['range'] !== undefined)) return ok(answer);
    answer.body.on('error', () => undefined).destroy();
    const location = header(answer.headers, 'location');
    if (statusCode >= 300 && statusCode < 400 && location !== undefined && URL.canParse(location, at)) {
      at = new URL(location, at).href;
      continue;
    }
    if (statusCode === 416) {
      forget(received);
      return retryable(`${withoutQuery(at)} is shorter than it was`);
    }
    const reason = `${withoutQuery(at)} answered ${statusCode}`;
    const transient = statusCode >= 500 || statusCode === 429 || statusCode === 408;
    return transient
      ? retryable(reason, retryAfterMs(answer.headers))
      : fatal(`${reason}: set runner.version, or runner.download_url`);
  }
  return fatal(`${withoutQuery(url)} led on more than ${MAX_REDIRECTS} times`);
}

function header(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** A strong one: a weak one does not name the very bytes (RFC 9110, If-Range). */
function validatorOf(headers: Headers): string | undefined {
  const etag = header(headers, 'etag');
  return etag !== undefined && etag.startsWith('"') ? etag : header(headers, 'last-modified');
}

/** `bytes 100-199/200`. */
function rangeStart(headers: Headers): number | undefined {
  const [, start] = /^bytes (\d+)-/.exec(header(headers, 'content-range') ?? '') ?? [];
  return start === undefined ? undefined : Number(start);
}

const retryAfterMs = (headers: Headers): number | undefined =>
  Number(header(headers, 'retry-after')) * 1_000 || undefined;

async function writeAll(file: FileHandle, chunk: Buffer, position: number): Promise<void> {
  for (let written = 0; written < chunk.length;)
    written += (await file.write(chunk, written, chunk.length - written, position + written)).bytesWritten;
}

const DISK_CODES = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EFBIG', 'ENOENT', 'EACCES']);
const isDiskError = (error: unknown): boolean => isSystemError(error) && DISK_CODES.has(error.code ?? '');

const describeDisk = (error: NodeJS.ErrnoException, file: string): string =>
  error.code === 'ENOSPC' || error.code === 'EDQUOT'
    ? `the disk is full: ${file} could not be written; the runner needs about 1 GiB beside runner.dir: free space there`
    : `${file} could not be written (${error.message})`;

/** What is cut off is often a signature that lets anybody in (I8). */
export const withoutQuery = (url: string): string => url.split(/[?#]/, 1)[0] ?? '';
