/**
 * Small questions over HTTP, whose answers are read whole: by node:http and node:https. A client that can do more costs the process
 * a quarter of its memory (docs/performance.md); it is loaded by what needs it, a download or the Docker engine.
 */
import {
  request as requestPlain,
  type Agent,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { request as requestSecure } from 'node:https';
import { urlToHttpOptions } from 'node:url';

export interface HttpQuestion {
  /** Default GET. */
  readonly method?: 'GET' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Ends it, whatever it waits for. */
  readonly signal: AbortSignal;
  /** A host that has not taken the connection by then; default 10 s. */
  readonly connectWithinMs?: number;
  /** Of the URL's protocol; default: a connection for this question alone. */
  readonly agent?: Agent | undefined;
}

export interface HttpAnswer {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  /** UTF-8. */
  readonly text: string;
}

const CONNECT_MS = 10_000;
/** A longer answer is given up: 1 MiB. */
export const MAX_ANSWER_BYTES = 2 ** 20;

/**
 * Redirects are not followed; no proxy is used.
 *
 * @param url `http:` or `https:`; a name or password in it is not sent
 * @throws the network's error, that of the agent, or the signal's reason
 */
export async function askHttp(url: string, question: HttpQuestion): Promise<HttpAnswer> {
  const { signal } = question;
  try {
    signal.throwIfAborted();
    const response = await send(new URL(url), question);
    const parts: Buffer[] = [];
    let length = 0;
    for await (const part of response as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > MAX_ANSWER_BYTES) throw new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`);
      parts.push(part);
    }
    return {
      statusCode: response.statusCode ?? 0,
      headers: response.headers,
      text: new TextDecoder().decode(Buffer.concat(parts)),
    };
  } catch (error) {
    // Otherwise it would be said that it was ended, and not why.
    throw signal.aborted ? signal.reason : error;
  }
}

function send(url: URL, question: HttpQuestion): Promise<IncomingMessage> {
  const { method = 'GET', headers, body, signal, agent, connectWithinMs = CONNECT_MS } = question;
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? requestSecure : requestPlain;
    const sent = request(
      { ...urlToHttpOptions(url), auth: null, method, headers, signal, agent: agent ?? false },
      resolve,
    );
    limitConnecting(sent, url, connectWithinMs);
    sent.on('error', reject).end(body);
  });
}

function limitConnecting(sent: ClientRequest, { host }: URL, withinMs: number): void {
  sent.once('socket', (socket) => {
    if (!socket.connecting) return;
    const timer = setTimeout(
      () =>
        sent.destroy(new Error(`Connect Timeout Error (attempted address: ${host}, timeout: ${withinMs}ms)`)),
      withinMs,
    );
    const connected = (): void => clearTimeout(timer);
    socket.once('connect', connected).once('close', connected);
  });
}
