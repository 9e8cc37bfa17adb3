/**
 * The runners that the stand-in knows, by id, by name within a scope, and by credential.
 *
 * It holds the facts; who may be removed is decided here too, because the answer to DELETE has to be given in the same
 * turn as the removal: a job is handed over by setting `jobId`, and a runner with a `jobId` is never removed by DELETE.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '@mig/common/clock';
import type { EmitEvent, RemovalReason } from './events.js';
import { scopeKey, type Scope } from './scope.js';

export interface RunnerGroup {
  readonly id: number;
  readonly name: string;
}

export interface RunnerLabel {
  readonly id: number;
  readonly name: string;
  readonly type: 'read-only' | 'custom';
}

export interface Runner {
  readonly id: number;
  readonly name: string;
  readonly scope: Scope;
  /** Group 1 if its own was deleted. */
  group: RunnerGroup;
  labels: readonly RunnerLabel[];
  readonly ephemeral: boolean;
  /** Registered by a JIT configuration. */
  readonly jit: boolean;
  readonly credential: string;
  /** `unknown` until a runner with a JIT configuration connects for the first time. */
  os: string;
  version: string | null;
  online: boolean;
  /** The job that it was handed and that has not ended. */
  jobId: number | undefined;
  /** When `busy` last changed, newest last: what the lagging flag is read from. */
  readonly busyChanges: { readonly at: number; readonly busy: boolean }[];
  /** It had its one job: it takes no other and cannot come back, and is only shown until GitHub has removed it. */
  isSpent: boolean;
  hasConnected: boolean;
  /** By the monotonic clock: when it was registered, came, went, or was free again, whichever was last. */
  changedAtMs: number;
}

export interface NewRunner {
  readonly scope: Scope;
  readonly name: string;
  readonly readOnlyLabels: readonly string[];
  readonly customLabels: readonly string[];
  readonly group: RunnerGroup;
  readonly ephemeral: boolean;
  readonly jit: boolean;
  readonly os: string;
  readonly version: string | null;
  /** Take the place of a runner of this name: same id, new credential, its session untouched. */
  readonly replace: boolean;
}

export interface RunnerRegistry {
  /** Undefined if a runner of this name exists and is not to be replaced. */
  add(runner: NewRunner): Runner | undefined;
  get(id: number): Runner | undefined;
  findByCredential(credential: string): Runner | undefined;
  /** In the order of their ids. */
  list(): Runner[];
  /** In the order of their ids; with `name`, those of exactly this name (in any case). */
  listScope(scope: Scope, name?: string): Runner[];
  /** In the order of their ids. */
  listGroup(scope: Scope, groupId: number): Runner[];
  /** Puts these in place of its custom labels; read-only ones stay. */
  setCustomLabels(runner: Runner, names: readonly string[]): void;
  /** `busy`: it has a job, and nothing was done. */
  removeIfIdle(id: number, reason: RemovalReason): 'removed' | 'busy' | 'not-found';
  remove(id: number, reason: RemovalReason): void;
}

export interface RegistryDeps {
  readonly emit: EmitEvent;
  readonly clock: Clock;
  /** Called after a runner was added, and after it was removed. */
  readonly onChange: (runner: Runner) => void;
}

export function createRunnerRegistry({ emit, clock, onChange }: RegistryDeps): RunnerRegistry {
  const runners = new Map<number, Runner>();
  /** Credentials that were replaced stay known until the runner goes: the old process may still have a job. */
  const credentials = new Map<string, number>();
  let lastRunnerId = 0;
  let lastLabelId = 0;

  const toLabel =
    (type: RunnerLabel['type']) =>
    (name: string): RunnerLabel => {
      lastLabelId += 1;
      return { id: lastLabelId, name, type };
    };

  function listScope(scope: Scope, name?: string): Runner[] {
    const key = scopeKey(scope);
    return [...runners.values()].filter(
      (runner) =>
        scopeKey(runner.scope) === key &&
        (name === undefined || runner.name.toLowerCase() === name.toLowerCase()),
    );
  }

  function remove(id: number, reason: RemovalReason): void {
    const runner = runners.get(id);
    if (runner === undefined) return;
    runners.delete(id);
    for (const [credential, owner] of credentials) if (owner === id) credentials.delete(credential);
    emit({ event: 'runner_removed', runner_id: id, runner_name: runner.name, reason });
    onChange(runner);
  }

  return {
    add(wanted) {
      const [existing] = listScope(wanted.scope, wanted.name);
      if (existing !== undefined && !wanted.replace) return undefined;
      if (existing === undefined) lastRunnerId += 1;
      const runner: Runner = {
        id: existing?.id ?? lastRunnerId,
        name: wanted.name,
        scope: wanted.scope,
        group: wanted.group,
        labels: [
          ...unique(wanted.readOnlyLabels).map(toLabel('read-only')),
          ...unique(wanted.customLabels, wanted.readOnlyLabels).map(toLabel('custom')),
        ],
        ephemeral: wanted.ephemeral,
        jit: wanted.jit,
        credential: randomBytes(24).toString('base64url'),
        os: wanted.os,
        version: wanted.version,
        online: existing?.online ?? false,
        jobId: existing?.jobId,
        busyChanges: existing?.busyChanges ?? [],
        isSpent: false,
        hasConnected: existing?.hasConnected ?? false,
        changedAtMs: clock.monotonicMs(),
      };
      runners.set(runner.id, runner);
      credentials.set(runner.credential, runner.id);
      emit({ event: 'runner_registered', runner_id: runner.id, runner_name: runner.name });
      onChange(runner);
      return runner;
    },
    get: (id) => runners.get(id),
    findByCredential(credential) {
      const id = credentials.get(credential);
      const runner = id === undefined ? undefined : runners.get(id);
      return runner?.isSpent === true ? undefined : runner;
    },
    list: () => [...runners.values()],
    listScope,
    listGroup: (scope, groupId) => listScope(scope).filter((runner) => runner.group.id === groupId),
    setCustomLabels(runner, names) {
      const readOnly = runner.labels.filter((label) => label.type === 'read-only');
      const taken = readOnly.map((label) => label.name);
      runner.labels = [...readOnly, ...unique(names, taken).map(toLabel('custom'))];
    },
    removeIfIdle(id, reason) {
      const runner = runners.get(id);
      if (runner === undefined) return 'not-found';
      if (runner.jobId !== undefined) return 'busy';
      remove(id, reason);
      return 'removed';
    },
    remove,
  };
}

/** The names without repetitions and without those of `except`; case does not count, the first spelling stays. */
function unique(names: readonly string[], except: readonly string[] = []): string[] {
  const seen = new Set(except.map((name) => name.toLowerCase()));
  return names.filter((name) => !seen.has(name.toLowerCase()) && seen.add(name.toLowerCase()));
}
