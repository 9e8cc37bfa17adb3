/** The App about itself, with its JSON web token; the tokens of its installations. */
import { json, notFound, refusal } from '../answers.js';
import type { Directory, Repository } from '../directory.js';
import type { Answer, Route, RouteName, StandInRequest } from '../exchange.js';
import { readPage, toLinkHeader } from '../paging.js';
import { toAccountResource } from '../resources/account-resource.js';
import { toGitHubTime, toNodeId, type Places } from '../resources/places.js';
import { toRepositoryResource } from '../resources/repository-resource.js';
import { toRoutes } from '../scoped-routes.js';
import type { AppDesk, Installation, Permissions } from './app-desk.js';
import { isEnough } from './levels.js';

export interface AppRoutesDeps {
  /** Undefined: there is no App, and no JSON web token is accepted. */
  readonly app: AppDesk | undefined;
  readonly directory: Directory;
}

/** What the App's webhook is subscribed to. */
export const APP_EVENTS = ['workflow_job'];

interface TokenRequest {
  readonly permissions?: Permissions;
  readonly repositories?: readonly string[];
  readonly repository_ids?: readonly number[];
}

export function createAppRoutes({ app, directory }: AppRoutesDeps): Route[] {
  /** Without an App nobody gets here. */
  const route = (
    name: RouteName,
    method: string,
    path: string,
    handle: (request: StandInRequest, known: AppDesk) => Answer,
  ): Route => ({
    name,
    side: 'github',
    credential: 'app',
    method,
    path,
    handle: (request) => (app === undefined ? notFound() : handle(request, app)),
  });

  const ofInstallation =
    (handle: (request: StandInRequest, installation: Installation, known: AppDesk) => Answer) =>
    (request: StandInRequest, known: AppDesk): Answer => {
      const id = Number(request.params['installation_id']);
      const found = known.installations().find((installation) => installation.id === id);
      return found === undefined ? notFound() : handle(request, found, known);
    };

  function listInstallations(request: StandInRequest, known: AppDesk): Answer {
    const page = readPage(request.query);
    const all = known.installations();
    const shown = all.slice(page.from, page.to).map((found) => toInstallationResource(known, found, request));
    return json(200, shown, toLinkHeader(request, page, all.length));
  }

  function createToken(request: StandInRequest, installation: Installation, known: AppDesk): Answer {
    if (installation.suspendedAt !== undefined) return refusal(403, 'This installation has been suspended');
    const wanted = (request.body ?? {}) as TokenRequest;
    if (!isWithin(wanted.permissions ?? {}, installation.permissions))
      return refusal(422, 'The permissions requested are not granted to this installation.');
    const repositories = findRepositories(wanted, installation);
    if (repositories === 'unknown') {
      return refusal(
        422,
        'There is at least one repository that does not exist or is not accessible to the parent installation.',
      );
    }
    const issued = known.issue(installation, { permissions: wanted.permissions, repositories });
    return json(201, {
      token: issued.token,
      expires_at: toGitHubTime(issued.expiresAt),
      permissions: issued.permissions,
      repository_selection: repositories === undefined ? 'all' : 'selected',
      ...(repositories === undefined
        ? {}
        : { repositories: repositories.map((found) => toRepositoryResource(found, placesOf(request))) }),
    });
  }

  /** Undefined: the request names none. */
  function findRepositories(
    wanted: TokenRequest,
    { account }: Installation,
  ): readonly Repository[] | 'unknown' | undefined {
    if (wanted.repositories === undefined && wanted.repository_ids === undefined) return undefined;
    const found = [
      ...(wanted.repositories ?? []).map((name) => directory.findRepository(account.login, name)),
      ...(wanted.repository_ids ?? []).map((id) => directory.findRepositoryById(id)),
    ];
    const known = found.filter((repository) => repository?.owner.id === account.id);
    return known.length === found.length ? (known as Repository[]) : 'unknown';
  }

  const findInstallation = toRoutes(directory, {
    name: 'find-installation',
    method: 'GET',
    path: 'installation',
    kinds: ['organization', 'repository'],
    credential: 'app',
    handle(request, scope) {
      if (app === undefined || 'enterprise' in scope) return notFound();
      const found = app.installations().find(({ account }) => account.login === scope.owner);
      return found === undefined ? notFound() : json(200, toInstallationResource(app, found, request));
    },
  });

  return [
    route('get-app', 'GET', '/app', (request, known) => json(200, toAppResource(known, request))),
    route('list-installations', 'GET', '/app/installations', listInstallations),
    route(
      'get-installation',
      'GET',
      '/app/installations/{installation_id}',
      ofInstallation((request, found, known) => json(200, toInstallationResource(known, found, request))),
    ),
    route(
      'create-installation-token',
      'POST',
      '/app/installations/{installation_id}/access_tokens',
      ofInstallation(createToken),
    ),
    ...findInstallation,
    {
      name: 'list-user-installations',
      side: 'github',
      credential: 'user',
      method: 'GET',
      path: '/user/installations',
      handle: () =>
        refusal(
          403,
          'You must authenticate with an access token authorized to a GitHub App in order to list installations',
        ),
    },
    {
      // nobody was ever given a code: an App of the stand-in is made by its options
      name: 'convert-manifest',
      side: 'github',
      credential: 'any',
      method: 'POST',
      path: '/app-manifests/{code}/conversions',
      handle: () => notFound(),
    },
  ];
}

const isWithin = (wanted: Permissions, granted: Permissions): boolean =>
  Object.entries(wanted).every(([name, level]) => isEnough(granted[name], level));

const placesOf = (request: StandInRequest): Places => ({ apiUrl: request.apiUrl, webUrl: request.origin });

/** Schema `integration`. */
function toAppResource(app: AppDesk, request: StandInRequest) {
  const [first] = app.installations();
  const owner = first?.account ?? { id: 1, login: 'stand-in' };
  return {
    id: app.id,
    client_id: app.clientId,
    slug: app.slug,
    node_id: toNodeId('A', app.id),
    owner: toAccountResource({ ...owner, type: 'Organization' }, placesOf(request)),
    name: app.slug,
    description: null,
    external_url: request.origin,
    html_url: `${request.origin}/apps/${app.slug}`,
    created_at: toGitHubTime(app.createdAt),
    updated_at: toGitHubTime(app.createdAt),
    permissions: app.permissions,
    events: APP_EVENTS,
    installations_count: app.installations().length,
  };
}

/** Schema `installation`. */
function toInstallationResource(app: AppDesk, installation: Installation, request: StandInRequest) {
  const { id, account, suspendedAt } = installation;
  return {
    id,
    account: toAccountResource({ ...account, type: 'Organization' }, placesOf(request)),
    repository_selection: 'all',
    access_tokens_url: `${request.apiUrl}/app/installations/${id}/access_tokens`,
    repositories_url: `${request.apiUrl}/installation/repositories`,
    html_url: `${request.origin}/organizations/${account.login}/settings/installations/${id}`,
    app_id: app.id,
    client_id: app.clientId,
    app_slug: app.slug,
    target_id: account.id,
    target_type: 'Organization',
    permissions: installation.permissions,
    events: APP_EVENTS,
    created_at: toGitHubTime(installation.createdAt),
    updated_at: toGitHubTime(installation.createdAt),
    single_file_name: null,
    suspended_by: null,
    suspended_at: suspendedAt === undefined ? null : toGitHubTime(suspendedAt),
  };
}
