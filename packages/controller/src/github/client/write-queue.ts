/**
 * The turns of requests that change something: one after the other at `github.writes_per_second`, as GitHub asks of its API
 * (docs.github.com, "Best practices for using the REST API"), and of those that wait the one of the most important class first. A
 * registration does not wait behind the deletions of a whole pool.
 */
import Bottleneck from 'bottleneck';
import { CALL_CLASSES, GitHubCallError, type CallClass } from './github-client.js';

/** What waits for its turn, in seconds of the pace, counted with what comes before it; more is put off. */
const MAX_WAIT_S = 60;

export interface WriteQueue {
  /** Resolves with what the request does, which begins when it has its turn. @throws GitHubCallError `budget` */
  run<T>(callClass: CallClass, request: () => T | Promise<T>): Promise<T>;
  /** What waits fails, and so does every later one. */
  stop(): void;
}

export function createWriteQueue(writesPerSecond: number, stopped: string): WriteQueue {
  const turns = new Bottleneck({ maxConcurrent: 1, minTime: Math.ceil(1_000 / writesPerSecond) });
  /** By the rank of their classes: those that have not had their turn, and those that have and are not answered. */
  const open = CALL_CLASSES.map(() => 0);

  return {
    async run(callClass, request) {
      const rank = CALL_CLASSES.indexOf(callClass);
      const before = open.slice(0, rank + 1).reduce((sum, count) => sum + count, 0);
      if (before >= MAX_WAIT_S * writesPerSecond) {
        const afterMs = Math.ceil((before * 1_000) / writesPerSecond);
        const message = `${before} requests that change something, and matter as much as a ${callClass} or more, wait for their turn (github.writes_per_second: ${writesPerSecond})`;
        throw new GitHubCallError('budget', message, undefined, afterMs);
      }
      open[rank] = (open[rank] ?? 0) + 1;
      try {
        // The library's priorities go from 0, which is first, to 9. Only the turn is waited for, not the answer.
        await turns.schedule({ priority: rank }, () => Promise.resolve());
        return await request();
      } finally {
        open[rank] = (open[rank] ?? 1) - 1;
      }
    },
    stop: () =>
      void turns.stop({ dropWaitingJobs: true, dropErrorMessage: stopped, enqueueErrorMessage: stopped }),
  };
}
