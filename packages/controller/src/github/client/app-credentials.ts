/**
 * Signing in as a GitHub App: for each organization or repository its installation, for each installation a token.
 *
 * The private key is read when a token is made, so that it can be replaced at any time. What GitHub does not know any more (an
 * installation that was removed, a token that was revoked) is forgotten and asked for anew, once within a call.
 */
import type { Octokit } from '@octokit/rest';
import type { Clock } from '@mig/common/clock';
import { createAppTokens, type AppTokens } from './app-tokens.js';
import type { Credentials, Holder, Identity } from './credentials.js';
import { GitHubCallError, scopePath, type CallClass, type Scope } from './github-client.js';
import type { RateBudget } from './rate-budget.js';
import { unusable } from './secret-file.js';
import type { SignedOctokit } from './signed-octokit.js';

export interface AppCredentialsOptions {
  readonly appId: string;
  readonly privateKeyFile: string;
  /** 0 = looked up. */
  readonly installationId: number;
}

/** Places and installations that are remembered; beyond, the oldest are looked up again (I12). */
const MAX_REMEMBERED = 1_000;

export function createAppCredentials(
  deps: {
    readonly signedOctokit: SignedOctokit;
    readonly createBudget: (name: string) => RateBudget;
    readonly clock: Clock;
  },
  options: AppCredentialsOptions,
): Credentials {
  const appBudget = deps.createBudget('app');
  const budgets = new Map<number, RateBudget>();
  const installations = new Map<string, Promise<number>>();
  const octokit = deps.signedOctokit({ token: '', budget: appBudget }, 'registration');
  const tokens: AppTokens = createAppTokens({ octokit, clock: deps.clock }, options);
  const app = `the App ${options.appId}`;
  const holder: Holder = {
    budget: appBudget,
    credential: `${app} with the key in ${options.privateKeyFile} (github.private_key_file)`,
    remedy:
      'check github.app_id, that the key is one of that App (it is read when used), and that the installation is not suspended',
  };

  /** With a second try if GitHub's clock and ours differ. */
  async function asApp<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      if (!tokens.learnSkew(error)) throw error;
      return task();
    }
  }

  async function installationAt(scope: Scope, callClass: CallClass): Promise<number> {
    if (scope.kind === 'enterprise') {
      throw unusable(
        `an App cannot manage the runners of an enterprise (${scope.slug}): set github.auth to token, with manage_runners:enterprise`,
      );
    }
    if (options.installationId !== 0) return options.installationId;
    const place = scopePath(scope).toLowerCase();
    const known = installations.get(place);
    if (known !== undefined) return known;
    const found = asApp(() => lookUp(scope, callClass));
    remember(installations, place, found);
    found.catch(() => {
      if (installations.get(place) === found) installations.delete(place);
    });
    return found;
  }

  async function lookUp(scope: Scope, callClass: CallClass): Promise<number> {
    const token = await tokens.appToken();
    try {
      return await findInstallation(deps.signedOctokit({ token, budget: appBudget }, callClass), scope);
    } catch (error) {
      throw (error as { status?: number }).status === 404 ? notInstalled(scope) : error;
    }
  }

  const notInstalled = (scope: Scope): GitHubCallError =>
    new GitHubCallError(
      'credentials',
      `${app} is not installed at ${scopePath(scope).slice(1)}, or github.app_id is not its id: install it there, or correct the name`,
      404,
      undefined,
    );

  function budgetOf(installationId: number, scope: Scope): RateBudget {
    const owner = scope.kind === 'org' ? scope.org : scope.kind === 'repo' ? scope.owner : scope.slug;
    const budget =
      budgets.get(installationId) ?? deps.createBudget(`installation ${installationId} (${owner})`);
    remember(budgets, installationId, budget);
    return budget;
  }

  function forget(scope: Scope, installationId: number): void {
    tokens.forget(installationId);
    installations.delete(scopePath(scope).toLowerCase());
  }

  async function tokenAt(scope: Scope, callClass: CallClass, isAgain: boolean): Promise<Identity> {
    const id = await installationAt(scope, callClass);
    try {
      const { token, wasKept } = await asApp(() => tokens.get(id));
      return {
        ...holder,
        token,
        budget: budgetOf(id, scope),
        refused() {
          forget(scope, id);
          return wasKept;
        },
      };
    } catch (error) {
      if ((error as { status?: number }).status !== 404 || error instanceof GitHubCallError) throw error;
      // The installation was removed; there may be another by now.
      forget(scope, id);
      if (isAgain || options.installationId !== 0) throw notInstalled(scope);
      return tokenAt(scope, callClass, true);
    }
  }

  return {
    auth: 'app',
    holder,
    signIn: (scope, callClass) => tokenAt(scope, callClass, false),
    async signInAsApp() {
      const token = await tokens.appToken();
      return { ...holder, token, refused: (error) => tokens.learnSkew(error) };
    },
    status: () => [appBudget, ...budgets.values()].map((budget) => budget.status()),
  };
}

async function findInstallation(octokit: Octokit, scope: Scope): Promise<number> {
  if (scope.kind === 'repo') {
    const { owner, repo } = scope;
    return (await octokit.rest.apps.getRepoInstallation({ owner, repo })).data.id;
  }
  const org = scope.kind === 'org' ? scope.org : scope.slug;
  return (await octokit.rest.apps.getOrgInstallation({ org })).data.id;
}

/** The newest last; the oldest beyond the bound is given up. */
function remember<K, V>(map: Map<K, V>, name: K, value: V): void {
  map.set(name, value);
  for (const oldest of map.keys()) {
    if (map.size <= MAX_REMEMBERED) break;
    map.delete(oldest);
  }
}
