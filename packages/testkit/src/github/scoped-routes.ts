/** Routes that exist for organizations, repositories and the enterprise alike, each with its own prefix and permission. */
import { notFound } from './answers.js';
import type { Directory } from './directory.js';
import type { Answer, Level, Permission, Route, RouteName, StandInRequest } from './exchange.js';
import type { Scope } from './scope.js';

export type ScopeKind = 'organization' | 'repository' | 'enterprise';

const PREFIXES: Readonly<Record<ScopeKind, string>> = {
  organization: '/orgs/{org}',
  repository: '/repos/{owner}/{repo}',
  enterprise: '/enterprises/{enterprise}',
};

/** Which permission of an App stands for a family of routes (github-facts 2.2). Apps have none at enterprises. */
export type PermissionNames = Readonly<Partial<Record<ScopeKind, string>>>;

export interface ScopedRoute {
  readonly name: RouteName;
  readonly method: string;
  /** Below the prefix: `actions/runners`. */
  readonly path: string;
  readonly kinds: readonly ScopeKind[];
  readonly permissions?: PermissionNames;
  readonly credential?: Route['credential'];
  readonly handle: (request: StandInRequest, scope: Scope) => Answer;
}

/** One route for each kind of scope; a scope that does not exist is 404. */
export function toRoutes(directory: Directory, wanted: ScopedRoute): Route[] {
  return wanted.kinds.map((kind) => ({
    name: wanted.name,
    side: 'github',
    method: wanted.method,
    path: `${PREFIXES[kind]}/${wanted.path}`,
    ...(wanted.credential === undefined ? {} : { credential: wanted.credential }),
    permission: toPermission(wanted, kind),
    handle(request) {
      const scope = findScope(directory, request.params);
      return scope === undefined ? notFound() : wanted.handle(request, scope);
    },
  }));
}

function toPermission({ permissions, method }: ScopedRoute, kind: ScopeKind): Permission | undefined {
  const name = permissions?.[kind];
  const level: Level = method === 'GET' ? 'read' : 'write';
  return name === undefined ? undefined : { name, level };
}

function findScope(directory: Directory, params: Readonly<Record<string, string>>): Scope | undefined {
  const { enterprise, org, owner, repo } = params;
  if (enterprise !== undefined) {
    const isKnown = directory.enterprise?.toLowerCase() === enterprise.toLowerCase();
    return isKnown ? { enterprise } : undefined;
  }
  const organization = directory.findOrganization(org ?? owner ?? '');
  if (organization === undefined) return undefined;
  return repo === undefined ? { owner: organization.login } : { owner: organization.login, repo };
}
