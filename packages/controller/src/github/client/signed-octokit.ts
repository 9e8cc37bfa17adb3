/**
 * Octokit, set up so that it keeps to what this project promises of its calls:
 *
 *   outermost   the budget of the caller's class is asked, and a write waits for its turn (write-queue.ts)
 *   retry       5xx and lost answers, twice; no 4xx ever (409 above all: it says that an earlier try took effect)
 *   throttling  attempts of writes keep their pace, repeated ones too; a limit of GitHub's is never waited for here
 *   innermost   each attempt has its own time limit, and every answer, also a 304 or an error, is told to the budget
 *
 * Octokit's groups for throttling are global in the process and keyed by an id: it is unique to each client and bucket.
 */
import { retry } from '@octokit/plugin-retry';
import { throttling } from '@octokit/plugin-throttling';
import { Octokit } from '@octokit/rest';
import Bottleneck from 'bottleneck';
import { randomUUID } from 'node:crypto';
import type { Clock } from '@mig/common/clock';
import { VERSION } from '@mig/common/version';
import { saysSecondaryLimit } from './call-errors.js';
import type { Fetch } from './fetch.js';
import type { CallClass } from './github-client.js';
import type { RateBudget } from './rate-budget.js';
import { createWriteQueue, type WriteQueue } from './write-queue.js';

const API_VERSION = '2022-11-28';
const RETRIES = 2;
const CLIENT_ERRORS = Array.from({ length: 100 }, (_, n) => 400 + n);
const STOPPED = 'the controller stops';
/** What GitHub answers to who is over a limit; the body says which. */
const LIMIT_STATUSES: readonly number[] = [403, 429];

/** As whom a request is made. */
export interface SignIn {
  /** Of an installation, of a person, or the App's own JSON web token. A secret (I8). Empty = the request itself has it. */
  readonly token: string;
  readonly budget: RateBudget;
}

export interface OctokitOptions {
  readonly apiUrl: string;
  readonly requestTimeoutMs: number;
  readonly writesPerSecond: number;
  /** The first pause before a retry; the second is four times as long. Default 500 ms. */
  readonly retryPauseMs?: number | undefined;
  readonly fetch?: Fetch | undefined;
}

export type SignedOctokit = (signIn: SignIn, callClass: CallClass) => Octokit;

export interface Octokits {
  readonly signed: SignedOctokit;
  /** What waits for its turn fails. */
  stop(): void;
}

const Plugged = Octokit.plugin(throttling, retry);
const QUIET_LOG = { debug: noop, info: noop, warn: noop, error: noop };

export function createOctokits({ clock }: { readonly clock: Clock }, options: OctokitOptions): Octokits {
  const { requestTimeoutMs, writesPerSecond } = options;
  const send = options.fetch ?? ((url, init) => fetch(url, init));
  const writes = new Bottleneck.Group({ maxConcurrent: 1, minTime: Math.ceil(1_000 / writesPerSecond) });
  const buckets = new Map<RateBudget, { readonly throttleId: string; readonly queue: WriteQueue }>();
  let stopped = false;

  function bucketOf(budget: RateBudget) {
    const known = buckets.get(budget);
    if (known !== undefined) return known;
    const bucket = { throttleId: randomUUID(), queue: createWriteQueue(writesPerSecond, STOPPED) };
    if (stopped) bucket.queue.stop();
    buckets.set(budget, bucket);
    return bucket;
  }

  function signed({ token, budget }: SignIn, callClass: CallClass): Octokit {
    const { throttleId: id, queue } = bucketOf(budget);

    /** One attempt: the time limit holds until the last of its body is there. */
    async function attempt(url: string, init: RequestInit): Promise<Response> {
      const limit = new AbortController();
      const abort = (): void => limit.abort(init.signal?.reason);
      if (init.signal?.aborted) abort();
      init.signal?.addEventListener('abort', abort, { once: true });
      const tooLate = new Error(`no answer within ${requestTimeoutMs} ms (github.request_timeout)`);
      const timer = clock.setTimer(() => limit.abort(tooLate), requestTimeoutMs);
      budget.sent(callClass);
      try {
        const response = await send(url, {
          method: init.method ?? 'GET',
          // Octokit hands over plain objects and texts.
          headers: init.headers as Record<string, string>,
          ...(typeof init.body === 'string' ? { body: init.body } : {}),
          redirect: 'follow',
          signal: limit.signal,
        });
        const body = await response.arrayBuffer();
        const { status, headers } = response;
        const text = LIMIT_STATUSES.includes(status) ? new TextDecoder().decode(body) : '';
        budget.observe(callClass, {
          status,
          header: (name) => headers.get(name) ?? undefined,
          isSecondaryLimit: saysSecondaryLimit(text),
        });
        return new Response(body.byteLength === 0 ? null : body, { status, headers: [...headers] });
      } finally {
        clock.clearTimer(timer);
        init.signal?.removeEventListener('abort', abort);
      }
    }

    const octokit = new Plugged({
      ...(token === '' ? {} : { auth: token }),
      baseUrl: options.apiUrl.replace(/\/+$/, ''),
      userAgent: `mig-controller/${VERSION}`,
      log: QUIET_LOG,
      request: { fetch: attempt },
      retry: {
        doNotRetry: CLIENT_ERRORS,
        retries: RETRIES,
        retryAfterBaseValue: options.retryPauseMs ?? 500,
      },
      throttle: { id, write: writes, onRateLimit: () => false, onSecondaryRateLimit: () => false },
    });
    octokit.hook.wrap('request', async (request, parameters) => {
      parameters.headers.accept = 'application/vnd.github+json';
      parameters.headers['x-github-api-version'] = API_VERSION;
      budget.admit(callClass);
      try {
        const go = () => request(parameters);
        return await (parameters.method === 'GET' ? go() : queue.run(callClass, go));
      } finally {
        budget.done();
      }
    });
    return octokit;
  }

  return {
    signed,
    stop() {
      stopped = true;
      for (const { queue } of buckets.values()) queue.stop();
      const end = (limiter: Bottleneck): void =>
        void limiter.stop({ dropWaitingJobs: true, dropErrorMessage: STOPPED, enqueueErrorMessage: STOPPED });
      for (const { limiter } of writes.limiters()) end(limiter);
      // For a request that is on its way to the queue.
      writes.on('created', end);
    },
  };
}

function noop(): void {
  // Octokit's own log lines would repeat what is logged by who calls.
}
