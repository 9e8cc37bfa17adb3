/** Where runners are registered: the organization, repository or enterprise of each VM, and the URL that stands for it. */
import type { VmRecord } from '@mig/common/domain/vm';
import type { Fleet } from '../../fleet/fleet.js';
import { scopePath, type Scope } from '../client/github-client.js';

export interface PoolPlace {
  readonly labels: readonly string[];
  /** Empty = GitHub's default group. */
  readonly runner_group: string;
  /** OWNER/REPOSITORY; empty = not there. */
  readonly repository: string;
  /** The slug; empty = not there. */
  readonly enterprise: string;
}

export interface Places {
  /** Undefined if neither its pool, nor the VM, nor github.org names a place. */
  scopeOf(vm: Pick<VmRecord, 'poolId' | 'orgId'>): Scope | undefined;
  /** Every place that the configuration or a known VM names, each once. */
  scopes(): readonly Scope[];
  /** What a runner of the scope is configured with. */
  urlOf(scope: Scope): string;
  pool(poolId: string): Pick<PoolPlace, 'labels' | 'runner_group'>;
}

export interface PlacesOptions {
  readonly webUrl: string;
  /** The organization of VMs that name none; empty = there is none. */
  readonly defaultOrg: string;
  readonly poolOf: (poolId: string) => PoolPlace | undefined;
  readonly pools: readonly PoolPlace[];
}

export function createPlaces(fleet: Pick<Fleet, 'views'>, options: PlacesOptions): Places {
  const { webUrl, defaultOrg, poolOf } = options;

  function scopeOf({ poolId, orgId }: Pick<VmRecord, 'poolId' | 'orgId'>): Scope | undefined {
    const pool = poolOf(poolId);
    const ofPool = pool === undefined ? undefined : scopeOfPool(pool);
    if (ofPool !== undefined) return ofPool;
    const org = orgId === '' ? defaultOrg : orgId;
    return org === '' ? undefined : { kind: 'org', org };
  }

  return {
    scopeOf,

    scopes() {
      const found = new Map<string, Scope>();
      const add = (scope: Scope | undefined): void => {
        if (scope !== undefined && !found.has(keyOf(scope))) found.set(keyOf(scope), scope);
      };
      if (defaultOrg !== '') add({ kind: 'org', org: defaultOrg });
      for (const pool of options.pools) add(scopeOfPool(pool));
      for (const { record } of fleet.views()) add(scopeOf(record));
      return [...found.values()];
    },

    urlOf(scope) {
      switch (scope.kind) {
        case 'org':
          return `${webUrl}/${scope.org}`;
        case 'repo':
          return `${webUrl}/${scope.owner}/${scope.repo}`;
        case 'enterprise':
          return `${webUrl}/enterprises/${scope.slug}`;
      }
    },

    pool: (poolId) => poolOf(poolId) ?? { labels: [], runner_group: '' },
  };
}

function scopeOfPool({ repository, enterprise }: PoolPlace): Scope | undefined {
  if (enterprise !== '') return { kind: 'enterprise', slug: enterprise };
  const [owner = '', repo = ''] = repository.split('/');
  return repository === '' ? undefined : { kind: 'repo', owner, repo };
}

/** Names at GitHub are the same in any case. */
const keyOf = (scope: Scope): string => scopePath(scope).toLowerCase();
