/**
 * Registration and deregistration of runners through GitHub's REST API, with a token from a file.
 *
 * Calls: `POST /orgs/{org}/actions/runners/registration-token` (201, valid for 1 h, usable for many runners),
 * `GET /orgs/{org}/actions/runners?name=`, `DELETE /orgs/{org}/actions/runners/{id}` (204; 422 while a job runs on it),
 * `PUT /orgs/{org}/actions/runners/{id}/labels`. (GitHub's REST description, operations
 * actions/create-registration-token-for-org, list-self-hosted-runners-for-org, delete-self-hosted-runner-from-org,
 * set-custom-labels-for-self-hosted-runner-for-org.)
 */
import { readFile } from 'node:fs/promises';
import { Octokit, type RestEndpointMethodTypes } from '@octokit/rest';
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { fatal, ok, retryable, type Outcome } from '@mig/common/outcome';
import type { Parameters } from '@mig/common/domain/command';
import type { VmRecord } from '@mig/common/domain/vm';
import type { RunnerRegistrar } from '../commands/registrar.js';
import { runnerName } from '../commands/runner-name.js';

export interface PoolRegistration {
  readonly labels: readonly string[];
  /** Empty = GitHub's default group. */
  readonly runnerGroup: string;
}

export interface GitHubRegistrarOptions {
  /** `https://api.github.com`, or `https://HOST/api/v3` of an Enterprise Server. */
  readonly apiUrl: string;
  /** Where runners connect to; the organization is appended. */
  readonly webUrl: string;
  /** A file that holds a token with `admin:org`; read at every call that needs it, so that it can be rotated. */
  readonly tokenFile: string;
  /** The organization of VMs that name none. */
  readonly defaultOrg: string;
  readonly poolOf: (poolId: string) => PoolRegistration;
}

/** A token is not handed out any more when it ends within this time. */
const TOKEN_MARGIN_MS = 10 * 60_000;
/** GitHub is given up on after this, and asked again later. */
const REQUEST_TIMEOUT_MS = 10_000;

/** What a runner is labelled with in place of its own labels: no job asks for it. */
const DRAINING_LABEL = 'mig-draining';
const CORDONED_LABEL = 'mig-cordoned';

type GitHubRunner =
  RestEndpointMethodTypes['actions']['listSelfHostedRunnersForOrg']['response']['data']['runners'][number];

interface RegistrationToken {
  readonly token: string;
  readonly expiresAt: string;
}

