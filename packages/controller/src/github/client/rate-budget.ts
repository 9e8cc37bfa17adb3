/**
 * One bucket of GitHub's rate limit: what is left of it, and for whom.
 *
 * GitHub says with every answer how many requests are left in the hour. Before a request is made it is looked at what would be
 * left after it: each class of calls has to leave a reserve to those that matter more, and is put off until the hour ends when it
 * would not. Nothing waits here: who is put off is told for how long, and comes again. When GitHub asks to be left alone, it is.
 *
 *   the reserve of a class: that many percent of the limit must be left after its request
 */
import { toRfc3339, type Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import { CALL_CLASSES, GitHubCallError, type CallClass, type InstallationStatus } from './github-client.js';

/** Percent of the limit that a class leaves to those before it; `registration` uses all. */
export type RateReserve = Readonly<Record<Exclude<CallClass, 'registration'>, number>>;

export interface RateBudget {
  /** A request is about to be made. @throws GitHubCallError `budget` or `limited`: it must not be, before `retryAfterMs` */
  admit(callClass: CallClass): void;
  /** A request that was admitted goes out, once more if it is repeated. */
  sent(callClass: CallClass): void;
  /** The request came to its end, with an answer or without. */
  done(): void;
  /** What an answer says of the limit. */
  observe(callClass: CallClass, answer: RateAnswer): void;
  /** The outcome of a call, for a person; undefined = it succeeded. */
  note(problem: string | undefined): void;
  status(): InstallationStatus;
}

export interface RateAnswer {
  readonly status: number;
  /** By the names of the headers in lower case; undefined = not there. */
  header(name: string): string | undefined;
  /** GitHub's text says that it is a limit against abuse; it does not always say so in a header. */
  readonly isSecondaryLimit: boolean;
}

/** GitHub's advice where it names no time (docs.github.com, "Rate limits for the REST API"). */
const UNNAMED_QUIET_MS = 60_000;
/** A window is an hour: what is further away is an error of one of the clocks. */
const MAX_QUIET_MS = 65 * 60_000;

interface Window {
  readonly limit: number;
  remaining: number;
  readonly resetAt: number;
}

export function createRateBudget(
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  { name, reserve }: { readonly name: string; readonly reserve: RateReserve },
): RateBudget {
  const counts = new Map(CALL_CLASSES.map((callClass) => [callClass, { made: 0, putOff: 0 }]));
  /** Classes that were put off and have not gone through since, with the time until which they are. */
  const waiting = new Map<CallClass, number>();
  /** GitHub's other limits (`x-ratelimit-resource`) stop only the class that met them. */
  const quietUntil = new Map<CallClass | 'all', number>();
  let window: Window | undefined;
  let underWay = 0;
  let problem: string | undefined;

  const count = (callClass: CallClass) => counts.get(callClass) ?? { made: 0, putOff: 0 };

  function current(): Window | undefined {
    if (window !== undefined && window.resetAt <= clock.now()) window = undefined;
    return window;
  }

  function putOff(callClass: CallClass, failure: 'budget' | 'limited', until: number, why: string): never {
    const retryAfterMs = Math.max(1_000, until - clock.now());
    count(callClass).putOff += 1;
    if (!waiting.has(callClass)) {
      const facts = { bucket: name, class: callClass, until: toRfc3339(until), reason: why };
      logger.warn(facts, 'calls to GitHub wait');
    }
    waiting.set(callClass, until);
    throw new GitHubCallError(
      failure,
      `${why}: not asked before ${toRfc3339(until)}`,
      undefined,
      retryAfterMs,
    );
  }

  function quiet(callClass: CallClass): number | undefined {
    const until = Math.max(quietUntil.get('all') ?? 0, quietUntil.get(callClass) ?? 0);
    return until > clock.now() ? until : undefined;
  }

  function keepQuiet(whom: CallClass | 'all', untilMs: number): void {
    const until = Math.min(untilMs, clock.now() + MAX_QUIET_MS);
    quietUntil.set(whom, Math.max(until, quietUntil.get(whom) ?? 0));
  }

  function learn(answer: RateAnswer): void {
    const limit = toNumber(answer.header('x-ratelimit-limit'));
    const remaining = toNumber(answer.header('x-ratelimit-remaining'));
    const reset = toNumber(answer.header('x-ratelimit-reset'));
    if (limit === undefined || remaining === undefined || reset === undefined) return;
    const resetAt = Math.min(reset * 1_000, clock.now() + MAX_QUIET_MS);
    const known = current();
    // Answers may overtake each other: within a window the least is the newest.
    if (known !== undefined && resetAt < known.resetAt) return;
    const isSame = known?.resetAt === resetAt && known.limit === limit;
    window = { limit, remaining: isSame ? Math.min(known.remaining, remaining) : remaining, resetAt };
  }

  return {
    admit(callClass) {
      const quietTill = quiet(callClass);
      if (quietTill !== undefined)
        putOff(callClass, 'limited', quietTill, `GitHub asked ${name} to be left alone`);
      const known = current();
      if (known !== undefined) {
        const left = known.remaining - underWay - 1;
        const percent = callClass === 'registration' ? 0 : reserve[callClass];
        const kept = Math.ceil((known.limit * percent) / 100);
        if (left < 0) {
          const why = `${name} has none of its ${known.limit} requests in the hour left`;
          putOff(callClass, 'limited', known.resetAt, why);
        }
        if (left < kept) {
          const why = `${name} has ${known.remaining} of ${known.limit} requests in the hour left, and ${kept} are kept for what matters more than ${callClass}`;
          putOff(callClass, 'budget', known.resetAt, why);
        }
      }
      underWay += 1;
      if (waiting.delete(callClass)) logger.info({ bucket: name, class: callClass }, 'calls to GitHub go on');
    },

    sent(callClass) {
      count(callClass).made += 1;
    },

    done() {
      underWay -= 1;
    },

    observe(callClass, answer) {
      const resource = answer.header('x-ratelimit-resource') ?? 'core';
      if (resource === 'core') learn(answer);
      if (answer.status !== 403 && answer.status !== 429) return;
      const retryAfterS = toNumber(answer.header('retry-after'));
      const isExhausted = answer.header('x-ratelimit-remaining') === '0';
      const now = clock.now();
      if (retryAfterS !== undefined) keepQuiet('all', now + retryAfterS * 1_000);
      else if (isExhausted) {
        const resetAt = (toNumber(answer.header('x-ratelimit-reset')) ?? 0) * 1_000;
        keepQuiet(resource === 'core' ? 'all' : callClass, resetAt > now ? resetAt : now + UNNAMED_QUIET_MS);
      } else if (answer.isSecondaryLimit || answer.status === 429) keepQuiet('all', now + UNNAMED_QUIET_MS);
    },

    note(text) {
      problem = text;
    },

    status() {
      const known = current();
      const now = clock.now();
      const quietTill = quietUntil.get('all') ?? 0;
      return {
        name,
        limit: known?.limit,
        remaining: known?.remaining,
        resetAt: known?.resetAt,
        quietUntil: quietTill > now ? quietTill : undefined,
        calls: {
          registration: { ...count('registration') },
          deletion: { ...count('deletion') },
          reconciliation: { ...count('reconciliation') },
          listing: { ...count('listing') },
        },
        waiting: [...waiting]
          .filter(([, until]) => until > now)
          .map(([callClass, until]) => ({ callClass, until })),
        problem,
      };
    },
  };
}

function toNumber(text: string | undefined): number | undefined {
  const value = text === undefined || text === '' ? NaN : Number(text);
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}
