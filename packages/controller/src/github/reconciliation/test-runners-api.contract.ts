/** GitHub's runners for tests of reconciliation: over HTTP from the stand-in, with nothing between that retries or waits. */
import type { StandInGitHub } from '@mig/testkit/github/stand-in-github';
import { GitHubCallError, scopePath, type Scope } from '../client/github-client.js';
import type { GitHubRunner, RunnersApi } from '../runners/runners-api.js';

export const TEST_TOKEN = 'secret';

interface Listed {
  readonly runners: readonly (Omit<GitHubRunner, 'online' | 'labels'> & {
    readonly status: string;
    readonly labels: readonly { readonly name: string; readonly type: string }[];
  })[];
}

export type TestRunnersApi = Pick<RunnersApi, 'list' | 'findByName' | 'remove'> & {
  /** @returns the configuration of a runner that has not connected yet */
  mint(scope: Scope, name: string): Promise<{ readonly id: number; readonly encodedJitConfig: string }>;
};

export function createTestRunnersApi(github: () => StandInGitHub): TestRunnersApi {
  async function call(
    method: string,
    path: string,
    body?: object,
  ): Promise<{ status: number; json: unknown }> {
    let response: Response;
    try {
      response = await fetch(`${github().apiUrl}${path}`, {
        method,
        headers: { authorization: `Bearer ${TEST_TOKEN}`, accept: 'application/vnd.github+json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      throw new GitHubCallError('unreachable', 'GitHub was not reached', undefined, undefined, {
        cause: error,
      });
    }
    const { status } = response;
    if (status >= 500)
      throw new GitHubCallError('unreachable', `GitHub answered ${status}`, status, undefined);
    const text = await response.text();
    return { status, json: text === '' ? undefined : JSON.parse(text) };
  }

  async function list(scope: Scope, query: string): Promise<GitHubRunner[]> {
    const path = `${scopePath(scope)}/actions/runners?per_page=100${query}`;
    const { status, json } = await call('GET', path);
    if (status !== 200) throw new GitHubCallError('refused', `GitHub answered ${status}`, status, undefined);
    return (json as Listed).runners.map(({ id, name, status: state, busy, labels }) => ({
      id,
      name,
      online: state === 'online',
      busy,
      labels: labels.map((label) => ({ name: label.name, fixed: label.type === 'read-only' })),
    }));
  }

  return {
    list: (scope) => list(scope, ''),
    async findByName(scope, name) {
      return (await list(scope, `&name=${name}`)).find((runner) => runner.name === name);
    },
    async remove(scope, runnerId) {
      const { status } = await call('DELETE', `${scopePath(scope)}/actions/runners/${runnerId}`);
      if (status === 422) return 'refused';
      if (status === 204 || status === 404) return 'gone';
      throw new GitHubCallError('refused', `GitHub answered ${status}`, status, undefined);
    },
    async mint(scope, name) {
      const body = { name, runner_group_id: 1, labels: ['self-hosted'] };
      const { status, json } = await call(
        'POST',
        `${scopePath(scope)}/actions/runners/generate-jitconfig`,
        body,
      );
      if (status !== 201) throw new Error(`no configuration: ${status}`);
      const { runner, encoded_jit_config } = json as { runner: { id: number }; encoded_jit_config: string };
      return { id: runner.id, encodedJitConfig: encoded_jit_config };
    },
  };
}
