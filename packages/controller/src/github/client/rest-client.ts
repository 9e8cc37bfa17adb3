/** The client of GitHub's REST API: signs in, makes the call, and says what became of it in one kind of error. */
import { setMaxListeners } from 'node:events';
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import { createAppCredentials, type AppCredentialsOptions } from './app-credentials.js';
import { toCallError } from './call-errors.js';
import type { Credentials, Holder, Identity } from './credentials.js';
import { GitHubCallError, type CallClass, type GitHubCall, type GitHubClient } from './github-client.js';
import { createRateBudget, type RateBudget, type RateReserve } from './rate-budget.js';
import { createOctokits, type OctokitOptions } from './signed-octokit.js';
import { createTokenCredentials } from './token-credentials.js';

export interface RestClientOptions extends OctokitOptions {
  readonly reserve: RateReserve;
  readonly signIn:
    | { readonly auth: 'token'; readonly tokenFile: string }
    | ({ readonly auth: 'app' } & AppCredentialsOptions);
}

export interface RestClient extends GitHubClient {
  /** Breaks off the requests that are under way; every later one fails. */
  stop(): void;
}

const STOPPED = new GitHubCallError('unreachable', 'the controller stops', undefined, undefined);

export function createRestClient(
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  options: RestClientOptions,
): RestClient {
  const underWay = new Set<AbortController>();
  let stopped = false;
  const octokits = createOctokits({ clock }, options);
  const createBudget = (name: string): RateBudget =>
    createRateBudget({ clock, logger }, { name, reserve: options.reserve });
  const credentials: Credentials =
    options.signIn.auth === 'token'
      ? createTokenCredentials({ createBudget }, options.signIn)
      : createAppCredentials({ signedOctokit: octokits.signed, createBudget, clock }, options.signIn);

  async function run<T>(
    signIn: () => Promise<Identity>,
    callClass: CallClass,
    task: GitHubCall<T>,
  ): Promise<T> {
    let identity: Identity | undefined;
    const abort = new AbortController();
    setMaxListeners(0, abort.signal); // each request of the call listens
    const attempt = async (): Promise<T> => {
      if (stopped) throw STOPPED;
      identity = await signIn();
      return task(octokits.signed(identity, callClass), { signal: abort.signal });
    };
    underWay.add(abort);
    try {
      const result = await attempt().catch((error: unknown) => {
        const isRefused = (error as { status?: unknown }).status === 401;
        if (isRefused && identity?.refused(error) === true) return attempt();
        throw error;
      });
      identity?.budget.note(undefined);
      return result;
    } catch (error) {
      throw toFailure(error, identity ?? credentials.holder);
    } finally {
      underWay.delete(abort);
    }
  }

  function toFailure(error: unknown, { budget, credential, remedy }: Holder): GitHubCallError {
    const quietMs = (): number | undefined => {
      const until = budget.status().quietUntil;
      return until === undefined ? undefined : Math.max(0, until - clock.now());
    };
    const failure = toCallError(error, { credential, remedy, quietMs });
    if (failure.failure !== 'refused') budget.note(failure.message);
    return failure;
  }

  return {
    call: (scope, callClass, task) => run(() => credentials.signIn(scope, callClass), callClass, task),
    callAsApp: (callClass, task) => run(() => credentials.signInAsApp(), callClass, task),
    status: () => ({
      auth: credentials.auth,
      apiUrl: options.apiUrl,
      installations: credentials.status(),
    }),
    stop() {
      if (stopped) return;
      stopped = true;
      octokits.stop();
      for (const abort of underWay) abort.abort(STOPPED);
    },
  };
}
