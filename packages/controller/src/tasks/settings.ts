/** The settings `tasks.*` of the controller. */
import * as z from 'zod';
import { duration, integer } from '@mig/common/config/fields';

export const tasksSettings = z
  .strictObject({
    max_per_vm: integer(64, 1, 10_000).describe('unfinished tasks of one VM; more are refused'),
    grace: duration('10s', 0, 3_600_000).describe('from SIGTERM to SIGKILL'),
    resume_grace: duration('60s', 1_000, 86_400_000).describe(
      'a task that is to be resumed waits so long for its VM',
    ),
    output_bytes: integer(16_777_216, 65_536, 1_073_741_824).describe(
      'output kept of each task and job, on disk; the middle of more is cut out',
    ),
    keep_finished: integer(2_000, 10, 100_000).describe('ended tasks that are kept, with their output'),
  })
  .prefault({} as never);
