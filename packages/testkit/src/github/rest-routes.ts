/** GitHub's REST API of self-hosted runners, the same for organizations, repositories and the enterprise. */
import { toRfc3339, type Clock } from '@mig/common/clock';
import {
  invalidRequest,
  json,
  nameExists,
  noContent,
  notFound,
  refusal,
  stillRunningJob,
} from './answers.js';
import type { Directory } from './directory.js';
import type { Dispatcher } from './dispatcher.js';
import type { Answer, Route, StandInRequest } from './exchange.js';
import { toEncodedJitConfig } from './jit-config.js';
import { readPage, toLinkHeader } from './paging.js';
import type { RunnerDownload } from './resources/runner-downloads.js';
import type { GroupBook } from './runner-groups.js';
import type { Runner, RunnerRegistry } from './runner-registry.js';
import { toRunnerResource } from './runner-resource.js';
import { scopeKey, type Scope } from './scope.js';
import { toRoutes, type PermissionNames, type ScopedRoute, type ScopeKind } from './scoped-routes.js';
import type { TokenDesk, TokenPurpose } from './tokens.js';

export interface RestDeps {
  readonly registry: RunnerRegistry;
  readonly dispatcher: Pick<Dispatcher, 'removeUnlessBusy'>;
  readonly tokens: TokenDesk;
  readonly clock: Clock;
  readonly groups: GroupBook;
  readonly directory: Directory;
  readonly busyLagMs: () => number;
  readonly downloads: readonly RunnerDownload[];
}

/** What an App needs for runners (github-facts 2.2). */
export const RUNNER_PERMISSIONS: PermissionNames = {
  organization: 'organization_self_hosted_runners',
  repository: 'administration',
};

const EVERYWHERE: readonly ScopeKind[] = ['organization', 'repository', 'enterprise'];

export function createRestRoutes(deps: RestDeps): Route[] {
  const { registry, tokens, clock } = deps;
  const toResource = (runner: Runner) => toRunnerResource(runner, clock.now(), deps.busyLagMs());

  const issue = (purpose: TokenPurpose) => (_request: StandInRequest, scope: Scope) => {
    const { token, expiresAt } = tokens.issue(purpose, scope);
    return json(201, { token, expires_at: toRfc3339(expiresAt) });
  };

  function listRunners(request: StandInRequest, scope: Scope): Answer {
    const page = readPage(request.query);
    const found = registry.listScope(scope, request.query.get('name') ?? undefined);
    const shown = found.slice(page.from, page.to);
    const headers = toLinkHeader(request, page, found.length);
    return json(200, { total_count: found.length, runners: shown.map(toResource) }, headers);
  }

  function generateJitConfig(request: StandInRequest, scope: Scope): Answer {
    const wanted = request.body as JitRequest;
    if (wanted.name === '') return invalidRequest([`For 'properties/name', "" is not a name.`]);
    const group = deps.groups.find(scope, wanted.runner_group_id);
    if (group === undefined) return notFound();
    const runner = registry.add({
      scope,
      name: wanted.name,
      readOnlyLabels: [], // only what was asked for: github-facts 1.3
      customLabels: wanted.labels,
      group,
      ephemeral: true,
      jit: true,
      os: 'unknown',
      version: null,
      replace: false,
    });
    if (runner === undefined) return nameExists(wanted.name);
    const encoded = toEncodedJitConfig(runner, {
      group,
      serverUrl: request.origin,
      workFolder: wanted.work_folder ?? '_work',
    });
    return json(201, { runner: toResource(runner), encoded_jit_config: encoded });
  }

  function findRunner(request: StandInRequest, scope: Scope): Runner | undefined {
    const runner = registry.get(Number(request.params['runner_id']));
    return runner !== undefined && scopeKey(runner.scope) === scopeKey(scope) ? runner : undefined;
  }

  /** A request about one runner; 404 if the scope has no such runner. */
  const ofRunner =
    (handle: (request: StandInRequest, runner: Runner) => Answer) =>
    (request: StandInRequest, scope: Scope): Answer => {
      const runner = findRunner(request, scope);
      return runner === undefined ? notFound() : handle(request, runner);
    };

  function deleteRunner(_request: StandInRequest, runner: Runner): Answer {
    return deps.dispatcher.removeUnlessBusy(runner, 'deleted') === 'removed'
      ? noContent
      : stillRunningJob(runner.name);
  }

  const showLabels = (runner: Runner): Answer =>
    json(200, { total_count: runner.labels.length, labels: toResource(runner).labels });

  /** Puts other custom labels in place of those that it has. */
  const changeLabels = (next: (request: StandInRequest, custom: readonly string[]) => readonly string[]) =>
    ofRunner((request, runner) => {
      const custom = runner.labels.filter((label) => label.type === 'custom').map((label) => label.name);
      registry.setCustomLabels(runner, next(request, custom));
      return showLabels(runner);
    });

  function removeLabel(request: StandInRequest, runner: Runner): Answer {
    const name = (request.params['name'] ?? '').toLowerCase();
    const label = runner.labels.find((known) => known.name.toLowerCase() === name);
    if (label === undefined) return notFound();
    if (label.type === 'read-only') return refusal(422, 'Read-only labels cannot be removed');
    registry.setCustomLabels(
      runner,
      runner.labels.filter((known) => known.type === 'custom' && known !== label).map((known) => known.name),
    );
    return showLabels(runner);
  }

  const labelsOf = (request: StandInRequest) => (request.body as { labels: readonly string[] }).labels;
  const route = (name: ScopedRoute['name'], method: string, path: string, handle: ScopedRoute['handle']) =>
    toRoutes(deps.directory, {
      name,
      method,
      path: `actions/runners${path}`,
      kinds: EVERYWHERE,
      permissions: RUNNER_PERMISSIONS,
      handle,
    });

  return [
    ...route('registration-token', 'POST', '/registration-token', issue('registration')),
    ...route('remove-token', 'POST', '/remove-token', issue('remove')),
    ...route('generate-jitconfig', 'POST', '/generate-jitconfig', generateJitConfig),
    ...route('list-runners', 'GET', '', listRunners),
    ...route('list-downloads', 'GET', '/downloads', () => json(200, deps.downloads)),
    ...route(
      'get-runner',
      'GET',
      '/{runner_id}',
      ofRunner((_request, runner) => json(200, toResource(runner))),
    ),
    ...route('delete-runner', 'DELETE', '/{runner_id}', ofRunner(deleteRunner)),
    ...route(
      'list-labels',
      'GET',
      '/{runner_id}/labels',
      ofRunner((_request, runner) => showLabels(runner)),
    ),
    ...route('set-labels', 'PUT', '/{runner_id}/labels', changeLabels(labelsOf)),
    ...route(
      'add-labels',
      'POST',
      '/{runner_id}/labels',
      changeLabels((request, custom) => [...custom, ...labelsOf(request)]),
    ),
    ...route(
      'remove-labels',
      'DELETE',
      '/{runner_id}/labels',
      changeLabels(() => []),
    ),
    ...route('remove-label', 'DELETE', '/{runner_id}/labels/{name}', ofRunner(removeLabel)),
  ];
}

/** As GitHub's description has it; the gate has checked it. */
interface JitRequest {
  readonly name: string;
  readonly runner_group_id: number;
  readonly labels: readonly string[];
  readonly work_folder?: string;
}
