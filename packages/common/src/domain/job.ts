/** A job: work that waits in a queue until a node that fits takes it. */
import type { JobState } from './job-state.js';

export const JOB_TYPES = [
  /** Runs to its end once. */
  'batch',
  /** Is to run on: when it ends it is queued again. */
  'service',
  /** Runs once on every node that matches, also on those that come later. */
  'system',
] as const;
export type JobType = (typeof JOB_TYPES)[number];

export const JOB_DRIVERS = ['exec', 'docker'] as const;
export type JobDriver = (typeof JOB_DRIVERS)[number];

export const CONSTRAINT_OPERATORS = ['==', '!=', 'in', 'regexp', '>='] as const;
export type ConstraintOperator = (typeof CONSTRAINT_OPERATORS)[number];

export interface JobConstraint {
  /** A key of the node's metadata, `labels` (a list), or `node_id`. */
  readonly attribute: string;
  readonly operator: ConstraintOperator;
  /** One value; several for `in`. */
  readonly values: readonly string[];
}

export interface JobTask {
  readonly name: string;
  readonly driver: JobDriver;
  /** Of `docker`; empty for `exec`. */
  readonly image: string;
  readonly options: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
}

export interface Resources {
  readonly ramMb: number;
  /** 100 = one core. */
  readonly cpuPercent: number;
  readonly diskMb: number;
}

export const NO_RESOURCES: Resources = { ramMb: 0, cpuPercent: 0, diskMb: 0 };

export interface JobSpec {
  readonly name: string;
  readonly type: JobType;
  /** Empty = any. */
  readonly datacenters: readonly string[];
  readonly tasks: readonly JobTask[];
  readonly resources: Resources;
  /** 0 to 100; the higher comes first. */
  readonly priority: number;
  readonly constraints: readonly JobConstraint[];
  /** Ids, or names of jobs submitted before. */
  readonly dependsOn: readonly string[];
  readonly schedule: { readonly cron: string; readonly timeZone: string } | undefined;
  /** From the claim; 0 = without end. */
  readonly deadlineMs: number;
  readonly retry: { readonly maxRetries: number; readonly backoffMs: number; readonly maxBackoffMs: number };
  readonly meta: Readonly<Record<string, string>>;
}

/** Something that happened to a job. */
export interface JobEvent {
  readonly at: number;
  /** `queued`, `claimed`, `running`, `node_lost`, `retry`, `completed`, … */
  readonly type: string;
  readonly nodeId: string;
  readonly message: string;
}

export interface JobRecord {
  readonly id: string;
  readonly spec: JobSpec;
  readonly state: JobState;
  readonly createdAt: number;
  /** Who submitted it; the queue is fair between them. */
  readonly submitter: string;
  /** Only nodes of these pools may take it: those in which its submitter is an operator. Undefined = all. */
  readonly pools: readonly string[] | undefined;
  /** Since when it waits for a node: its age in the queue. */
  readonly queuedAt: number;
  /** 1 at the first try; 0 before. */
  readonly attempt: number;
  /** A retry does not begin before. */
  readonly notBefore: number | undefined;
  /** The node that has it, or had it last. */
  readonly nodeId: string | undefined;
  readonly claimedAt: number | undefined;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
  readonly exitCode: number | undefined;
  readonly message: string | undefined;
  /** The schedule, or the system job, that made it. */
  readonly parentId: string | undefined;
  /** The only node that may take it. */
  readonly onlyNode: string | undefined;
  /** Ids that it waits for. */
  readonly waitsFor: readonly string[];
  /** Of a schedule. */
  readonly nextRunAt: number | undefined;
  /** The newest 100. */
  readonly events: readonly JobEvent[];
  readonly idempotencyKey: string | undefined;
}

/** Most events kept of a job; beyond it the oldest go. */
export const MAX_JOB_EVENTS = 100;