export function createGitHubRegistrar(
  deps: { readonly clock: Clock; readonly logger: Logger },
  options: GitHubRegistrarOptions,
): RunnerRegistrar {
  /** One token per organization, asked for once however many VMs wait for it. */
  const tokens = new Map<string, Promise<RegistrationToken>>();

  async function client(): Promise<Octokit> {
    const auth = (await readFile(options.tokenFile, 'utf8')).trim();
    const log = { debug: noop, info: noop, warn: noop, error: noop };
    return new Octokit({ auth, baseUrl: options.apiUrl, log, userAgent: 'mig-controller' });
  }

  const request = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });

  async function fetchToken(org: string): Promise<RegistrationToken> {
    const octokit = await client();
    const { data } = await octokit.rest.actions.createRegistrationTokenForOrg({ org, request: request() });
    return { token: data.token, expiresAt: data.expires_at };
  }

  async function registrationToken(org: string): Promise<RegistrationToken> {
    const known = tokens.get(org);
    if (known !== undefined) {
      const token = await known;
      if (Date.parse(token.expiresAt) - deps.clock.now() > TOKEN_MARGIN_MS) return token;
      if (tokens.get(org) === known) tokens.delete(org);
    }
    const fresh = tokens.get(org) ?? fetchToken(org);
    tokens.set(org, fresh);
    fresh.catch(() => tokens.delete(org));
    return fresh;
  }

  /** `refused`: a job runs on it, by the arbiter's word (I5). */
  async function deleteRunner(octokit: Octokit, org: string, runnerId: number): Promise<'gone' | 'refused'> {
    try {
      await octokit.rest.actions.deleteSelfHostedRunnerFromOrg({
        org,
        runner_id: runnerId,
        request: request(),
      });
      return 'gone';
    } catch (error) {
      if (statusOf(error) === 404) return 'gone';
      if (statusOf(error) === 422) return 'refused';
      throw error;
    }
  }

  async function findRunner(octokit: Octokit, org: string, name: string): Promise<GitHubRunner | undefined> {
    const found = await octokit.rest.actions.listSelfHostedRunnersForOrg({ org, name, request: request() });
    return found.data.runners.find((candidate) => candidate.name === name);
  }

  async function setLabels(
    octokit: Octokit,
    org: string,
    runnerId: number,
    labels: string[],
  ): Promise<'gone' | 'set'> {
    try {
      await octokit.rest.actions.setCustomLabelsForSelfHostedRunnerForOrg({
        org,
        runner_id: runnerId,
        labels,
        request: request(),
      });
      return 'set';
    } catch (error) {
      if (statusOf(error) === 404) return 'gone';
      throw error;
    }
  }

  /** Those that the runner was registered with: by its own word, or else by the configuration. */
  function labelsOf(vm: VmRecord, name: string): readonly string[] {
    const reported = vm.runner?.name === name ? vm.runner.labels : [];
    return reported.length > 0 ? reported : [...options.poolOf(vm.poolId).labels, ...vm.labels];
  }

  const orgOf = (vm: VmRecord): string => (vm.orgId === '' ? options.defaultOrg : vm.orgId);

  return {
    async mint(vm, wanted): Promise<Outcome<Parameters>> {
      const org = orgOf(vm);
      if (org === '') {
        return fatal(
          `VM ${vm.vmId} names no organization: set org_id in its configuration, or github.org in the controller's`,
        );
      }
      try {
        const { token, expiresAt } = await registrationToken(org);
        const pool = options.poolOf(vm.poolId);
        const labels = wanted['labels'] ?? [...pool.labels, ...vm.labels];
        return ok({
          runner_url: `${options.webUrl}/${org}`,
          runner_name: runnerName(vm),
          ...(pool.runnerGroup === '' ? {} : { runner_group: pool.runnerGroup }),
          ...wanted,
          labels,
          registration_token: token,
          expires_at: expiresAt,
        });
      } catch (error) {
        return retryable(describe(error));
      }
    },

    async setEligible(vm, name, eligible) {
      const org = orgOf(vm);
      if (org === '') return fatal(`VM ${vm.vmId} names no organization`);
      try {
        const octokit = await client();
        const runner = await findRunner(octokit, org, name);
        if (runner === undefined) return ok('noRunner');
        const fixed = runner.labels.filter(({ type }) => type === 'read-only').map((label) => label.name);
        const now = without(
          runner.labels.map((label) => label.name),
          fixed,
        );
        if (!eligible && fixed.length > 0) {
          deps.logger.warn(
            { vmId: vm.vmId, runner: name, labels: fixed },
            'a runner has labels that cannot be taken from it: jobs that ask for no others may still come to it',
          );
        }
        const wanted = eligible ? without(labelsOf(vm, name), fixed) : [CORDONED_LABEL];
        if (wanted.length + fixed.length === 0)
          return fatal(`the labels of runner ${name} are not known: it has to be registered again`);
        const isSo = isSame(now, wanted) || (!eligible && isSame(now, [DRAINING_LABEL]));
        if (isSo || (await setLabels(octokit, org, runner.id, wanted)) === 'set') return ok('set');
        return ok('noRunner');
      } catch (error) {
        return retryable(describe(error), retryAfterMs(error));
      }
    },

    async remove(vm, name, beforeFence) {
      const org = orgOf(vm);
      if (name === '' || org === '') return { outcome: 'deleted', message: 'there is no runner to delete' };
      try {
        const octokit = await client();
        const runner = await findRunner(octokit, org, name);
        if (runner === undefined) return { outcome: 'deleted', message: `GitHub has no runner ${name}` };
        const deleted = { outcome: 'deleted', message: `runner ${name} is deleted` } as const;
        if ((await deleteRunner(octokit, org, runner.id)) === 'gone') return deleted;
        // One that is not ephemeral would be given the next matching job when this one ends, and the next, and never be free
        // to be deleted.
        await beforeFence();
        if ((await setLabels(octokit, org, runner.id, [DRAINING_LABEL])) === 'gone') return deleted;
        return { outcome: 'busy', message: `GitHub refused to delete runner ${name}: a job runs on it` };
      } catch (error) {
        // Also a 404 of the list: GitHub answers so when the token lacks the right, and the runner is still there (I5).
        deps.logger.warn(
          { vmId: vm.vmId, runner: name, reason: describe(error) },
          'a runner could not be deleted',
        );
        return { outcome: 'unavailable', message: describe(error) };
      }
    },
  };
}

/** Labels are the same in any case, and in any order. */
const isSame = (some: readonly string[], others: readonly string[]): boolean =>
  some.length === others.length && without(some, others).length === 0;

function without(labels: readonly string[], others: readonly string[]): string[] {
  const names = others.map((label) => label.toLowerCase());
  return labels.filter((label) => !names.includes(label.toLowerCase()));
}

/** How long GitHub asks to be left alone (docs.github.com, "Rate limits for the REST API"). */
function retryAfterMs(error: unknown): number | undefined {
  const { response } = error as { response?: { headers?: Record<string, unknown> } };
  const seconds = Number(response?.headers?.['retry-after']);
  return seconds > 0 ? seconds * 1_000 : undefined;
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('status' in error)) return undefined;
  const answered = 'response' in error && error.response !== undefined;
  return answered && typeof error.status === 'number' ? error.status : undefined;
}

function describe(error: unknown): string {
  const status = statusOf(error);
  return status === undefined
    ? `GitHub was not reached (${errorMessage(error)})`
    : `GitHub answered ${status}: ${errorMessage(error)}`;
}

function noop(): void {
  // Octokit's own log lines would repeat what is logged here.
}
