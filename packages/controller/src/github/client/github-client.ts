/**
 * Calls to GitHub's REST API, as whoever may make them: the port that everything in github/ speaks to.
 *
 * One client for all of the controller: it signs in, keeps to the rate limits and the budget of each class of calls, and turns
 * what GitHub says into one kind of error.
 */
import type { Octokit } from '@octokit/rest';
import { MigError } from '@mig/common/errors';

/** From the most to the least important: when little of the hourly limit is left, the later ones wait first. */
export const CALL_CLASSES = ['registration', 'deletion', 'reconciliation', 'listing'] as const;
export type CallClass = (typeof CALL_CLASSES)[number];

/** Where runners are registered, and whose installation or token speaks for it. */
export type Scope =
  | { readonly kind: 'org'; readonly org: string }
  | { readonly kind: 'repo'; readonly owner: string; readonly repo: string }
  | { readonly kind: 'enterprise'; readonly slug: string };

/** The path of a scope in the REST API: `/orgs/ORG`, `/repos/OWNER/REPO`, `/enterprises/SLUG`. Also its key in maps. */
export function scopePath(scope: Scope): string {
  switch (scope.kind) {
    case 'org':
      return `/orgs/${scope.org}`;
    case 'repo':
      return `/repos/${scope.owner}/${scope.repo}`;
    case 'enterprise':
      return `/enterprises/${scope.slug}`;
  }
}

/**
 * - `budget`: not asked, the rest of the limit is kept for what matters more; `retryAfterMs` says until when.
 * - `limited`: GitHub asks to be left alone (403 or 429 with Retry-After, or no request is left); so does every call till then.
 * - `refused`: GitHub answered with `status`.
 * - `unreachable`: no answer, or 5xx after the retries.
 * - `credentials`: the key or token cannot be read, or GitHub does not take it; the App is not installed there.
 */
export type CallFailure = 'budget' | 'limited' | 'refused' | 'unreachable' | 'credentials';

export class GitHubCallError extends MigError {
  constructor(
    readonly failure: CallFailure,
    message: string,
    /** Of GitHub's answer, if there was one. */
    readonly status: number | undefined,
    readonly retryAfterMs: number | undefined,
    options?: ErrorOptions,
  ) {
    super(`github-${failure}`, message, options);
  }
}

/** What a call is given: an Octokit that is signed in, and what each of its requests is to carry (its time limit). */
export type GitHubCall<T> = (octokit: Octokit, request: { readonly signal: AbortSignal }) => Promise<T>;

export interface GitHubClient {
  /** Makes the call as the installation at the scope, or with the token. @throws GitHubCallError, and nothing else */
  call<T>(scope: Scope, callClass: CallClass, task: GitHubCall<T>): Promise<T>;
  /** Makes the call as the App itself (its deliveries). @throws GitHubCallError; `credentials` if there is no App */
  callAsApp<T>(callClass: CallClass, task: GitHubCall<T>): Promise<T>;
  /** As of now, for people and programs; no secret in it. */
  status(): GitHubClientStatus;
}

export interface GitHubClientStatus {
  readonly auth: 'none' | 'token' | 'app';
  readonly apiUrl: string;
  readonly installations: readonly InstallationStatus[];
}

/** One bucket of GitHub's rate limit: an installation, the App itself, or the token. */
export interface InstallationStatus {
  /** `installation 42 (acme)`, `app`, `token`. */
  readonly name: string;
  /** Requests in the hour; undefined before GitHub has said it. */
  readonly limit: number | undefined;
  readonly remaining: number | undefined;
  /** Milliseconds since 1970. */
  readonly resetAt: number | undefined;
  /** GitHub asked to be left alone until then. */
  readonly quietUntil: number | undefined;
  /** Requests that were made and put off, since the start, by class. */
  readonly calls: Readonly<Record<CallClass, { readonly made: number; readonly putOff: number }>>;
  /** Classes that wait now, with the time until which they do. */
  readonly waiting: readonly { readonly callClass: CallClass; readonly until: number }[];
  /** The last failure, for a person; undefined after a success. */
  readonly problem: string | undefined;
}
