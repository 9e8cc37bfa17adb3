/**
 * Three views of each runner side by side: GitHub's list, the controller's record of the VM, and what its MIGlet says.
 *
 * A row is one runner and the VM that it belongs to. There is a row for each runner at GitHub that is ours or that a VM says it
 * has, and one for each runner that a VM says it has and that GitHub does not list. Runners of others are only counted.
 */
import { hasEnded, phaseOf } from '@mig/common/domain/vm-state';
import type { JobStatus, Link, Liveness, VmIdentity } from '@mig/common/domain/vm';
import type { VmView } from '../../fleet/fleet.js';
import { scopePath, type Scope } from '../client/github-client.js';
import type { Ownership } from '../runners/ownership.js';
import type { GitHubRunner } from '../runners/runners-api.js';

/** All runners of a scope, from a list that came whole. */
export interface ScopeList {
  readonly scope: Scope;
  readonly runners: readonly GitHubRunner[];
}

/** What is known of a VM here, and what its MIGlet said last. */
export interface VmWord extends VmIdentity {
  readonly bootId: string;
  readonly state: string;
  /** By its own word its life is over. */
  readonly ended: boolean;
  readonly link: Link;
  readonly liveness: Liveness;
  /** Since the start of this controller: what was stored by an earlier one is no word of today. */
  readonly heard: boolean;
  readonly lastHeartbeatAt: number | undefined;
  /** Empty = it says that it has none; undefined = it has said nothing of a runner. */
  readonly runner: string | undefined;
  /** Its runner's process lives and listens, by its word: it neither starts, nor updates itself, nor is about to end. */
  readonly listens: boolean;
  /** The job that runs on it, by its word. */
  readonly job: JobStatus | undefined;
  /** A registration is under way: its runner appears, or has gone, at any moment. */
  readonly registering: boolean;
  /** Neither cordoned nor being drained. */
  readonly eligible: boolean;
  /** Where its runners are registered; undefined = it names no place. */
  readonly scope: Scope | undefined;
}

export interface RunnerRow {
  /** The same in every round, and for no other row. */
  readonly key: string;
  readonly scope: Scope;
  readonly name: string;
  /** By its name: no other runner is ever touched. */
  readonly ours: boolean;
  /** GitHub's list of the scope is known. False: `github` says nothing. */
  readonly listed: boolean;
  readonly github: GitHubRunner | undefined;
  readonly vm: VmWord | undefined;
}

export interface WordContext {
  readonly scope: Scope | undefined;
  /** A `register_runner` of this VM has not ended. */
  readonly registrationOpen: boolean;
  /** A drain has taken it out of service. */
  readonly draining: boolean;
}

export function toVmWord({ record, link, liveness, heardAtMs }: VmView, context: WordContext): VmWord {
  const phase = phaseOf(record.state);
  const { runner, bootId } = record;
  // A legacy MIGlet that is silent about its runner may have one all the same.
  const saysNone = runner?.configured === false && bootId !== '';
  return {
    vmId: record.vmId,
    poolId: record.poolId,
    orgId: record.orgId,
    bootId,
    state: record.state,
    ended: hasEnded(record),
    link,
    liveness,
    heard: heardAtMs !== undefined,
    lastHeartbeatAt: record.lastHeartbeatAt,
    runner: runner?.configured === true && runner.name !== '' ? runner.name : saysNone ? '' : undefined,
    listens: runner?.state === 'idle',
    job: record.currentJob?.status === 'running' ? record.currentJob : undefined,
    // What was under way on a VM that is lost since is not under way any more.
    registering:
      context.registrationOpen || (liveness !== 'lost' && (phase === 'registering' || phase === 'booting')),
    eligible: record.cordon === undefined && !context.draining,
    scope: context.scope,
  };
}

/** Names of organizations and repositories are the same in any case: two VMs may write theirs in two ways. */
export const placeKey = (scope: Scope): string => scopePath(scope).toLowerCase();

const rowKey = (scope: Scope, name: string): string => `${placeKey(scope)} ${name}`;

/**
 * @param lists of the scopes whose lists are known; none twice
 * @param vms every VM that may have one of these runners
 */
export function joinViews(
  lists: readonly ScopeList[],
  vms: Iterable<VmWord>,
  ownership: Ownership,
): RunnerRow[] {
  const byStem = new Map<string, VmWord>();
  const claims = new Map<string, VmWord>();
  for (const vm of vms) {
    byStem.set(ownership.stemFor(vm.vmId), vm);
    if (vm.runner === undefined || vm.runner === '' || vm.ended) continue;
    claims.set(vm.runner, vm);
  }

  const rows: RunnerRow[] = [];
  /** Runners that some list has. */
  const found = new Set<string>();
  const listedScopes = new Set<string>();
  for (const { scope, runners } of lists) {
    listedScopes.add(placeKey(scope));
    for (const github of runners) {
      const { name } = github;
      const stem = ownership.stemOf(name);
      const claimant = claims.get(name);
      if (stem === undefined && claimant === undefined) continue;
      found.add(name);
      // One who says that it has the runner knows better than the runner's name.
      const vm = claimant ?? (stem === undefined ? undefined : byStem.get(stem));
      rows.push({
        key: rowKey(scope, name),
        scope,
        name,
        ours: stem !== undefined,
        listed: true,
        github,
        vm,
      });
    }
  }
  for (const [name, vm] of claims) {
    if (found.has(name) || vm.scope === undefined) continue;
    rows.push({
      key: rowKey(vm.scope, name),
      scope: vm.scope,
      name,
      ours: ownership.isOurs(name),
      listed: listedScopes.has(placeKey(vm.scope)),
      github: undefined,
      vm,
    });
  }
  return rows;
}
