/** A client of the stand-in GitHub for tests: signs in as its App by the clock of the test, and keeps to no budget. */
import { Octokit } from '@octokit/rest';
import type { Clock } from '@mig/common/clock';
import { signAppJwt } from '@mig/testkit/github/app/app-key';
import { GitHubCallError, type CallClass, type GitHubClient } from '../client/github-client.js';

export interface TestGitHubClient extends GitHubClient {
  /** The class of each call that was made, in order. */
  readonly calls: CallClass[];
  /** Every call fails with it, until it is undefined. */
  failure: GitHubCallError | undefined;
}

export interface TestGitHubClientOptions {
  readonly apiUrl: string;
  readonly appId: number;
  readonly privateKey: string;
  readonly clock: Clock;
}

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export function createTestGitHubClient(options: TestGitHubClientOptions): TestGitHubClient {
  const { apiUrl, appId, privateKey, clock } = options;
  const as = (auth: string): Octokit => new Octokit({ auth, baseUrl: apiUrl, log: quiet });

  function app(): Octokit {
    const now = Math.floor(clock.now() / 1000);
    return as(signAppJwt(privateKey, { iss: String(appId), iat: now, exp: now + 300 }));
  }

  async function run<T>(callClass: CallClass, task: () => Promise<T>): Promise<T> {
    client.calls.push(callClass);
    if (client.failure !== undefined) throw client.failure;
    try {
      return await task();
    } catch (error) {
      const status = (error as { status?: number }).status;
      const failure = status === undefined || status >= 500 ? 'unreachable' : 'refused';
      throw new GitHubCallError(failure, `GitHub answered ${status ?? 'nothing'}`, status, undefined);
    }
  }

  const client: TestGitHubClient = {
    calls: [],
    failure: undefined,
    call: (_, callClass, task) =>
      run(callClass, async () => {
        const { data: installations } = await app().rest.apps.listInstallations();
        const installation_id = installations[0]?.id ?? 0;
        const { data } = await app().rest.apps.createInstallationAccessToken({ installation_id });
        return task(as(data.token), { signal: AbortSignal.timeout(5_000) });
      }),
    callAsApp: (callClass, task) => run(callClass, () => task(app(), { signal: AbortSignal.timeout(5_000) })),
    status: () => ({ auth: 'app', apiUrl, installations: [] }),
  };
  return client;
}
