/**
 * The states of a task, and the moves between them (I6).
 *
 *   created -> sent -> in_progress -> completed | failed | timeout | cancelled
 *      |         |                         ^
 *      +---------+-------------------------+
 */
import { IllegalTransitionError } from '../errors.js';

export const TASK_STATES = [
  'created',
  'sent',
  'in_progress',
  'completed',
  'failed',
  'timeout',
  'cancelled',
] as const;
export type TaskState = (typeof TASK_STATES)[number];

const ENDINGS = ['completed', 'failed', 'timeout', 'cancelled'] as const;

export const TASK_TRANSITIONS: Readonly<Record<TaskState, readonly TaskState[]>> = {
  // It cannot be completed before it was sent.
  created: ['sent', 'failed', 'timeout', 'cancelled'],
  sent: ['in_progress', ...ENDINGS],
  in_progress: [...ENDINGS],
  completed: [],
  failed: [],
  timeout: [],
  cancelled: [],
};

/** Has the task ended? */
export const isTaskFinal = (state: TaskState): boolean => TASK_TRANSITIONS[state].length === 0;

/** @throws IllegalTransitionError if the table has no such move */
export function assertTaskTransition(taskId: string, from: TaskState, to: TaskState): void {
  if (!TASK_TRANSITIONS[from].includes(to)) throw new IllegalTransitionError(`task ${taskId}`, from, to);
}
