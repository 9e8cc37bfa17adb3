import type { JobStep, RunnerEndedBy, RunnerResult } from './runner-protocol.js';

/** A job to queue. */
export interface JobRequest {
  /** Display name; may contain anything. Default `job <id>`. */
  readonly name?: string;
  /** How long the job takes, milliseconds. Default 1000. */
  readonly durationMs?: number;
  /** A runner must have all of them (in any case). Default `['self-hosted']`. */
  readonly labels?: readonly string[];
  /** `owner/name`. Default the repository `app` of the stand-in's organization. */
  readonly repository?: string;
  /** Shell commands that the worker runs in processes of their own. Default none: the job only takes its time. */
  readonly steps?: readonly JobStep[];
  /** What it ends with if nothing disturbs it. Default `Succeeded`. */
  readonly result?: 'Succeeded' | 'Failed';
  /** An environment that somebody has to approve first: the job is `waiting` until it is. Default none. */
  readonly environment?: string;
}

/** A job and its history. Times are RFC 3339, null until they come. */
export interface Job {
  readonly id: number;
  readonly name: string;
  readonly repository: string;
  readonly labels: readonly string[];
  readonly duration_ms: number;
  readonly run_id: number;
  readonly run_attempt: number;
  readonly environment: string | null;
  /**
   * `waiting`: for approval. `assigned`: handed to a runner that has not acquired it yet; GitHub itself still calls that
   * `queued`.
   */
  readonly status: 'waiting' | 'queued' | 'assigned' | 'in_progress' | 'completed';
  readonly queued_at: string;
  readonly started_at: string | null;
  readonly completed_at: string | null;
  readonly runner_id: number | null;
  readonly runner_name: string | null;
  readonly runner_group_id: number | null;
  readonly runner_group_name: string | null;
  /** As the runner's terminal has it; `Lost` if the runner was never heard of again. */
  readonly result: RunnerResult | 'Lost' | null;
  /**
   * As GitHub's API and webhooks have it. A runner that is shut down in a job says `Canceled` on its terminal while the
   * job's conclusion is `failure` (actions/runner src/Runner.Worker/JobRunner.cs, github-facts 1.5).
   */
  readonly conclusion: 'success' | 'failure' | 'cancelled' | null;
  /** What brought the end. Everything but `itself` and `cancelled` (its run was cancelled at GitHub) is a killed job. */
  readonly ended_by: RunnerEndedBy | 'runner-lost' | 'cancelled' | null;
}

/** Whether something else than itself or an order to GitHub ended the job. */
export const isKilled = (job: Job): boolean =>
  job.ended_by !== null && job.ended_by !== 'itself' && job.ended_by !== 'cancelled';

/** What is wrong with a job that came as JSON, each fault with the key, its value and what is allowed; empty: nothing. */
export function findJobFaults(body: object): string[] {
  const isNames = (value: unknown) =>
    Array.isArray(value) && value.every((name) => typeof name === 'string' && name !== '');
  const isStep = (value: unknown) => {
    const step = value as Partial<JobStep> | null;
    return typeof step?.name === 'string' && typeof step.run === 'string';
  };
  const rules: Record<keyof JobRequest, { allowed: string; holds: (value: unknown) => boolean }> = {
    name: { allowed: 'a text', holds: (value) => typeof value === 'string' },
    durationMs: {
      allowed: 'milliseconds, 0 or more',
      holds: (value) => typeof value === 'number' && value >= 0,
    },
    labels: { allowed: 'a list of names', holds: isNames },
    repository: {
      allowed: 'owner/name',
      holds: (value) => typeof value === 'string' && /^[^/]+\/[^/]+$/.test(value),
    },
    steps: {
      allowed: 'a list of {name, run}',
      holds: (value) => Array.isArray(value) && value.every(isStep),
    },
    environment: {
      allowed: 'the name of an environment',
      holds: (value) => typeof value === 'string' && value !== '',
    },
    result: { allowed: 'Succeeded or Failed', holds: (value) => value === 'Succeeded' || value === 'Failed' },
  };
  return Object.entries(body).flatMap(([key, value]) => {
    const rule = Object.hasOwn(rules, key) ? rules[key as keyof JobRequest] : undefined;
    if (rule === undefined) return [`"${key}" is not a permitted key: use ${Object.keys(rules).join(', ')}.`];
    return rule.holds(value)
      ? []
      : [`For 'properties/${key}', ${JSON.stringify(value)} is not ${rule.allowed}.`];
  });
}
