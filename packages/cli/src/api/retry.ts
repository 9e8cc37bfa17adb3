/**
 * When a request that failed is sent again.
 *
 * Without patience (a `get`): at most twice more, and only if the connection broke. With patience (`--wait`, a command to
 * many VMs, `events -f`): as long as the controller has been silent for less than `forMs`, so that one that restarts
 * breaks nothing. A controller that has never answered is not restarting: then nobody is there, and that is said at once.
 */
import { backoffDelayMs } from '@mig/common/backoff';
import { RefusedError } from '../errors.js';
import type { CliClock } from '../io.js';
import type { Attempt, Call, Http } from './http.js';

/** The controller does not answer, and what is done about it. */
export interface Trouble {
  readonly reason: string;
  /** How much longer it is tried, milliseconds; infinite if without end. */
  readonly leftMs: number;
}

export interface Patience {
  /** How long the controller may be silent, milliseconds. */
  readonly forMs: number;
  /** No retry after this time of the monotonic clock. */
  readonly deadlineMs?: number | undefined;
  /** Told of every failed attempt, and with undefined when an answer comes again. */
  readonly onTrouble?: ((trouble: Trouble | undefined) => void) | undefined;
}

/** What all requests of one run know of the controller. */
export interface Contact {
  /** Time of the monotonic clock; undefined if it has never answered. */
  lastAnswerMs: number | undefined;
}

export interface RetryDeps {
  readonly http: Http;
  readonly clock: CliClock;
  readonly random: () => number;
  readonly interrupted: AbortSignal;
  readonly contact: Contact;
}

const MAX_ATTEMPTS = 3;
const BACKOFF = { firstMs: 250, maxMs: 1_000 };

/**
 * Sends until there is an answer or no hope.
 *
 * @throws CliError the last failure; InterruptedError
 */
export async function sendWithRetry(
  deps: RetryDeps,
  call: Call,
  patience: Patience | undefined,
): Promise<unknown> {
  const { http, clock, contact } = deps;
  let troubled = false;
  for (let attempt = 0; ; attempt += 1) {
    const result = await http(call, (patience?.deadlineMs ?? Infinity) - clock.monotonicMs());
    if (result.kind !== 'retryable') {
      if (result.kind === 'ok' || result.error instanceof RefusedError)
        contact.lastAnswerMs = clock.monotonicMs();
      if (troubled) patience?.onTrouble?.(undefined);
      if (result.kind === 'ok') return result.value;
      throw result.error;
    }
    const leftMs = timeLeft(result, call, attempt, patience, contact, clock.monotonicMs());
    if (leftMs <= 0) throw result.error;
    troubled = true;
    patience?.onTrouble?.({ reason: result.reason, leftMs });
    const delayMs = Math.max(result.afterMs ?? 0, backoffDelayMs(BACKOFF, attempt, deps.random));
    await clock.sleep(Math.min(delayMs, leftMs), deps.interrupted);
  }
}

/** For how much longer this failure may be retried, milliseconds; 0 = not at all. */
function timeLeft(
  failure: Extract<Attempt, { kind: 'retryable' }>,
  call: Call,
  attempt: number,
  patience: Patience | undefined,
  contact: Contact,
  nowMs: number,
): number {
  // Without a key, nobody can say whether the first attempt took effect.
  const repeatable =
    call.method === 'GET' || call.repeatable === true || call.headers?.['idempotency-key'] !== undefined;
  if (!repeatable) return 0;
  if (patience === undefined || contact.lastAnswerMs === undefined) {
    return failure.cause === 'cut' && attempt + 1 < MAX_ATTEMPTS ? Infinity : 0;
  }
  const untilMs = Math.min(contact.lastAnswerMs + patience.forMs, patience.deadlineMs ?? Infinity);
  switch (failure.cause) {
    case 'absent':
    case 'cut':
    case 'late':
      return untilMs - nowMs;
    case 'busy':
      // A command that makes the controller fail is not sent to it for a minute.
      return call.method === 'GET' || failure.afterMs !== undefined ? untilMs - nowMs : 0;
  }
}
