/** GitHub's REST API of self-hosted runners, the same for an organization and for a repository. */
import { toRfc3339, type Clock } from '@mig/common/clock';
import { invalidRequest, json, nameExists, noContent, notFound, stillRunningJob } from './answers.js';
import type { Answer, Route, RouteName, StandInRequest } from './exchange.js';
import { toEncodedJitConfig } from './jit-config.js';
import { readJitRequest, readLabels } from './jit-request.js';
import { readPage, toLinkHeader } from './paging.js';
import type { RateLimit } from './rate-limit.js';
import type { Runner, RunnerGroup, RunnerRegistry } from './runner-registry.js';
import { toRunnerResource } from './runner-resource.js';
import { scopeKey, type Scope } from './scope.js';
import type { TokenDesk, TokenPurpose } from './tokens.js';

export interface RestDeps {
  readonly registry: RunnerRegistry;
  readonly tokens: TokenDesk;
  readonly rateLimit: RateLimit;
  readonly clock: Clock;
  readonly groups: readonly RunnerGroup[];
  /** The one organization that exists, with any repository of it. */
  readonly organization: string;
  readonly busyLagMs: () => number;
}

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
    const read = readJitRequest(request.body);
    if (read.kind === 'refused') return invalidRequest(read.faults);
    const wanted = read.request;
    const group = deps.groups.find((candidate) => candidate.id === wanted.groupId);
    if (group === undefined) return notFound();
    const runner = registry.add({
      scope,
      name: wanted.name,
      readOnlyLabels: [], // only what was asked for: github-facts 1.3
      customLabels: wanted.labels,
      groupId: group.id,
      ephemeral: true,
      os: 'unknown',
      version: null,
      replace: false,
    });
    if (runner === undefined) return nameExists(wanted.name);
    const encoded = toEncodedJitConfig(runner, {
      group,
      serverUrl: request.origin,
      workFolder: wanted.workFolder,
    });
    return json(201, { runner: toResource(runner), encoded_jit_config: encoded });
  }

  function findRunner(request: StandInRequest, scope: Scope): Runner | undefined {
    const id = request.params['runner_id'] ?? '';
    const runner = /^\d{1,15}$/.test(id) ? registry.get(Number(id)) : undefined;
    return runner !== undefined && scopeKey(runner.scope) === scopeKey(scope) ? runner : undefined;
  }

  function getRunner(request: StandInRequest, scope: Scope): Answer {
    const runner = findRunner(request, scope);
    return runner === undefined ? notFound() : json(200, toResource(runner));
  }

  function deleteRunner(request: StandInRequest, scope: Scope): Answer {
    const runner = findRunner(request, scope);
    if (runner === undefined) return notFound();
    return registry.removeIfIdle(runner.id, 'deleted') === 'removed'
      ? noContent
      : stillRunningJob(runner.name);
  }

  function setLabels(request: StandInRequest, scope: Scope): Answer {
    const runner = findRunner(request, scope);
    if (runner === undefined) return notFound();
    const labels = readLabels(request.body);
    if (labels === undefined)
      return invalidRequest(["For 'properties/labels', it is not a list of 0 to 100 names."]);
    registry.setCustomLabels(runner, labels);
    return json(200, { total_count: runner.labels.length, labels: toResource(runner).labels });
  }

  function listGroups(request: StandInRequest): Answer {
    const page = readPage(request.query);
    const shown = deps.groups.slice(page.from, page.to).map((group) => toGroupResource(group, request));
    const headers = toLinkHeader(request, page, deps.groups.length);
    return json(200, { total_count: deps.groups.length, runner_groups: shown }, headers);
  }

  function getRateLimit(): Answer {
    const core = deps.rateLimit.state();
    const search = { limit: 30, remaining: 30, used: 0, reset: core.reset };
    return json(200, { resources: { core, search }, rate: core });
  }

  /** The routes of both scopes, of which only those of the known organization exist. */
  const scoped = (
    name: RouteName,
    method: string,
    path: string,
    handle: (request: StandInRequest, scope: Scope) => Answer,
  ): Route[] =>
    ['/orgs/{org}', '/repos/{owner}/{repo}'].map((prefix) => ({
      name,
      side: 'github',
      method,
      path: `${prefix}/actions/${path}`,
      handle(request) {
        const { org, owner, repo } = request.params;
        const scope: Scope = repo === undefined ? { owner: org ?? '' } : { owner: owner ?? '', repo };
        return scope.owner.toLowerCase() === deps.organization.toLowerCase()
          ? handle(request, scope)
          : notFound();
      },
    }));

  return [
    ...scoped('registration-token', 'POST', 'runners/registration-token', issue('registration')),
    ...scoped('remove-token', 'POST', 'runners/remove-token', issue('remove')),
    ...scoped('generate-jitconfig', 'POST', 'runners/generate-jitconfig', generateJitConfig),
    ...scoped('list-runners', 'GET', 'runners', listRunners),
    ...scoped('get-runner', 'GET', 'runners/{runner_id}', getRunner),
    ...scoped('delete-runner', 'DELETE', 'runners/{runner_id}', deleteRunner),
    ...scoped('set-labels', 'PUT', 'runners/{runner_id}/labels', setLabels),
    // groups exist for organizations only (github-facts 2.1)
    ...scoped('list-runner-groups', 'GET', 'runner-groups', listGroups).slice(0, 1),
    { name: 'rate-limit', side: 'github', method: 'GET', path: '/rate_limit', handle: getRateLimit },
  ];
}

function toGroupResource(group: RunnerGroup, request: StandInRequest): Record<string, unknown> {
  return {
    id: group.id,
    name: group.name,
    visibility: 'all',
    default: group.id === 1,
    runners_url: `${request.origin}${request.path}/${group.id}/runners`,
    inherited: false,
    allows_public_repositories: false,
  };
}
