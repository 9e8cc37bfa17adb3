/**
 * The jobs, from their submission to their end.
 *
 *   submit -> store (I1) -> queue -> offer -> claim -> store -> the node runs it -> status -> store
 *
 * A claim is decided in memory, at once, and durable before its node is told: exactly one node has a job at a time, whatever is
 * asked at the same time and whatever crashes. What a node says of a job that is no longer its own is refused.
 */
import type { Clock } from '@mig/common/clock';
import { nextRun } from '@mig/common/domain/cron';
import type { JobRecord, JobSpec } from '@mig/common/domain/job';
import { isJobFinal, isOnNode } from '@mig/common/domain/job-state';
import type { Logger } from '@mig/common/logger';
import type { OutputStore } from '../tasks/output-store.js';
import { createDependencies } from './dependencies.js';
import { BadJobError, JobEndedError, TooManyJobsError } from './errors.js';
import { isOpenTo, toRequirement } from './fit.js';
import type { JobBook, JobFilter } from './job-book.js';
import { createJobMakers } from './job-makers.js';
import { createJobMoves, type NewJob } from './job-moves.js';
import { createJobOutputs, type JobOutputs } from './job-outputs.js';
import { createJobQueue } from './job-queue.js';
import { createJobWatch, type JobWatchOptions } from './job-watch.js';
import { createNodeDesk, type NodeDesk, type NodeDeskOptions } from './node-desk.js';
import { createNodes, type Node } from './nodes.js';
import { explain, type Why } from './why.js';

export interface JobManager extends NodeDesk {
  /** Durable when it resolves (I1). @throws BadJobError, TooManyJobsError, StoreUnavailableError */
  submit(job: NewJob): Promise<JobRecord>;
  /** What keeps it from being submitted, beyond what the specification says by itself. */
  faultsOf(spec: JobSpec, pools: readonly string[] | undefined): { path: string; message: string }[];
  get(id: string): JobRecord;
  list(filter: JobFilter): JobRecord[];
  /** Those that it made are cancelled with it. @throws UnknownJobError, JobEndedError */
  cancel(id: string): Promise<JobRecord>;
  why(id: string): Why;
  nodes(): readonly Node[];
  readonly outputs: JobOutputs;

  /** Once a second. */
  sweep(): void;
}

export interface JobManagerDeps {
  readonly book: JobBook;
  readonly outputs: OutputStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

export interface JobManagerOptions extends NodeDeskOptions, JobWatchOptions {
  readonly agingMs: number;
  readonly offlineAfterMs: number;
  readonly forgetNodesAfterMs: number;
  readonly maxOpen: number;
}

export function createJobManager(deps: JobManagerDeps, options: JobManagerOptions): JobManager {
  const { book, clock, logger } = deps;
  const queue = createJobQueue(options.agingMs);
  const nodes = createNodes(clock, {
    offlineAfterMs: options.offlineAfterMs,
    forgetAfterMs: options.forgetNodesAfterMs,
  });
  const outputs = createJobOutputs(deps.outputs, clock);
  const dependencies = createDependencies(book);
  const parts = { ...deps, queue, nodes, outputs, dependencies };
  const moves = createJobMoves(parts);
  const makers = createJobMakers({ ...parts, moves });
  const watch = createJobWatch({ ...parts, moves, makers }, options);
  const desk = createNodeDesk({ ...parts, moves, makers }, options);

  return {
    ...desk,
    outputs,
    sweep: watch.sweep,

    async submit(job) {
      const { submitter, idempotencyKey } = job;
      const before = idempotencyKey === undefined ? undefined : book.findByKey(submitter, idempotencyKey);
      if (before !== undefined) {
        await book.added(before.id); // I1
        return book.get(before.id);
      }
      if (book.openCount >= options.maxOpen) throw new TooManyJobsError(options.maxOpen);
      const resolved = dependencies.resolve(job.spec, job.pools);
      if (resolved.faults.length > 0) throw new BadJobError(resolved.faults);
      const { schedule, type } = job.spec;
      const fields: Partial<JobRecord> =
        type === 'system'
          ? { state: 'active' }
          : schedule !== undefined
            ? { state: 'active', nextRunAt: nextRun(schedule.cron, schedule.timeZone, clock.now()) }
            : resolved.ids.length > 0
              ? { state: 'waiting', waitsFor: resolved.ids }
              : {};
      const record = await moves.add(moves.newRecord(job, fields));
      logger.info({ event: 'job_submitted', jobId: record.id, name: job.spec.name }, 'a job was submitted');
      if (type === 'system')
        for (const node of nodes.all()) if (node.registered && node.online) makers.spawnSystemJobs(node);
      if (record.state === 'waiting') watch.lookAtWaiting(record);
      return book.get(record.id);
    },

    faultsOf: (spec, pools) => dependencies.resolve(spec, pools).faults,
    get: book.get,
    list: book.list,
    nodes: nodes.all,

    async cancel(id) {
      const job = book.get(id);
      if (isJobFinal(job.state)) throw new JobEndedError(job);
      if (isOnNode(job.state) && job.nodeId !== undefined) nodes.get(job.nodeId)?.toEnd.add(id);
      const ended = { state: 'cancelled' as const, finishedAt: clock.now(), message: 'cancelled' };
      const children = book.list({ parentId: id }).filter(({ state }) => !isJobFinal(state));
      await moves.move(id, ended, 'cancelled');
      for (const child of children) {
        if (isOnNode(child.state) && child.nodeId !== undefined) nodes.get(child.nodeId)?.toEnd.add(child.id);
        moves.moveSoon(child.id, ended, 'cancelled');
      }
      return book.get(id);
    },

    why(id) {
      const job = book.get(id);
      // Of nodes that its submitter may not use nothing is told.
      const candidates = nodes.all().filter((node) => isOpenTo(job, node));
      const why = explain(toRequirement(job), candidates);
      const summary = stateSummary(job, why.summary, dependencies.pending(job));
      return { ...why, summary };
    },
  };
}

function stateSummary(job: JobRecord, nodes: string, pending: readonly string[]): string {
  switch (job.state) {
    case 'queued':
      return nodes;
    case 'waiting':
      if (pending.length > 0) return `it waits for ${pending.join(', ')}`;
      return `it is tried again at ${new Date(job.notBefore ?? 0).toISOString()}: ${job.message ?? ''}`;
    case 'active':
      return job.nextRunAt === undefined
        ? 'it runs once on every node that matches'
        : `its schedule is due at ${new Date(job.nextRunAt).toISOString()}`;
    case 'claimed':
    case 'running':
      return `node ${job.nodeId ?? ''} has it`;
    case 'completed':
    case 'failed':
    case 'cancelled':
      return `it has ${job.state === 'cancelled' ? 'been cancelled' : job.state}${job.message === undefined ? '' : `: ${job.message}`}`;
  }
}
