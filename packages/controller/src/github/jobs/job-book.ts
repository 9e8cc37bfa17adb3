/**
 * The workflow jobs that the controller knows, in memory and on disk.
 *
 * News are folded into a job (domain/workflow-job.ts) and are on disk before whoever brought them hears that they were taken. The
 * webhooks that were folded are known by their GUID, also after a restart: the GUIDs are kept in the jobs.
 *
 * Limits (I12): `MAX_OPEN` jobs that have not ended, above which a new one is refused; `maxFinished` that have, the oldest
 * forgotten first; each is kept for `retentionMs`, and an open one of which nothing is heard for `SILENT_MS` is forgotten too. The
 * GUIDs go with their jobs.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '@mig/common/clock';
import { errorMessage, MigError } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import {
  foldWorkflowJob,
  isOpen,
  workflowJobKey,
  type WorkflowJob,
  type WorkflowJobNews,
} from '@mig/common/domain/workflow-job';
import type { Store } from '../../store/store.js';

/** Jobs that have not ended. */
const MAX_OPEN = 50_000;
/** GitHub ends a run after 35 days: an open job that is silent for longer has ended, and that was never heard. */
const SILENT_MS = 35 * 86_400_000;
/** So many more than the limit may be there before they are looked for out of turn. */
const SLACK = 1_000;

/** Not even a webhook can be taken: it fails at GitHub, and is delivered again later. */
export class TooManyWorkflowJobsError extends MigError {
  constructor(limit: number) {
    super(
      'too-many-workflow-jobs',
      `${limit} workflow jobs are open, the most that are kept: no new one is taken until some have ended; "migctl get workflow-jobs --status open" shows them`,
    );
  }
}

/** `unchanged`: it said nothing that was not known. `duplicate`: this webhook was taken before. */
export type Taken = 'taken' | 'duplicate' | 'unchanged';

export interface WorkflowJobBook {
  /** Of several attempts under one id, the last. */
  get(id: string, runAttempt?: number): WorkflowJob | undefined;
  /** In no order. */
  all(): Iterable<WorkflowJob>;
  /** Those that have not ended, in no order. */
  open(): Iterable<WorkflowJob>;
  readonly openCount: number;
  readonly finishedCount: number;
  /** Was the webhook with this GUID taken? */
  knows(delivery: string): boolean;
  /**
   * Folds the news into the job; resolves when that is on disk. If it cannot be stored, it is as if it had never come.
   * @throws TooManyWorkflowJobsError, StoreUnavailableError
   */
  take(news: WorkflowJobNews): Promise<Taken>;
  /** Told of each job that changed, when that is on disk. @returns ends the subscription */
  onChange(listener: (job: WorkflowJob) => void): () => void;
  /** Forgets what is too old or too much. */
  sweep(): void;
}

export interface WorkflowJobBookDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface WorkflowJobBookOptions {
  /** A finished job is kept for so long. */
  readonly retentionMs: number;
  /** Most finished jobs that are kept. */
  readonly maxFinished: number;
  /** Default 50,000. */
  readonly maxOpen?: number;
}

