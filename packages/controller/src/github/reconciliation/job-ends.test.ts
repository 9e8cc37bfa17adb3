import { describe, expect, it } from '@jest/globals';
import { jobEndsOf } from './job-ends.js';

const job = (runnerName: string | undefined, startedAt: number, completedAt?: number) => ({
  runnerName,
  startedAt,
  completedAt,
  status: completedAt === undefined ? ('in_progress' as const) : ('completed' as const),
});

describe('the end of the newest job of a runner', () => {
  it('is known when that job has ended, in whatever order the jobs are', () => {
    const jobs = [job('a', 10, 20), job('a', 1, 5), job('b', 1, 5), job('b', 10), job(undefined, 1, 2)];
    for (const known of [jobs, jobs.toReversed()]) {
      const endOf = jobEndsOf(known);
      expect(['a', 'b', 'c'].map(endOf)).toEqual([20, undefined, undefined]);
    }
  });
});
