/** Jobs that make others: by a schedule, or one for each node that matches. */
import type { Clock } from '@mig/common/clock';
import { nextRun } from '@mig/common/domain/cron';
import type { JobRecord } from '@mig/common/domain/job';
import { isJobFinal } from '@mig/common/domain/job-state';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { toRequirement } from './fit.js';
import type { JobBook } from './job-book.js';
import type { JobMoves } from './job-moves.js';
import type { JobQueue } from './job-queue.js';
import type { Node } from './nodes.js';

export interface JobMakers {
  /** Makes the jobs of system jobs for this node, where it has none yet. */
  spawnSystemJobs(node: Node): void;
  /** Makes the next job of a schedule that is due. */
  runSchedule(job: JobRecord): void;
}

export function createJobMakers(deps: {
  readonly book: JobBook;
  readonly queue: JobQueue;
  readonly moves: JobMoves;
  readonly clock: Clock;
  readonly logger: Logger;
}): JobMakers {
  const { book, queue, clock, logger } = deps;
  const { makers, madeFor, newRecord, add, track, moveSoon } = deps.moves;

  /** A job that another makes. */
  function spawn(parent: JobRecord, fields: Partial<JobRecord>): void {
    const record = newRecord(
      { ...parent, spec: { ...parent.spec, schedule: undefined }, idempotencyKey: undefined },
      { ...fields, parentId: parent.id },
    );
    add(record).catch((error: unknown) => {
      if (fields.onlyNode !== undefined) madeFor.get(parent.id)?.delete(fields.onlyNode);
      logger.error({ jobId: parent.id, reason: errorMessage(error) }, 'a job could not be made');
    });
    // At once: the next look must not make another.
    track(record);
    queue.remove(record.id);
  }

  function spawnSystemJobs(node: Node): void {
    for (const id of makers) {
      const parent = book.find(id);
      if (parent === undefined || parent.spec.type !== 'system' || madeFor.get(id)?.has(node.id)) continue;
      if (toRequirement(parent).mismatch(node) === undefined) spawn(parent, { onlyNode: node.id });
    }
  }

  function runSchedule(job: JobRecord): void {
    const { schedule } = job.spec;
    if (schedule === undefined || job.nextRunAt === undefined || job.nextRunAt > clock.now()) return;
    const next = nextRun(schedule.cron, schedule.timeZone, clock.now());
    const isBusy = book.list({ parentId: job.id }).some(({ state }) => !isJobFinal(state));
    if (!isBusy) spawn(job, {});
    moveSoon(
      job.id,
      { nextRunAt: next },
      isBusy ? 'skipped' : 'due',
      isBusy ? 'the run before has not ended' : '',
    );
  }

  return { spawnSystemJobs, runSchedule };
}
