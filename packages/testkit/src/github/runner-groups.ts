import type { RunnerGroup } from './runner-registry.js';
import { scopeKey, type Scope } from './scope.js';

/** The group that always exists. */
export const DEFAULT_GROUP: RunnerGroup = { id: 1, name: 'Default' };

/**
 * The runner groups of each organization and of the enterprise: `Default`, and those of the options with the ids 2, 3, …
 * A repository has none of its own; its runners are in group 1 (github-facts 2.1).
 */
export interface GroupBook {
  list(scope: Scope): readonly RunnerGroup[];
  find(scope: Scope, id: number): RunnerGroup | undefined;
  remove(scope: Scope, id: number): void;
}

export function createGroupBook(names: readonly string[]): GroupBook {
  const initial = [DEFAULT_GROUP, ...names.map((name, index) => ({ id: index + 2, name }))];
  const changed = new Map<string, readonly RunnerGroup[]>();
  const list = (scope: Scope) => changed.get(scopeKey(scope)) ?? initial;
  return {
    list,
    find: (scope, id) => list(scope).find((group) => group.id === id),
    remove(scope, id) {
      changed.set(
        scopeKey(scope),
        list(scope).filter((group) => group.id !== id),
      );
    },
  };
}
