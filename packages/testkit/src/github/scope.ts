/** Where a runner is registered: an organization, one repository of it, or the enterprise of all organizations. */
export type Scope = OwnerScope | EnterpriseScope;

export interface OwnerScope {
  readonly owner: string;
  readonly repo?: string;
}

export interface EnterpriseScope {
  readonly enterprise: string;
}

const ENTERPRISES = 'enterprises';

/** Two runners may have the same name only in different scopes; names of owners and repositories have no case. */
export function scopeKey(scope: Scope): string {
  if ('enterprise' in scope) return `${ENTERPRISES}/${scope.enterprise}`.toLowerCase();
  return (scope.repo === undefined ? scope.owner : `${scope.owner}/${scope.repo}`).toLowerCase();
}

/**
 * The scope that a runner's `--url` names (`http://host/ORG`, `http://host/OWNER/REPO`, `http://host/enterprises/NAME`), or
 * undefined if it names none.
 */
export function parseScopeUrl(url: string): Scope | undefined {
  if (!URL.canParse(url)) return undefined;
  const [owner, repo, ...rest] = new URL(url).pathname.split('/').filter((part) => part !== '');
  if (owner === undefined || rest.length > 0) return undefined;
  if (owner === ENTERPRISES) return repo === undefined ? undefined : { enterprise: repo };
  return repo === undefined ? { owner } : { owner, repo };
}

/** Whether a runner of this scope may take a job of that repository (`owner/name`). An enterprise has all owners. */
export function scopeCovers(scope: Scope, repository: string): boolean {
  if ('enterprise' in scope) return true;
  const covered = scopeKey(scope);
  const wanted = repository.toLowerCase();
  return scope.repo === undefined ? wanted.startsWith(`${covered}/`) : wanted === covered;
}
