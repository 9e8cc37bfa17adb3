/** Runner groups, which organizations and the enterprise have (github-facts 2.1). */
import { json, noContent, notFound, refusal } from './answers.js';
import type { Clock } from '@mig/common/clock';
import type { Directory } from './directory.js';
import type { Answer, Route, StandInRequest } from './exchange.js';
import { readPage, toLinkHeader } from './paging.js';
import { RUNNER_PERMISSIONS } from './rest-routes.js';
import { DEFAULT_GROUP, type GroupBook } from './runner-groups.js';
import type { RunnerGroup, RunnerRegistry } from './runner-registry.js';
import { toRunnerResource } from './runner-resource.js';
import type { Scope } from './scope.js';
import { toRoutes, type ScopedRoute, type ScopeKind } from './scoped-routes.js';

export interface GroupRoutesDeps {
  readonly registry: RunnerRegistry;
  readonly groups: GroupBook;
  readonly directory: Directory;
  readonly clock: Clock;
  readonly busyLagMs: () => number;
}

const WITH_GROUPS: readonly ScopeKind[] = ['organization', 'enterprise'];

export function createGroupRoutes(deps: GroupRoutesDeps): Route[] {
  const { registry, groups } = deps;

  function listGroups(request: StandInRequest, scope: Scope): Answer {
    const page = readPage(request.query);
    const all = groups.list(scope);
    const shown = all.slice(page.from, page.to).map((group) => toGroupResource(group, scope, request));
    return json(
      200,
      { total_count: all.length, runner_groups: shown },
      toLinkHeader(request, page, all.length),
    );
  }

  function listRunners(request: StandInRequest, scope: Scope, group: RunnerGroup): Answer {
    const page = readPage(request.query);
    const found = registry.listGroup(scope, group.id);
    const shown = found
      .slice(page.from, page.to)
      .map((runner) => toRunnerResource(runner, deps.clock.now(), deps.busyLagMs()));
    return json(
      200,
      { total_count: found.length, runners: shown },
      toLinkHeader(request, page, found.length),
    );
  }

  /** Its runners go to the default group. */
  function deleteGroup(_request: StandInRequest, scope: Scope, group: RunnerGroup): Answer {
    if (group.id === DEFAULT_GROUP.id) return refusal(422, 'The default runner group cannot be deleted');
    for (const runner of registry.listGroup(scope, group.id)) runner.group = DEFAULT_GROUP;
    groups.remove(scope, group.id);
    return noContent;
  }

  const ofGroup =
    (handle: (request: StandInRequest, scope: Scope, group: RunnerGroup) => Answer): ScopedRoute['handle'] =>
    (request, scope) => {
      const group = groups.find(scope, Number(request.params['runner_group_id']));
      return group === undefined ? notFound() : handle(request, scope, group);
    };

  const route = (
    name: ScopedRoute['name'],
    method: string,
    path: string,
    handle: ScopedRoute['handle'],
    kinds = WITH_GROUPS,
  ) => toRoutes(deps.directory, { name, method, path, kinds, permissions: RUNNER_PERMISSIONS, handle });

  return [
    ...route('list-runner-groups', 'GET', 'actions/runner-groups', listGroups),
    ...route(
      'get-runner-group',
      'GET',
      'actions/runner-groups/{runner_group_id}',
      ofGroup((request, scope, group) => json(200, toGroupResource(group, scope, request))),
    ),
    ...route(
      'list-group-runners',
      'GET',
      'actions/runner-groups/{runner_group_id}/runners',
      ofGroup(listRunners),
    ),
    ...route(
      'delete-runner-group',
      'DELETE',
      'actions/runner-groups/{runner_group_id}',
      ofGroup(deleteGroup),
      ['organization'],
    ),
    ...route(
      'get-runner-settings',
      'GET',
      'actions/permissions/self-hosted-runners',
      () => json(200, { enabled_repositories: 'all' }),
      ['organization'],
    ),
  ];
}

/** Schemas `runner-groups-org` and `runner-groups-enterprise`. */
function toGroupResource(group: RunnerGroup, scope: Scope, request: StandInRequest): Record<string, unknown> {
  const groupsUrl =
    'enterprise' in scope
      ? `${request.apiUrl}/enterprises/${scope.enterprise}/actions/runner-groups`
      : `${request.apiUrl}/orgs/${scope.owner}/actions/runner-groups`;
  return {
    id: group.id,
    name: group.name,
    visibility: 'all',
    default: group.id === DEFAULT_GROUP.id,
    runners_url: `${groupsUrl}/${group.id}/runners`,
    ...('enterprise' in scope ? {} : { inherited: false }),
    allows_public_repositories: false,
  };
}
