import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import type { RunnerRegistrar } from '../commands/registrar.js';
import type { ControllerConfig } from '../config.js';
import { createGitHubRegistrar } from './github-registrar.js';
import { noRegistrar } from './no-registrar.js';

/** The registrar that the configuration asks for. */
export function createRegistrar(
  config: ControllerConfig,
  deps: { readonly clock: Clock; readonly logger: Logger },
): RunnerRegistrar {
  if (config.github.auth === 'none') return noRegistrar;
  return createGitHubRegistrar(deps, {
    apiUrl: config.github.api_url,
    webUrl: config.github.web_url || webUrlOf(config.github.api_url),
    tokenFile: config.github.token_file,
    defaultOrg: config.github.org,
    poolOf: (poolId) => {
      const pool = config.pools[poolId];
      return { labels: pool?.labels ?? [], runnerGroup: pool?.runner_group ?? '' };
    },
  });
}

/** GitHub's web address for an API address: api.github.com -> github.com, HOST/api/v3 -> HOST. */
const webUrlOf = (apiUrl: string): string =>
  apiUrl === 'https://api.github.com' ? 'https://github.com' : apiUrl.replace(/\/api\/v3\/?$/, '');
