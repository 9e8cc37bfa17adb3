/**
 * The states of a job, and the moves between them (I6).
 *
 *   waiting -> queued -> claimed -> running -> completed | failed | cancelled
 *      ^          ^         |          |
 *      +----------+---------+----------+      its node is gone, or it failed and is tried again
 *
 * `active` is a job that makes others: one with a schedule, or one that runs on every node.
 */
import { IllegalTransitionError } from '../errors.js';

export const JOB_STATES = [
  'active',
  'waiting',
  'queued',
  'claimed',
  'running',
  'completed',
  'failed',
  'cancelled',
] as const;
export type JobState = (typeof JOB_STATES)[number];

const AGAIN = ['waiting', 'queued'] as const;
const ENDINGS = ['completed', 'failed', 'cancelled'] as const;

export const JOB_TRANSITIONS: Readonly<Record<JobState, readonly JobState[]>> = {
  active: ['cancelled'],
  waiting: ['queued', 'failed', 'cancelled'],
  queued: ['claimed', 'cancelled'],
  claimed: ['running', ...AGAIN, ...ENDINGS],
  running: [...AGAIN, ...ENDINGS],
  completed: [],
  failed: [],
  cancelled: [],
};

export const isJobFinal = (state: JobState): boolean => JOB_TRANSITIONS[state].length === 0;

/** Has a node got it? */
export const isOnNode = (state: JobState): boolean => state === 'claimed' || state === 'running';

/** @throws IllegalTransitionError if the table has no such move */
export function assertJobTransition(jobId: string, from: JobState, to: JobState): void {
  if (from !== to && !JOB_TRANSITIONS[from].includes(to))
    throw new IllegalTransitionError(`job ${jobId}`, from, to);
}
