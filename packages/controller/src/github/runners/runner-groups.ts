import type { Clock } from '@mig/common/clock';
import { scopePath, type Scope } from '../client/github-client.js';

/** The group that every organization and enterprise has, and the only one of a repository. */
const DEFAULT_GROUP_ID = 1;
/** What is known of the groups of a scope is used so long. */
const KEPT_MS = 10 * 60_000;
/** A name that was not found is looked for again when the list is older than this. */
const MISSING_KEPT_MS = 30_000;
/** Scopes of which the groups are kept; beyond, all are asked for again (I12). */
const MAX_SCOPES = 1_000;

export interface RunnerGroups {
  /** Undefined if the scope has no group of this name; an empty name is the default group. */
  find(scope: Scope, name: string): Promise<number | undefined>;
  forget(scope: Scope): void;
}

interface Known {
  readonly ids: Promise<ReadonlyMap<string, number>>;
  readonly askedAtMs: number;
}

/** The ids of runner groups by their names, asked for once however many registrations wait. */
export function createRunnerGroups(
  list: (scope: Scope) => Promise<readonly { readonly id: number; readonly name: string }[]>,
  clock: Clock,
): RunnerGroups {
  const known = new Map<string, Known>();

  function ask(scope: Scope): Known {
    const place = scopePath(scope).toLowerCase();
    const ids = list(scope).then((groups) => new Map(groups.map(({ name, id }) => [name, id])));
    const asked = { ids, askedAtMs: clock.monotonicMs() };
    if (known.size >= MAX_SCOPES) known.clear();
    known.set(place, asked);
    ids.catch(() => {
      if (known.get(place) === asked) known.delete(place);
    });
    return asked;
  }

  return {
    async find(scope, name) {
      if (name === '' || scope.kind === 'repo') return DEFAULT_GROUP_ID;
      const ageMs = (entry: Known): number => clock.monotonicMs() - entry.askedAtMs;
      const before = known.get(scopePath(scope).toLowerCase());
      const entry = before !== undefined && ageMs(before) < KEPT_MS ? before : ask(scope);
      const id = (await entry.ids).get(name);
      if (id !== undefined || ageMs(entry) < MISSING_KEPT_MS) return id;
      return (await ask(scope).ids).get(name);
    },
    forget: (scope) => void known.delete(scopePath(scope).toLowerCase()),
  };
}
