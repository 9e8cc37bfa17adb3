/** What a controller and an agent say to each other about tasks. */
import type { DockerContainer, TaskWork } from './task.js';

/** What was added to the original contract; an agent names what it speaks in the metadata `agent_features`. */
export const AGENT_FEATURES = [
  /** It counts its responses, keeps them until they are acknowledged, and sends no more than a window ahead. */
  'ack',
  /** It honours `raw_output`. */
  'raw',
  /** It ends a task itself when its time has run out, and carries it on over a broken stream. */
  'deadline',
] as const;
export type AgentFeature = (typeof AGENT_FEATURES)[number];

export interface StartTask {
  readonly kind: 'start';
  readonly agentId: string;
  readonly taskId: string;
  readonly work: TaskWork;
  /** From the start; 0 = without end. */
  readonly timeoutMs: number;
  /** Between SIGTERM and SIGKILL; 0 = as the agent is configured. */
  readonly graceMs: number;
  /** How long it goes on without a stream; 0 = not at all. */
  readonly resumeMs: number;
  /** Output comes as it was written, also where it is no valid UTF-8. */
  readonly rawOutput: boolean;
  /** Most bytes of output that go unacknowledged; 0 = there are no acknowledgements. */
  readonly windowBytes: number;
}

export type TaskRequest =
  | StartTask
  | { readonly kind: 'cancel'; readonly agentId: string; readonly taskId: string; readonly reason: string }
  | { readonly kind: 'ack'; readonly agentId: string; readonly taskId: string; readonly sequence: number }
  | { readonly kind: 'unknown'; readonly agentId: string; readonly taskId: string }
  | { readonly kind: 'malformed'; readonly reason: string };

export type OutputStreamName = 'stdout' | 'stderr';

/** Bytes that a task wrote. */
export interface OutputChunk {
  readonly stream: OutputStreamName;
  readonly data: Uint8Array;
}

export const TASK_STATUSES = ['unknown', 'completed', 'failure', 'in_progress'] as const;
export type TaskStatus = (typeof TASK_STATUSES)[number];

export interface TaskResponse {
  readonly kind: 'response';
  readonly agentId: string;
  readonly taskId: string;
  readonly status: TaskStatus;
  readonly isFinal: boolean;
  readonly cancelled: boolean;
  readonly timedOut: boolean;
  /** From 1; 0 = not counted. */
  readonly sequence: number;
  readonly message: string;
  readonly chunks: readonly OutputChunk[];
  /** 0 if it was not said: the original contract cannot tell the two apart. */
  readonly exitCode: number;
  readonly signal: string;
  readonly containerId: string;
  readonly containers: readonly DockerContainer[];
  /** Which of the answers of the contract it is. */
  readonly about: 'shell' | 'docker' | 'cancel' | 'none';
}

export type AgentMessage = TaskResponse | { readonly kind: 'malformed'; readonly reason: string };
