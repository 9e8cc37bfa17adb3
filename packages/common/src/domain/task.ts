/** A task: one piece of work on one VM, pushed to it, with its output as it comes. */
import type { TaskState } from './task-state.js';

export interface ShellWork {
  readonly kind: 'shell';
  /** For `/bin/sh -c`. */
  readonly cmd: string;
  /** `NAME=value`. In a record the values are left out (I8). */
  readonly env: readonly string[];
  /** Empty = as the agent is configured. */
  readonly workingDir: string;
}

/** What is asked of the Docker engine. The fields are called as on the wire (proto/tasks.proto), which says what they mean. */
export type DockerOperation =
  | {
      readonly kind: 'run';
      readonly image: string;
      readonly name: string;
      readonly command: readonly string[];
      /** `NAME=value`. In a record the values are left out (I8). */
      readonly env: readonly string[];
      readonly volumes: readonly string[];
      readonly ports: readonly string[];
      readonly workdir: string;
      readonly user: string;
      readonly network: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly detach: boolean;
      readonly rm: boolean;
      readonly pull: boolean;
      readonly memory: number;
      readonly cpus: number;
    }
  | { readonly kind: 'start'; readonly container: string }
  | { readonly kind: 'stop'; readonly container: string; readonly timeout: number }
  | {
      readonly kind: 'logs';
      readonly container: string;
      readonly follow: boolean;
      readonly tail: number;
      readonly timestamps: boolean;
    }
  | { readonly kind: 'pull'; readonly image: string }
  | {
      readonly kind: 'remove';
      readonly container: string;
      readonly force: boolean;
      readonly volumes: boolean;
    }
  | { readonly kind: 'list'; readonly all: boolean };

export interface DockerWork {
  readonly kind: 'docker';
  readonly operation: DockerOperation;
}

export type TaskWork = ShellWork | DockerWork;

export interface DockerContainer {
  readonly id: string;
  readonly names: readonly string[];
  readonly image: string;
  readonly state: string;
  readonly status: string;
  /** Unix seconds. */
  readonly created: number;
}

/** A task that names no timeout is ended after this: 5 minutes. */
export const DEFAULT_TASK_TIMEOUT_MS = 5 * 60_000;
/** Longest timeout of a task: 7 days. */
export const MAX_TASK_TIMEOUT_MS = 7 * 86_400_000;
/** Longest command, in characters: with its environment it fits into one message (1 MiB). */
export const MAX_COMMAND_LENGTH = 128 * 1024;

export interface TaskRecord {
  readonly id: string;
  readonly vmId: string;
  /** In which the VM was when it was submitted, and has to be when it is sent; empty = in none that is known. */
  readonly poolId: string;
  /** Without the values of its environment (I8). */
  readonly work: TaskWork;
  readonly state: TaskState;
  readonly createdAt: number;
  readonly createdBy: string;
  /** From its start; 0 = without end. */
  readonly timeoutMs: number;
  /** It waits so long for its agent to take it, from its making. */
  readonly deliveryTimeoutMs: number;
  /** If its agent disconnects, it goes on when the agent is back within the grace time. */
  readonly resume: boolean;
  /** Output waits for a reader instead of being cut. */
  readonly holdOutput: boolean;
  readonly sentAt: number | undefined;
  readonly finishedAt: number | undefined;
  readonly cancelRequestedAt: number | undefined;
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  /** Why it ended as it did, for a person. */
  readonly message: string | undefined;
  /** Of a `docker run`. */
  readonly containerId: string | undefined;
  /** Of a `docker list`. */
  readonly containers: readonly DockerContainer[] | undefined;
  /** All that it wrote, bytes. */
  readonly outputBytes: number;
  /** Of these, so many are gone: the middle of much output is cut out. */
  readonly outputCutBytes: number;
  readonly idempotencyKey: string | undefined;
}

/** The work without the values of its environment: `NAME` for `NAME=value`. For records, logs and people (I8). */
export function withoutSecrets(work: TaskWork): TaskWork {
  const names = (env: readonly string[]): string[] => env.map((entry) => entry.split('=', 1)[0] ?? '');
  if (work.kind === 'shell') return { ...work, env: names(work.env) };
  const { operation } = work;
  if (operation.kind !== 'run') return work;
  return { ...work, operation: { ...operation, env: names(operation.env) } };
}

export const environmentOf = (work: TaskWork): readonly string[] =>
  work.kind === 'shell' ? work.env : work.operation.kind === 'run' ? work.operation.env : [];

/** The task in a few words: `shell: df -h`, `docker run: alpine`. */
export function describeWork(work: TaskWork): string {
  if (work.kind === 'shell') return `shell: ${work.cmd}`;
  const { operation } = work;
  const about = 'image' in operation ? operation.image : 'container' in operation ? operation.container : '';
  return about === '' ? `docker ${operation.kind}` : `docker ${operation.kind}: ${about}`;
}
