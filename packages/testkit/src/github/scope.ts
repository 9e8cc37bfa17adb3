/** Where a runner is registered: an organization, or one repository of it. */
export interface Scope {
  readonly owner: string;
  readonly repo?: string;
}

/** Two runners may have the same name only in different scopes; names of owners and repositories have no case. */
export const scopeKey = (scope: Scope): string =>
  (scope.repo === undefined ? scope.owner : `${scope.owner}/${scope.repo}`).toLowerCase();

/** The scope that a runner's `--url` names (`http://host/ORG`, `http://host/OWNER/REPO`), or undefined if it names none. */
export function parseScopeUrl(url: string): Scope | undefined {
  if (!URL.canParse(url)) return undefined;
  const [owner, repo, ...rest] = new URL(url).pathname.split('/').filter((part) => part !== '');
  if (owner === undefined || rest.length > 0) return undefined;
  return repo === undefined ? { owner } : { owner, repo };
}

/** Whether a runner of this scope may take a job of that repository (`owner/name`). */
export function scopeCovers(scope: Scope, repository: string): boolean {
  const covered = scopeKey(scope);
  const wanted = repository.toLowerCase();
  return scope.repo === undefined ? wanted.startsWith(`${covered}/`) : wanted === covered;
}
