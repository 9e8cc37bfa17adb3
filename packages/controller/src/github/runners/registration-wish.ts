/** What a VM's runner is to be registered with: by the command, or else by its pool, its VM and its system. */
import type { Parameters } from '@mig/common/domain/command';
import { fatal, ok, type Outcome } from '@mig/common/outcome';
import type { VmPlatform, VmRecord } from '@mig/common/domain/vm';
import type { Scope } from '../client/github-client.js';
import type { Places } from './places.js';

export interface RegistrationWish {
  readonly scope: Scope;
  readonly runnerUrl: string;
  /** Empty = by the rule of ownership.ts. */
  readonly runnerName: string;
  /** Each once; may be none. */
  readonly labels: readonly string[];
  /** Empty = the default group. */
  readonly runnerGroup: string;
}

/** GitHub's REST description, generate-jitconfig: labels, maxItems. */
const MAX_LABELS = 100;

export function toRegistrationWish(
  vm: VmRecord,
  wanted: Parameters,
  places: Places,
): Outcome<RegistrationWish> {
  const scope = places.scopeOf(vm);
  if (scope === undefined) return fatal(noPlace(vm));
  const pool = places.pool(vm.poolId);
  const { labels: wantedLabels } = wanted;
  const named = Array.isArray(wantedLabels) ? (wantedLabels as readonly string[]) : undefined;
  const labels = distinct(named ?? [...pool.labels, ...vm.labels]);
  if (labels.length > MAX_LABELS) {
    return fatal(
      `VM ${vm.vmId} would have ${labels.length} labels, and GitHub takes ${MAX_LABELS} at most: take some from pools.${vm.poolId}.labels, or from the VM`,
    );
  }
  return ok({
    scope,
    runnerUrl: textOf(wanted['runner_url']) || places.urlOf(scope),
    runnerName: textOf(wanted['runner_name']),
    labels,
    runnerGroup: textOf(wanted['runner_group']) || pool.runner_group,
  });
}

export const noPlace = ({ vmId, poolId }: Pick<VmRecord, 'vmId' | 'poolId'>): string =>
  `VM ${vmId} names no organization: set org_id in its configuration, or github.org or pools.${poolId || 'POOL'}.repository in the controller's`;

/** What config.sh gives to a runner without labels; a JIT runner has only those that it is given. */
export function systemLabels(platform: VmPlatform | undefined): string[] {
  const { os, architecture } = platform ?? { os: 'linux', architecture: 'x64' };
  return ['self-hosted', SYSTEMS[os], architecture.toUpperCase()];
}

const SYSTEMS = { linux: 'Linux', osx: 'macOS', win: 'Windows' } as const;

/** Labels are the same in any case; the first spelling stays. */
function distinct(labels: readonly string[]): string[] {
  const found = new Map<string, string>();
  for (const label of labels) {
    const name = label.toLowerCase();
    if (name !== '' && !found.has(name)) found.set(name, label);
  }
  return [...found.values()];
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
