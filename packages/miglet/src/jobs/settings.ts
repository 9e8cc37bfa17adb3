/** The settings `jobs.*` of the MIGlet. */
import * as z from 'zod';
import { duration, integer } from '@mig/common/config/fields';

const amount = (help: string) =>
  z.number(`expected a number`).min(0, 'expected 0 or more').default(0).describe(help);

export const jobsSettings = z
  .strictObject({
    enabled: z
      .boolean('expected true or false')
      .default(false)
      .describe("take jobs from the controller's queue"),
    when: z
      .enum(['idle', 'beside'])
      .default('idle')
      .describe('idle: only while the runner has no job; beside: always. A job that runs is not interrupted'),
    max_parallel: integer(1, 1, 1_000).describe('jobs at a time'),
    poll: duration('5s', 100, 3_600_000).describe('how often a job is asked for'),
    heartbeat: duration('15s', 100, 50_000).describe('how often the node says that it is there'),
    datacenter: z.string().max(63).default('').describe('where this VM is; jobs may name it'),
    metadata: z.record(z.string(), z.string()).default({}).describe('what constraints of jobs may ask for'),
    ram_mb: amount('memory for jobs, MB; 0 = all'),
    cpu_percent: amount('CPU for jobs, 100 = one core; 0 = all'),
    disk_mb: amount('disk for jobs, MB; 0 = what is free now'),
  })
  .prefault({} as never);
