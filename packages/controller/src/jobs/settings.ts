/** The settings `jobs.*` of the controller. */
import * as z from 'zod';
import { duration, integer } from '@mig/common/config/fields';

export const jobsSettings = z
  .strictObject({
    placement: z
      .enum(['spread', 'binpack'])
      .default('spread')
      .describe('spread: nodes are kept alike; binpack: they are filled up one by one'),
    placement_wait: duration('2s', 0, 60_000).describe(
      'a new job is left so long for a node that suits it better',
    ),
    aging: duration('10m', 1_000, 86_400_000).describe(
      'a job that waits so long gains one point of priority',
    ),
    offline_after: duration('60s', 1_000, 3_600_000).describe(
      'a node that is silent so long is offline, and its jobs are queued again',
    ),
    claim_timeout: duration('2m', 1_000, 86_400_000).describe(
      'a claimed job that is not begun in this time is queued again',
    ),
    forgotten_after: duration('24h', 0, 30 * 86_400_000).describe(
      'a running job of which a node that does not list its jobs says nothing for so long is tried again; 0s = never',
    ),
    max_open: integer(100_000, 1, 1_000_000).describe('jobs that have not ended; more are refused'),
    keep_finished: integer(10_000, 10, 1_000_000).describe('ended jobs that are kept, with their output'),
  })
  .prefault({} as never);
