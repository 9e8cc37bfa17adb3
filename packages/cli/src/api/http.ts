/** One request to the controller, and what became of it: no retries here, and no knowledge of what is asked. */
import { problemSchema } from '@mig/common/api/problem';
import { formatDuration } from '@mig/common/config/duration';
import { tlsFailure } from './tls-failure.js';
import { CliError, EXIT, InterruptedError, RefusedError, UnavailableError } from '../errors.js';

export interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** From `/api` on, already escaped. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Done twice, it is as if it were done once. Default: a GET is, and what has an idempotency key. */
  readonly repeatable?: true;
}

export type Attempt =
  | { readonly kind: 'ok'; readonly value: unknown }
  | {
      readonly kind: 'retryable';
      /** `absent`: nothing listens there. `cut`: the connection broke. `late`: no answer in time. `busy`: HTTP 5xx. */
      readonly cause: 'absent' | 'cut' | 'late' | 'busy';
      /** In a few words, for a progress line. */
      readonly reason: string;
      readonly error: CliError;
      /** Not before, if the controller said so; milliseconds. */
      readonly afterMs?: number;
    }
  | { readonly kind: 'fatal'; readonly error: CliError };

export interface HttpOptions {
  readonly fetch: typeof globalThis.fetch;
  readonly server: string;
  readonly requestTimeoutMs: number;
  readonly interrupted: AbortSignal;
  /** Sent as `Authorization: Bearer`; undefined = none. */
  readonly token?: string | undefined;
}

/** Sends the request once. `withinMs` shortens the time that it may take. */
export type Http = (call: Call, withinMs?: number) => Promise<Attempt>;

/** @throws InterruptedError, and nothing else */
export function createHttp({ fetch, server, requestTimeoutMs, interrupted, token }: HttpOptions): Http {
  return async (call, withinMs = Infinity) => {
    const timeoutMs = Math.max(1, Math.min(requestTimeoutMs, withinMs));
    if (interrupted.aborted) throw new InterruptedError();
    const abort = new AbortController();
    const onInterrupt = () => abort.abort();
    interrupted.addEventListener('abort', onInterrupt, { once: true });
    const timer = setTimeout(onInterrupt, timeoutMs);
    try {
      const response = await fetch(server + call.path + queryOf(call), {
        method: call.method,
        headers: {
          accept: 'application/json',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...call.headers,
        },
        redirect: 'manual',
        signal: abort.signal,
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      });
      return toAttempt(server, response, await response.text());
    } catch (error) {
      if (interrupted.aborted) throw new InterruptedError();
      return abort.signal.aborted ? late(server, timeoutMs) : noAnswer(server, error);
    } finally {
      clearTimeout(timer);
      interrupted.removeEventListener('abort', onInterrupt);
    }
  };
}

function queryOf({ query }: Call): string {
  const given = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {}))
    if (value !== undefined) given.set(key, String(value));
  return given.size === 0 ? '' : `?${given.toString()}`;
}

