/** How jobs move: in memory at once, durably, and into the place where their state says that they belong. */
import { backoffDelayMs } from '@mig/common/backoff';
import type { Clock } from '@mig/common/clock';
import { newId } from '@mig/common/domain/ids';
import type { JobRecord, JobSpec } from '@mig/common/domain/job';
import { isJobFinal, isOnNode } from '@mig/common/domain/job-state';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { JobBook } from './job-book.js';
import type { JobOutputs } from './job-outputs.js';
import type { JobQueue } from './job-queue.js';
import type { Nodes } from './nodes.js';

export interface NewJob {
  readonly spec: JobSpec;
  readonly submitter: string;
  /** In which it may run; undefined = in every one. */
  readonly pools?: readonly string[] | undefined;
  readonly idempotencyKey?: string | undefined;
}

/** A move: the job, what changes, and what is noted of it. */
export type Move = [id: string, fields: Partial<JobRecord>, type: string, message?: string];

export interface JobMoves {
  /** Jobs that wait for another, or to be tried again. */
  readonly waiting: ReadonlySet<string>;
  /** Jobs that make others. */
  readonly makers: ReadonlySet<string>;
  /** Nodes for which a system job has made one. */
  readonly madeFor: ReadonlyMap<string, Set<string>>;
  /** When a node last said something of a job that it has. */
  readonly heardAt: Map<string, number>;
  track(job: JobRecord): void;
  /** Resolves when it is durable. @throws StoreUnavailableError: it holds in memory, and is stored by the sweep */
  move(...change: Move): Promise<void>;
  /** For what nobody waits for. */
  moveSoon(...change: Move): void;
  /** The move of a job whose try has come to nothing: it is tried again, or it has failed. */
  retryOf(job: JobRecord, message: string): Move;
  newRecord(job: NewJob, fields: Partial<JobRecord>): JobRecord;
  /** Durable when it resolves (I1). @throws StoreUnavailableError */
  add(record: JobRecord): Promise<JobRecord>;
}

export interface JobMovesDeps {
  readonly book: JobBook;
  readonly queue: JobQueue;
  readonly nodes: Nodes;
  readonly outputs: JobOutputs;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

/** Every job that the book has is tracked from the start. */
export function createJobMoves(deps: JobMovesDeps): JobMoves {
  const { book, queue, nodes, outputs, clock, logger } = deps;
  const waiting = new Set<string>();
  const makers = new Set<string>();
  const madeFor = new Map<string, Set<string>>();
  const heardAt = new Map<string, number>();

  /** Puts the job where its state says that it belongs. */
  function track(job: JobRecord): void {
    const { id, state } = job;
    if (state === 'queued') queue.add(job);
    else queue.remove(id);
    if (state === 'waiting') waiting.add(id);
    else waiting.delete(id);
    if (state === 'active') makers.add(id);
    else makers.delete(id);
    if (job.parentId !== undefined && job.onlyNode !== undefined) {
      const made = madeFor.get(job.parentId) ?? new Set();
      madeFor.set(job.parentId, made.add(job.onlyNode));
    }
  }

  async function move(...[id, fields, type, message = '']: Move): Promise<void> {
    const before = book.get(id);
    const saved = book.change(id, fields, { type, nodeId: fields.nodeId ?? before.nodeId ?? '', message });
    const after = book.get(id);
    if (isOnNode(before.state) && !isOnNode(after.state) && before.nodeId !== undefined)
      nodes.give(before.nodeId, id, before.spec.resources);
    track(after);
    logger.info(
      { event: `job_${type}`, jobId: id, nodeId: after.nodeId, state: after.state, reason: message },
      'a job moved',
    );
    if (!isOnNode(after.state)) heardAt.delete(id);
    if (isJobFinal(after.state)) void outputs.finish(id);
    await saved;
  }

  /** For what nobody waits for; what cannot be stored now is stored by the sweep. */
  function moveSoon(...change: Move): void {
    move(...change).catch((error: unknown) =>
      logger.warn({ jobId: change[0], reason: errorMessage(error) }, 'a job could not be stored yet'),
    );
  }

  /** Its try has come to nothing: it is tried again, or it has failed. */
  function retryOf(job: JobRecord, message: string): Move {
    const { retry, type } = job.spec;
    const { id } = job;
    if (type !== 'service' && job.attempt > retry.maxRetries)
      return [id, { state: 'failed', finishedAt: clock.now(), message }, 'failed', message];
    const backoff = { firstMs: retry.backoffMs, maxMs: retry.maxBackoffMs };
    const delayMs = backoffDelayMs(backoff, Math.max(0, job.attempt - 1), deps.random);
    const fields = { message, notBefore: clock.now() + delayMs, claimedAt: undefined, startedAt: undefined };
    return [id, { ...fields, state: 'waiting' }, 'retry', message];
  }

  function newRecord(job: NewJob, fields: Partial<JobRecord>): JobRecord {
    const nowAt = clock.now();
    return {
      id: newId('job', nowAt, deps.random),
      spec: job.spec,
      state: 'queued',
      createdAt: nowAt,
      submitter: job.submitter,
      pools: job.pools,
      queuedAt: nowAt,
      attempt: 0,
      notBefore: undefined,
      nodeId: undefined,
      claimedAt: undefined,
      startedAt: undefined,
      finishedAt: undefined,
      exitCode: undefined,
      message: undefined,
      parentId: undefined,
      onlyNode: undefined,
      waitsFor: [],
      nextRunAt: undefined,
      events: [{ at: nowAt, type: 'submitted', nodeId: '', message: '' }],
      idempotencyKey: job.idempotencyKey,
      ...fields,
    };
  }

  async function add(record: JobRecord): Promise<JobRecord> {
    await book.add(record); // I1
    track(record);
    return record;
  }

  for (const job of book.list({})) {
    track(job);
    if (isOnNode(job.state) && job.nodeId !== undefined)
      nodes.take(nodes.enter(job.nodeId), job.id, job.spec.resources);
  }
  return { waiting, makers, madeFor, heardAt, track, move, moveSoon, retryOf, newRecord, add };
}
