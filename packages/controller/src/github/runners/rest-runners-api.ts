/**
 * Runners over GitHub's REST API, in all three scopes alike.
 *
 * Below `/orgs/{org}`, `/repos/{owner}/{repo}` and `/enterprises/{enterprise}`: `actions/runners` (list, get, delete), its `/{id}/labels`,
 * `/registration-token`, `/generate-jitconfig`, `/downloads`; `actions/runner-groups` of organizations and enterprises. (GitHub's
 * REST description, operations actions/list-self-hosted-runners-for-org and its neighbours.)
 */
import type { Octokit } from '@octokit/rest';
import type { Clock } from '@mig/common/clock';
import type * as z from 'zod';
import { GitHubCallError, scopePath, type GitHubClient, type Scope } from '../client/github-client.js';
import {
  downloadsSchema,
  groupPageSchema,
  jitConfigSchema,
  readAnswer,
  registrationTokenSchema,
  runnerPageSchema,
  type runnerSchema,
} from './answers.js';
import { createEtagPages } from './etag-pages.js';
import { createRunnerGroups } from './runner-groups.js';
import type { GitHubRunner, RunnerDownload, RunnersApi } from './runners-api.js';

const PER_PAGE = 100;
/** 20,000 runners of one scope; GitHub itself allows 10,000 in a group. More fail the call: a part is not the list. */
const MAX_PAGES = 200;

type Request = { readonly signal: AbortSignal };

export function createRestRunnersApi({
  client,
  clock,
}: {
  readonly client: GitHubClient;
  readonly clock: Clock;
}): RunnersApi {
  const pages = createEtagPages();

  /** All entries of a list, over all its pages. */
  async function all<P extends { readonly total_count: number }, T>(
    get: (page: number) => Promise<P>,
    entries: (page: P) => readonly T[],
    what: string,
  ): Promise<T[]> {
    const found: T[] = [];
    for (let page = 1; page <= MAX_PAGES; page += 1) {
      const read = await get(page);
      found.push(...entries(read));
      if (entries(read).length < PER_PAGE || found.length >= read.total_count) return found;
    }
    const message = `${what} has more than ${MAX_PAGES * PER_PAGE} entries: more are not read`;
    throw new GitHubCallError('refused', message, undefined, undefined);
  }

  const groups = createRunnerGroups(
    (scope) =>
      client.call(scope, 'registration', (octokit, request) => {
        const url = `${scopePath(scope)}/actions/runner-groups`;
        return all(
          async (page) => {
            const data = await pages.get(octokit, url, { per_page: PER_PAGE, page }, request);
            return readAnswer(groupPageSchema, data, `GET ${url}`);
          },
          (read) => read.runner_groups,
          url,
        );
      }),
    clock,
  );

  return {
    list: (scope, callClass) =>
      client.call(scope, callClass, async (octokit, request) => {
        const url = `${scopePath(scope)}/actions/runners`;
        const runners = await all(
          async (page) => {
            const data = await pages.get(octokit, url, { per_page: PER_PAGE, page }, request);
            return readAnswer(runnerPageSchema, data, `GET ${url}`);
          },
          (read) => read.runners,
          url,
        );
        // One that moved to the next page meanwhile is there twice.
        return [...new Map(runners.map((runner) => [runner.id, toRunner(runner)])).values()];
      }),

    findByName: (scope, name, callClass) =>
      client.call(scope, callClass, async (octokit, request) => {
        const url = `${scopePath(scope)}/actions/runners`;
        const answer = await octokit.request(`GET ${url}`, { name, per_page: PER_PAGE, request });
        const { runners } = readAnswer(runnerPageSchema, answer.data, `GET ${url}`);
        const found = runners.find((runner) => runner.name === name);
        return found === undefined ? undefined : toRunner(found);
      }),

    remove: (scope, runnerId, callClass) =>
      client.call(scope, callClass, async (octokit, request) => {
        const url = `${scopePath(scope)}/actions/runners/${runnerId}`;
        try {
          await octokit.request(`DELETE ${url}`, { request });
          return 'gone';
        } catch (error) {
          if (statusOf(error) === 422) return 'refused';
          if (statusOf(error) !== 404) throw error;
          // GitHub answers so, too, when the right is missing, and the runner is still there (I5): then it refuses the list as well.
          await octokit.request(`GET ${scopePath(scope)}/actions/runners`, { per_page: 1, request });
          return 'gone';
        }
      }),

    setLabels: (scope, runnerId, labels) =>
      client.call(scope, 'deletion', async (octokit, request) => {
        const url = `${scopePath(scope)}/actions/runners/${runnerId}/labels`;
        try {
          await octokit.request(`PUT ${url}`, { labels: [...labels], request });
          return 'set';
        } catch (error) {
          if (statusOf(error) === 404) return 'gone';
          throw error;
        }
      }),

    registrationToken: (scope) =>
      client.call(scope, 'registration', async (octokit, request) => {
        const data = await post(octokit, scope, 'registration-token', {}, request);
        const { token, expires_at } = readAnswer(registrationTokenSchema, data, 'registration-token');
        return { token, expiresAt: Date.parse(expires_at) };
      }),

    jitConfig: (scope, { name, runnerGroupId, labels, workFolder }) =>
      client.call(scope, 'registration', async (octokit, request) => {
        const body = {
          name,
          runner_group_id: runnerGroupId,
          labels: [...labels],
          work_folder: workFolder,
        };
        try {
          const data = await post(octokit, scope, 'generate-jitconfig', body, request);
          const { runner, encoded_jit_config } = readAnswer(jitConfigSchema, data, 'generate-jitconfig');
          return { runner: toRunner(runner), encodedJitConfig: encoded_jit_config };
        } catch (error) {
          if (statusOf(error) === 409) return 'nameTaken';
          // The group may have been deleted, and made anew under another id.
          if (statusOf(error) === 404 || statusOf(error) === 422) groups.forget(scope);
          throw error;
        }
      }),

    runnerGroupId: (scope, name) => groups.find(scope, name),

    downloads: (scope) =>
      client.call(scope, 'registration', async (octokit, request) => {
        const url = `${scopePath(scope)}/actions/runners/downloads`;
        const data = await pages.get(octokit, url, {}, request);
        return readAnswer(downloadsSchema, data, `GET ${url}`).map(toDownload);
      }),
  };
}

async function post(
  octokit: Octokit,
  scope: Scope,
  what: string,
  body: Readonly<Record<string, unknown>>,
  request: Request,
): Promise<unknown> {
  return (await octokit.request(`POST ${scopePath(scope)}/actions/runners/${what}`, { ...body, request }))
    .data as unknown;
}

const toRunner = ({ id, name, status, busy, labels }: z.infer<typeof runnerSchema>): GitHubRunner => ({
  id,
  name,
  online: status === 'online',
  busy,
  labels: labels.map((label) => ({ name: label.name, fixed: label.type === 'read-only' })),
});

/** The version is part of the file's name alone: `actions-runner-linux-x64-2.336.0.tar.gz`. */
const toDownload = (offer: z.infer<typeof downloadsSchema>[number]): RunnerDownload => ({
  os: offer.os,
  architecture: offer.architecture,
  version: /-(\d+\.\d+\.\d+)\.[a-z]/.exec(offer.filename)?.[1] ?? '',
  url: offer.download_url,
  sha256: offer.sha256_checksum ?? '',
});

function statusOf(error: unknown): number | undefined {
  const { status, response } = error as { status?: unknown; response?: unknown };
  return response !== undefined && typeof status === 'number' ? status : undefined;
}
