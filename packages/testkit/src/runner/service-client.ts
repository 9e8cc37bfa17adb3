/** Requests to the stand-in GitHub's runner service. node:http alone: a runner's process has to start fast. */
import { request } from 'node:http';
import { RUNNER_SERVICE } from '../github/runner-protocol.js';

export type ServiceReply =
  | { readonly kind: 'answer'; readonly status: number; readonly body: unknown; readonly requestId: string }
  /** No answer, or one that says that GitHub is in trouble (5xx, 429): the same request may succeed later. */
  | { readonly kind: 'unreachable'; readonly reason: string }
  | { readonly kind: 'aborted' };

export interface ServiceRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Below `RUNNER_SERVICE`, without a leading slash. */
  readonly path: string;
  readonly authorization: string;
  readonly body?: object;
  readonly signal?: AbortSignal;
  /** Default 30 s. */
  readonly timeoutMs?: number;
}

export interface ServiceClient {
  /** Never rejects. */
  send(wanted: ServiceRequest): Promise<ServiceReply>;
  /** The whole address of a path, for messages. */
  address(path: string): string;
}

/** @param serverUrl any address on the server; only its origin counts. Throws if it is no `http:` address. */
export function createServiceClient(serverUrl: string, userAgent: string): ServiceClient {
  const url = URL.canParse(serverUrl) ? new URL(serverUrl) : undefined;
  if (url?.protocol !== 'http:') {
    throw new Error(
      `Invalid configuration provided for url: ${JSON.stringify(serverUrl)}; use http://127.0.0.1:PORT/ORG`,
    );
  }
  const address = (path: string) => `${url.origin}${RUNNER_SERVICE}/${path}`;

  return {
    address,
    send: (wanted) =>
      new Promise((resolve) => {
        const payload = wanted.body === undefined ? undefined : JSON.stringify(wanted.body);
        const fail = (error: Error) =>
          resolve(
            wanted.signal?.aborted === true
              ? { kind: 'aborted' }
              : { kind: 'unreachable', reason: error.message },
          );
        const outgoing = request(
          address(wanted.path),
          {
            method: wanted.method,
            timeout: wanted.timeoutMs ?? 30_000,
            headers: {
              authorization: wanted.authorization,
              'user-agent': userAgent,
              ...(payload === undefined
                ? {}
                : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
            },
            ...(wanted.signal === undefined ? {} : { signal: wanted.signal }),
          },
          (incoming) => {
            const chunks: Buffer[] = [];
            incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
            incoming.on('error', fail);
            incoming.on('end', () => {
              const status = incoming.statusCode ?? 0;
              if (status >= 500 || status === 429) {
                return fail(new Error(`Response status code does not indicate success: ${status}`));
              }
              resolve({
                kind: 'answer',
                status,
                body: parse(Buffer.concat(chunks).toString('utf8')),
                requestId: String(incoming.headers['x-github-request-id'] ?? ''),
              });
            });
          },
        );
        outgoing.on('timeout', () => outgoing.destroy(new Error('The operation has timed out.')));
        outgoing.on('error', fail);
        outgoing.end(payload);
      }),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