function toAttempt(server: string, response: Response, text: string): Attempt {
  const { status } = response;
  const body = parseJson(text);
  if (response.ok && body !== undefined) return { kind: 'ok', value: body };
  const problem = problemSchema.safeParse(body);
  if (!problem.success) return notAController(server, status, response.headers.get('content-type'));
  const { type, title, detail } = problem.data;
  const code = type.split(':').at(-1) ?? type;
  const error = new RefusedError(code, status, detail === '' ? title : detail, hintFor(code, detail));
  if (status < 500) return { kind: 'fatal', error };
  const afterSeconds = Number(response.headers.get('retry-after'));
  return {
    kind: 'retryable',
    cause: 'busy',
    reason: `HTTP ${status}: ${title}`,
    error,
    ...(afterSeconds > 0 ? { afterMs: afterSeconds * 1000 } : {}),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** The detail of a problem mostly names the remedy itself; this is what is left to say. */
function hintFor(problemCode: string, detail: string): string | undefined {
  const hints: Readonly<Record<string, string>> = {
    unauthenticated:
      'see `migctl login --help`; on the machine of the controller, its log says where the admin token is',
    forbidden: 'see `migctl whoami` for what your credential may',
    'unknown-vm': 'see `migctl get vms` for the VMs that this controller knows',
    'unknown-command': 'see `migctl get commands` for the commands that this controller knows',
    'not-cancellable': 'see `migctl get commands` for what became of it',
    'too-many-commands': 'see `migctl get commands --vm VM`, and `migctl cancel command ID`',
    'unknown-drain': 'see `migctl get drains` for the drains that this controller knows',
    'too-many-drains': 'see `migctl get drains --state active`, and `migctl undrain ID`',
    'store-unavailable': "look at the controller's log and its disk, then try again",
    internal: "look at the controller's log",
  };
  const hint = hints[problemCode];
  return hint !== undefined && problemCode === 'unknown-vm' && detail.includes('migctl get vms')
    ? undefined
    : hint;
}

const SERVER_HINT = 'name the HTTP address of a controller with --server or MIGCTL_SERVER';

function notAController(server: string, status: number, contentType: string | null): Attempt {
  const what = `${server} answered HTTP ${status} (${contentType ?? 'no content type'})`;
  if (status >= 500) {
    const error = new UnavailableError(
      `${what}: the controller, or a proxy before it, cannot answer now`,
      'try again',
    );
    return { kind: 'retryable', cause: 'busy', reason: `HTTP ${status}`, error };
  }
  return {
    kind: 'fatal',
    error: new CliError(
      'not-a-controller',
      `${what}, not the operator API of a controller`,
      EXIT.failed,
      SERVER_HINT,
    ),
  };
}

function late(server: string, timeoutMs: number): Attempt {
  const waited = formatDuration(Math.round(timeoutMs));
  const error = new UnavailableError(
    `the controller at ${server} did not answer within ${waited}`,
    'try again, or allow more with --request-timeout',
  );
  return { kind: 'retryable', cause: 'late', reason: `no answer within ${waited}`, error };
}

const ABSENT_CODES = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const CUT_CODES = new Set([
  'ECONNRESET',
  'EPIPE',
  'UND_ERR_SOCKET',
  'ECONNABORTED',
  'ETIMEDOUT',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
]);

/** What `fetch` threw. It says "fetch failed"; the reason is its cause. */
function noAnswer(server: string, error: unknown): Attempt {
  const cause = propertyOf(error, 'cause') ?? error;
  const code = codeOf(cause);
  const ofTls = tlsFailure(server, code, messageOf(cause), error);
  if (ofTls !== undefined) return { kind: 'fatal', error: ofTls };
  if (ABSENT_CODES.has(code)) {
    return {
      kind: 'retryable',
      cause: 'absent',
      reason: code === 'ECONNREFUSED' ? 'connection refused' : code,
      error: new UnavailableError(
        `no controller answers at ${server} (${code === 'ECONNREFUSED' ? 'connection refused' : messageOf(cause)})`,
        'start one with `npm start`, or name it with --server or MIGCTL_SERVER',
        { cause: error },
      ),
    };
  }
  if (CUT_CODES.has(code) || messageOf(cause) === 'terminated') {
    return {
      kind: 'retryable',
      cause: 'cut',
      reason: 'connection lost',
      error: new UnavailableError(
        `the connection to ${server} was lost before an answer came (${code || messageOf(cause)})`,
        'try again; check that this is the HTTP address of the controller, not its gRPC address',
        { cause: error },
      ),
    };
  }
  return {
    kind: 'fatal',
    error: new CliError(
      'unreachable',
      `cannot ask ${server}: ${messageOf(cause)}`,
      EXIT.failed,
      SERVER_HINT,
      { cause: error },
    ),
  };
}

function codeOf(error: unknown): string {
  const code = propertyOf(error, 'code');
  if (typeof code === 'string') return code;
  // One error for each address of the host.
  const errors = propertyOf(error, 'errors');
  return Array.isArray(errors) && errors.length > 0 ? codeOf(errors[0]) : '';
}

function messageOf(error: unknown): string {
  const message = propertyOf(error, 'message');
  return typeof message === 'string' ? message : String(error);
}

/** Errors are read by their shape: those of `fetch` need not be of this realm's classes. */
const propertyOf = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