export function createWorkflowJobBook(
  { store, clock, logger }: WorkflowJobBookDeps,
  { retentionMs, maxFinished, maxOpen = MAX_OPEN }: WorkflowJobBookOptions,
): WorkflowJobBook {
  const jobs = new Map<string, WorkflowJob>();
  const openKeys = new Set<string>();
  /** The last attempt that is known under each id. */
  const lastAttempts = new Map<string, number>();
  /** Of each webhook that was taken, or is being stored. */
  const deliveries = new Map<string, 'stored' | Promise<void>>();
  const listeners = new Set<(job: WorkflowJob) => void>();
  for (const job of store.loadedWorkflowJobs()) {
    remember(job);
    for (const delivery of job.deliveries) deliveries.set(delivery, 'stored');
  }

  function remember(job: WorkflowJob): void {
    const key = workflowJobKey(job);
    jobs.set(key, job);
    if (isOpen(job)) openKeys.add(key);
    else openKeys.delete(key);
    lastAttempts.set(job.id, Math.max(lastAttempts.get(job.id) ?? 0, job.runAttempt));
  }

  function forget(job: WorkflowJob): void {
    const key = workflowJobKey(job);
    jobs.delete(key);
    openKeys.delete(key);
    if (lastAttempts.get(job.id) === job.runAttempt) lastAttempts.delete(job.id);
    for (const delivery of job.deliveries) deliveries.delete(delivery);
  }

  /** As it was before, unless more has come since: then what comes of that decides. */
  function takeBack(before: WorkflowJob | undefined, after: WorkflowJob): void {
    if (jobs.get(workflowJobKey(after)) !== after) return;
    if (before === undefined) forget(after);
    else remember(before);
  }

  async function save(before: WorkflowJob | undefined, after: WorkflowJob): Promise<void> {
    remember(after);
    try {
      await store.saveWorkflowJob(after);
    } catch (error) {
      takeBack(before, after);
      throw error;
    }
    tell(after);
    if (jobs.size - openKeys.size > maxFinished + SLACK) sweep();
  }

  /** It is on disk: what a listener makes of it is no reason to have it delivered again. */
  function tell(job: WorkflowJob): void {
    for (const listener of listeners) {
      try {
        listener(job);
      } catch (error) {
        logger.error({ jobId: job.id, err: error }, 'a listener of workflow jobs failed');
      }
    }
  }

  async function takeDelivery(delivery: string, saved: Promise<void>): Promise<void> {
    deliveries.set(delivery, saved);
    try {
      await saved;
      deliveries.set(delivery, 'stored');
    } catch (error) {
      deliveries.delete(delivery);
      throw error;
    }
  }

  function sweep(): void {
    const now = clock.now();
    const finished = [...jobs.values()]
      .filter((job) => !isOpen(job))
      .sort((a, b) => a.updatedAt - b.updatedAt);
    const surplus = finished.length - maxFinished;
    const old = finished.filter((job, index) => index < surplus || now - job.updatedAt > retentionMs);
    const silent = [...openJobs()].filter((job) => now - job.updatedAt > SILENT_MS);
    for (const job of silent)
      logger.warn(
        { jobId: job.id, repository: job.repository, status: job.status },
        'nothing was heard of a workflow job for 35 days: it is forgotten',
      );
    for (const job of [...old, ...silent]) {
      forget(job);
      store
        .deleteWorkflowJob(job)
        .catch((error: unknown) =>
          logger.warn({ jobId: job.id, reason: errorMessage(error) }, 'an old job could not be removed'),
        );
    }
  }

  function* openJobs(): Iterable<WorkflowJob> {
    for (const key of openKeys) {
      const job = jobs.get(key);
      if (job !== undefined) yield job;
    }
  }

  return {
    get(id, runAttempt = lastAttempts.get(id) ?? 1) {
      return jobs.get(workflowJobKey({ id, runAttempt }));
    },
    all: () => jobs.values(),
    open: openJobs,
    get openCount() {
      return openKeys.size;
    },
    get finishedCount() {
      return jobs.size - openKeys.size;
    },
    knows: (delivery) => deliveries.get(delivery) === 'stored',

    async take(news) {
      const known = news.delivery === undefined ? undefined : deliveries.get(news.delivery);
      if (known !== undefined) {
        await known; // the other copy is being stored: if that fails, so does this one
        return 'duplicate';
      }
      const before = jobs.get(workflowJobKey(news));
      const after = foldWorkflowJob(before, news);
      if (before === undefined && isOpen(after) && openKeys.size >= maxOpen)
        throw new TooManyWorkflowJobsError(maxOpen);
      if (news.delivery === undefined) {
        if (before !== undefined && saysTheSame(before, after)) return 'unchanged';
        await save(before, after);
      } else {
        await takeDelivery(news.delivery, save(before, after));
      }
      return 'taken';
    },

    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    sweep,
  };
}

const saysTheSame = (a: WorkflowJob, b: WorkflowJob): boolean =>
  isDeepStrictEqual({ ...a, updatedAt: 0 }, { ...b, updatedAt: 0 });
