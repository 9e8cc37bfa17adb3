/** Everything of the controller that speaks with GitHub, composed as the configuration asks. */
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import type { VmRecord } from '@mig/common/domain/vm';
import type { RunnerRegistrar } from '../commands/registrar.js';
import type { ControllerConfig } from '../config.js';
import type { Fleet } from '../fleet/fleet.js';
import type { Fetch } from './client/fetch.js';
import type { GitHubClient, Scope } from './client/github-client.js';
import { noClient } from './client/no-client.js';
import { createRestClient } from './client/rest-client.js';
import { noRegistrar } from './no-registrar.js';
import { createGivenNames } from './runners/given-names.js';
import { createJitRegistration } from './runners/jit-registration.js';
import { createOwnership, type Ownership } from './runners/ownership.js';
import { createPlaces } from './runners/places.js';
import { createRegistrar } from './runners/registrar.js';
import { createRunnerDownloads, type RunnerDownloads } from './runners/runner-downloads.js';
import { createRestRunnersApi } from './runners/rest-runners-api.js';
import type { RunnersApi } from './runners/runners-api.js';
import { createTokenRegistration } from './runners/token-registration.js';

export interface GitHub {
  /** Registers, fences and deletes the runners of VMs. */
  readonly registrar: RunnerRegistrar;
  /** With `github.auth: none` every call fails with GitHubCallError `credentials`, which says that there is no GitHub. */
  readonly client: GitHubClient;
  /** The same holds of it. */
  readonly runners: RunnersApi;
  /** Which runner is ours, and of which VM; there also without a GitHub. */
  readonly ownership: Ownership;
  /** Is it a name that was given to the VM, by the rule of ownership or by an operator? */
  isRunnerOf(vm: Pick<VmRecord, 'vmId'>, runnerName: string): boolean;
  /** Where the VM's runners are registered; undefined if neither its pool, nor the VM, nor github.org names a place. */
  scopeOf(vm: Pick<VmRecord, 'poolId' | 'orgId'>): Scope | undefined;
  /** Every place that the configuration or a known VM names, each once: there, and nowhere else, may be runners of ours. */
  scopes(): readonly Scope[];
  /** What GitHub offers to install. @throws GitHubCallError */
  readonly runnerDownloads: RunnerDownloads;
  /** Breaks off the requests that are under way. */
  stop(): void;
}

export interface GitHubDeps {
  readonly fleet: Pick<Fleet, 'views' | 'get' | 'decide'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: the global one, which knows no proxy. */
  readonly fetch?: Fetch | undefined;
  /** The first pause before a retry; the second is four times as long. Default 500 ms. */
  readonly retryPauseMs?: number;
}

/** @param controllerId 4 to 8 of a-z 0-9, the same after every start */
export function createGitHub(config: ControllerConfig, controllerId: string, deps: GitHubDeps): GitHub {
  const { github } = config;
  const ownership = createOwnership(github.runner_prefix, controllerId);
  const places = createPlaces(deps.fleet, {
    webUrl: github.web_url || webUrlOf(github.api_url),
    defaultOrg: github.org,
    poolOf: (poolId) => config.pools[poolId],
    pools: Object.values(config.pools),
  });
  const client = createClient(config, deps);
  const runners = createRestRunnersApi({ client, clock: deps.clock });
  const given = createGivenNames({ fleet: deps.fleet, ownership });
  const shared = { ownership, isRunnerOf: given.isOf, scopeOf: places.scopeOf, scopes: places.scopes };
  const runnerDownloads = createRunnerDownloads({ runners, scopes: places.scopes, clock: deps.clock });
  const made = { ...shared, client, runners, runnerDownloads, stop: () => client.stop() };
  if (github.auth === 'none') return { ...made, registrar: noRegistrar };
  const { logger, clock } = deps;
  const jit = createJitRegistration({ runners, ownership, given, logger });
  const token = createTokenRegistration({ runners, clock });
  const registrar = createRegistrar(
    { runners, ownership, given, places, jit, token, logger },
    github.registration,
  );
  return { ...made, registrar };
}

function createClient(config: ControllerConfig, deps: GitHubDeps): GitHubClient & { stop(): void } {
  const { github } = config;
  if (github.auth === 'none') return { ...noClient(github.api_url), stop: () => undefined };
  return createRestClient(deps, {
    apiUrl: github.api_url,
    requestTimeoutMs: github.request_timeout,
    writesPerSecond: github.writes_per_second,
    reserve: github.rate_reserve,
    retryPauseMs: deps.retryPauseMs,
    fetch: deps.fetch,
    signIn:
      github.auth === 'token'
        ? { auth: 'token', tokenFile: github.token_file }
        : {
            auth: 'app',
            appId: github.app_id,
            privateKeyFile: github.private_key_file,
            installationId: github.installation_id,
          },
  });
}

/** GitHub's web address for an API address: api.github.com -> github.com, HOST/api/v3 -> HOST. */
const webUrlOf = (apiUrl: string): string =>
  apiUrl.replace(/\/+$/, '') === 'https://api.github.com'
    ? 'https://github.com'
    : apiUrl.replace(/\/api\/v3\/?$/, '').replace(/\/+$/, '');
