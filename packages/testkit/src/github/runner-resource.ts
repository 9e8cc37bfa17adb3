import type { Runner } from './runner-registry.js';

/** Schema `runner` of GitHub's REST description: these fields and no others. */
export interface RunnerResource {
  readonly id: number;
  readonly name: string;
  readonly os: string;
  readonly status: 'online' | 'offline';
  readonly busy: boolean;
  readonly labels: readonly {
    readonly id: number;
    readonly name: string;
    readonly type: 'read-only' | 'custom';
  }[];
  readonly runner_group_id: number;
  readonly ephemeral: boolean;
  readonly version: string | null;
}

/**
 * A runner as REST shows it at `now`. `busy` is what it was `busyLagMs` ago: GitHub's flag lags behind, while DELETE
 * knows the truth (github-facts 2.1).
 */
export function toRunnerResource(runner: Runner, now: number, busyLagMs: number): RunnerResource {
  return {
    id: runner.id,
    name: runner.name,
    os: runner.os,
    status: runner.online ? 'online' : 'offline',
    busy: runner.busyChanges.findLast((change) => change.at <= now - busyLagMs)?.busy ?? false,
    labels: runner.labels.map(({ id, name, type }) => ({ id, name, type })),
    runner_group_id: runner.group.id,
    ephemeral: runner.ephemeral,
    version: runner.version,
  };
}
