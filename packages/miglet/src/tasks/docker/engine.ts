/** The Docker engine, over its unix socket (Engine API): requests, and what their failures mean. */
import type { Dispatcher, request } from 'undici';
import { errorMessage } from '@mig/common/errors';

/** The engine refused, or there is none. The message is for a person. */
export class EngineError extends Error {
  constructor(
    message: string,
    /** HTTP status of the engine; 0 if it did not answer. */
    readonly status: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'EngineError';
  }
}

export interface EngineCall {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** From the version on: `/containers/json`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  /** The answer's head comes within this; default 30 s. */
  readonly headWithinMs?: number;
}

export interface Engine {
  /** The answer as JSON; undefined if it is empty. @throws EngineError, or the signal's error */
  ask<T>(call: EngineCall): Promise<T>;
  /** The answer as it comes, without end if need be. @throws EngineError, or the signal's error */
  open(call: EngineCall): Promise<AsyncIterable<Uint8Array>>;
  close(): Promise<void>;
}

const CONNECT_MS = 5_000;
const HEAD_MS = 30_000;
/** An engine that is well says so at once. */
const PING_MS = 10_000;
/** Longest answer that is read whole: 16 MiB. */
const MAX_BODY_BYTES = 16 * 2 ** 20;

/** Nothing is opened until the first request. */
export function createEngine(socketPath: string): Engine {
  let http: Promise<Http> | undefined;
  let prefix: Promise<string> | undefined;

  /** Each engine takes requests of its own version, whatever older ones it still takes. */
  async function version(): Promise<string> {
    const response = await send('/_ping', { method: 'GET', path: '/_ping', headWithinMs: PING_MS });
    await response.body.dump();
    const header = response.headers['api-version'];
    return typeof header === 'string' && /^\d+\.\d+$/.test(header) ? `/v${header}` : '';
  }

  async function send(path: string, call: EngineCall): Promise<Dispatcher.ResponseData> {
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(call.query ?? {}))
      if (value !== undefined) query.set(key, String(value));
    try {
      http ??= openHttp(socketPath);
      const { request, dispatcher } = await http;
      return await request(`http://docker${path}${query.size === 0 ? '' : `?${query.toString()}`}`, {
        dispatcher,
        method: call.method,
        headersTimeout: call.headWithinMs ?? HEAD_MS,
        signal: call.signal,
        ...(call.body === undefined
          ? {}
          : { body: JSON.stringify(call.body), headers: { 'content-type': 'application/json' } }),
      });
    } catch (error) {
      if (call.signal?.aborted) throw error;
      throw unreachable(socketPath, error);
    }
  }

  async function answer(call: EngineCall): Promise<Dispatcher.ResponseData> {
    prefix ??= version();
    prefix.catch(() => (prefix = undefined));
    const base = await orAborted(prefix, call.signal);
    const response = await send(base + call.path, call);
    if (response.statusCode < 400) return response;
    const text = await response.body.text();
    throw new EngineError(messageIn(text) || `HTTP ${response.statusCode}`, response.statusCode);
  }

  return {
    async ask<T>(call: EngineCall) {
      const { body } = await answer(call);
      const parts: Buffer[] = [];
      let length = 0;
      for await (const part of body as AsyncIterable<Buffer>) {
        length += part.length;
        if (length > MAX_BODY_BYTES) throw new EngineError('the answer of the engine is too long', 0);
        parts.push(part);
      }
      const text = Buffer.concat(parts).toString();
      return (text.trim() === '' ? undefined : JSON.parse(text)) as T;
    },
    open: async (call) => (await answer(call)).body as AsyncIterable<Uint8Array>,
    close: async () => (await http)?.dispatcher.destroy(),
  };
}

/** undici, and its connections to the engine. */
interface Http {
  readonly request: typeof request;
  readonly dispatcher: Dispatcher;
}

async function openHttp(socketPath: string): Promise<Http> {
  // Loaded here: most VMs have no task of Docker.
  const { Agent, request } = await import('undici');
  const dispatcher = new Agent({
    connect: { socketPath, timeout: CONNECT_MS },
    // Logs that are followed may be silent for days; the task's own time ends them.
    bodyTimeout: 0,
    connections: null,
  });
  return { request, dispatcher };
}

/** @throws the signal's reason as soon as it is aborted */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  return Promise.race([work, aborted]).finally(() => signal.removeEventListener('abort', onAbort));
}

function messageIn(text: string): string {
  try {
    return (JSON.parse(text) as { message?: string }).message ?? '';
  } catch {
    return text.trim().slice(0, 500);
  }
}

const ABSENT: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket',
  ECONNREFUSED: 'nothing listens there',
  EACCES: 'this user has no right to it',
  UND_ERR_CONNECT_TIMEOUT: `it did not take the connection within ${CONNECT_MS / 1_000} s`,
  UND_ERR_HEADERS_TIMEOUT: 'it did not answer in time',
};

function unreachable(socketPath: string, error: unknown): EngineError {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return new EngineError(
    `no Docker engine answers at ${socketPath}: ${ABSENT[code] ?? errorMessage(error)}; start one on this VM, or name its socket with tasks.docker_socket`,
    0,
    { cause: error },
  );
}
