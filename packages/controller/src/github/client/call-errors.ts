/** What went wrong with a request, in the words of GitHubCallError. Nothing of the request itself is kept: it is signed (I8). */
import { errorMessage, printable } from '@mig/common/errors';
import { GitHubCallError } from './github-client.js';
import type { RateAnswer } from './rate-budget.js';

const MAX_MESSAGE = 300;

export interface CallErrorContext {
  /** Whose credential was refused, and what to do: `the token in /etc/mig/token (github.token_file)`. */
  readonly credential: string;
  /** What would have to be done if GitHub refuses it. */
  readonly remedy: string;
  /** For how long nothing may be asked now, milliseconds; undefined = it may. */
  readonly quietMs: () => number | undefined;
}

export function toCallError(error: unknown, context: CallErrorContext): GitHubCallError {
  if (error instanceof GitHubCallError) return error;
  const answer = answerOf(error);
  if (answer === undefined)
    return new GitHubCallError(
      'unreachable',
      `GitHub was not reached (${notReached(error)})`,
      undefined,
      undefined,
    );
  const { status } = answer;
  const said = `GitHub answered ${status}: ${printable(errorMessage(error), MAX_MESSAGE)}`;
  if (status === 401 || isSuspended(status, error))
    return new GitHubCallError(
      'credentials',
      `${said}: it does not accept ${context.credential}; ${context.remedy}`,
      status,
      undefined,
    );
  if (isLimit(answer))
    return new GitHubCallError('limited', said, status, context.quietMs() ?? retryAfterMs(answer));
  if (status >= 500) return new GitHubCallError('unreachable', said, status, retryAfterMs(answer));
  return new GitHubCallError('refused', `${said}${missingRight(answer)}`, status, undefined);
}

/** GitHub's answer to a request that failed; undefined if there was none. */
function answerOf(error: unknown): RateAnswer | undefined {
  if (typeof error !== 'object' || error === null || !('status' in error)) return undefined;
  const { status, response } = error as {
    status: unknown;
    response?: { headers?: Record<string, string | number | undefined> };
  };
  if (response === undefined || typeof status !== 'number') return undefined;
  const { headers = {} } = response;
  return {
    status,
    header: (name) => (headers[name] === undefined ? undefined : String(headers[name])),
    isSecondaryLimit: saysSecondaryLimit(errorMessage(error)),
  };
}

/** Octokit's plugin for limits goes by the same words. */
export const saysSecondaryLimit = (text: string): boolean => /\bsecondary rate\b/i.test(text);

const isLimit = (answer: RateAnswer): boolean =>
  answer.status === 429 ||
  (answer.status === 403 &&
    (answer.isSecondaryLimit ||
      answer.header('retry-after') !== undefined ||
      answer.header('x-ratelimit-remaining') === '0'));

const isSuspended = (status: number, error: unknown): boolean =>
  status === 403 && /\bsuspended\b/i.test(errorMessage(error));

function retryAfterMs(answer: RateAnswer): number | undefined {
  const seconds = Number(answer.header('retry-after'));
  return seconds > 0 ? seconds * 1_000 : undefined;
}

/** GitHub says which right would have been enough. */
function missingRight(answer: RateAnswer): string {
  const accepted = answer.header('x-accepted-github-permissions');
  if (accepted !== undefined && accepted !== '')
    return `; the App needs the permission ${printable(accepted)}: give it to the App, and accept it for the installation`;
  const scopes = answer.header('x-accepted-oauth-scopes');
  if (answer.status === 403 && scopes !== undefined && scopes !== '')
    return `; the token needs one of the scopes ${printable(scopes)}`;
  return '';
}

/** fetch hides what happened behind `fetch failed`. */
function notReached(error: unknown): string {
  const causes: string[] = [];
  for (let at = error; at !== undefined && at !== null && causes.length < 4;) {
    causes.push(errorMessage(at));
    at = at instanceof Error ? at.cause : undefined;
  }
  return printable([...new Set(causes)].join(': '), MAX_MESSAGE);
}
