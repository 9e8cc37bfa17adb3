import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Clock, Timer } from '@mig/common/clock';

/** What GitHub notes of an answer is cut off here. */
const MAX_ANSWER_BYTES = 65_536;

export interface SendOutcome {
  /** GitHub's words: `OK`, `Invalid HTTP Response: 500`, `timed out`, `failed to connect to host`. */
  readonly status: string;
  /** Of the answer; 502 if there was none, 504 if it took too long (the description's own example has 502). */
  readonly statusCode: number;
  /** Null: there was no answer. */
  readonly answerHeaders: Readonly<Record<string, unknown>> | null;
  readonly answer: string | null;
}

export interface SendRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly insecureSsl: boolean;
  /** The receiver has so long to answer; then the connection is broken off. */
  readonly limitMs: number;
  /** Ends it at once. */
  readonly signal: AbortSignal;
}

/** Posts a webhook. Follows no redirection. Never rejects. */
export function sendWebhook(clock: Clock, wanted: SendRequest): Promise<SendOutcome> {
  return new Promise((resolve) => {
    if (!URL.canParse(wanted.url)) return resolve(noAnswer('failed to connect to host'));
    const url = new URL(wanted.url);
    const start = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const outgoing = start(url, {
      method: 'POST',
      agent: false, // a connection of its own: GitHub has many senders
      rejectUnauthorized: !wanted.insecureSsl,
      headers: { ...wanted.headers, 'content-length': String(Buffer.byteLength(wanted.body)) },
      signal: wanted.signal,
    });
    let limit: Timer;
    const startLimit = () => {
      if (outgoing.destroyed) return;
      clock.clearTimer(limit);
      // what has come in meanwhile is looked at first: this process may have been busy, and the receiver not slow
      limit = clock.setTimer(() => setImmediate(timeOut), wanted.limitMs);
    };
    const timeOut = () => finish({ ...noAnswer('timed out'), statusCode: 504 });
    const finish = (outcome: SendOutcome) => {
      clock.clearTimer(limit);
      resolve(outcome);
      outgoing.destroy();
    };
    startLimit();
    outgoing.on('finish', startLimit); // it is on its way: from here on it is the receiver's time
    outgoing.on('error', (error: NodeJS.ErrnoException) => finish(noAnswer(describe(error))));
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = [];
      let size = 0;
      incoming.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size <= MAX_ANSWER_BYTES) chunks.push(chunk);
      });
      incoming.on('error', (error) => finish(noAnswer(describe(error))));
      incoming.on('end', () => {
        const code = incoming.statusCode ?? 0;
        finish({
          status: code < 400 ? 'OK' : `Invalid HTTP Response: ${code}`,
          statusCode: code,
          answerHeaders: toHeaders(incoming.headers),
          answer: Buffer.concat(chunks).toString('utf8'),
        });
      });
    });
    outgoing.end(wanted.body);
  });
}

/** What is recorded of an attempt that nobody answered. */
export const noAnswer = (status: string): SendOutcome => ({
  status,
  statusCode: 502,
  answerHeaders: null,
  answer: null,
});

const BAD_CERTIFICATE = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** The words of GitHub's page on troubleshooting webhooks. */
function describe({ code = '' }: NodeJS.ErrnoException): string {
  if (code === 'ECONNREFUSED') return 'failed to connect to network';
  return BAD_CERTIFICATE.has(code)
    ? 'peer certificate cannot be authenticated with given CA certificates'
    : 'failed to connect to host';
}

const toHeaders = (headers: IncomingHttpHeaders) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
