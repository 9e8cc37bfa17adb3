/** What the controller has for tasks and jobs: their store, their parts, and what serves them. Joined to the rest in controller.ts. */
import type { IsBusy } from '@mig/common/process-load';
import type { Clock } from '@mig/common/clock';
import { fromJobRecordResource, jobRecordSchema, toJobRecordResource } from '@mig/common/api/job-resource';
import {
  fromTaskRecordResource,
  taskRecordSchema,
  toTaskRecordResource,
} from '@mig/common/api/task-resource';
import type { Logger } from '@mig/common/logger';
import type { ControllerConfig } from './config.js';
import { createJobBook } from './jobs/job-book.js';
import { createJobManager, type JobManager } from './jobs/job-manager.js';
import { createOutputStore } from './store/output/output-store.js';
import { openWorkStore } from './store/work/work-store.js';
import type { TaskManager } from './tasks/task-manager.js';
import { openTasksPart } from './tasks/tasks-part.js';

export interface Work {
  readonly tasks: TaskManager;
  readonly jobs: JobManager;
  /** Why nothing can be stored now. */
  problem(): string | undefined;
  /** Once a second. */
  sweep(): void;
  /** Sends the agents away. */
  stop(): Promise<void>;
  /** After `stop`, and after the last request: resolves when everything is stored. */
  close(): Promise<void>;
}

export interface WorkDeps {
  readonly config: ControllerConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly isBusy: IsBusy;
  /** The pool of a VM of the fleet; undefined = there is no such VM. */
  readonly fleetPoolOf: (vmId: string) => string | undefined;
}

/** @throws DataDirectoryUnreadableError, or the system's error */
export async function openWork(deps: WorkDeps): Promise<Work> {
  const { config, clock, logger, random, fleetPoolOf } = deps;
  const store = await openWorkStore(config.data_dir, {
    clock,
    logger: logger.child({ part: 'work-store' }),
    isBusy: deps.isBusy,
  });
  const outputs = createOutputStore(store.outputFolder, config.tasks.output_bytes, logger);
  const tasks = await openTasksPart({
    settings: config.tasks,
    retentionMs: config.retention.age,
    records: await store.open({
      name: 'task',
      schema: taskRecordSchema,
      toResource: toTaskRecordResource,
      fromResource: fromTaskRecordResource,
    }),
    outputs,
    fleetPoolOf,
    clock,
    logger: logger.child({ part: 'tasks' }),
    random,
  });
  const jobsLogger = logger.child({ part: 'jobs' });
  const { jobs: settings } = config;
  const book = createJobBook(
    {
      records: await store.open({
        name: 'job',
        schema: jobRecordSchema,
        toResource: toJobRecordResource,
        fromResource: fromJobRecordResource,
      }),
      clock,
      logger: jobsLogger,
    },
    { maxFinished: settings.keep_finished, retentionMs: config.retention.age },
  );
  const jobs = createJobManager(
    { book, outputs, clock, logger: jobsLogger, random },
    {
      agingMs: settings.aging,
      offlineAfterMs: settings.offline_after,
      forgetNodesAfterMs: config.retention.vms,
      placement: settings.placement,
      placementWaitMs: settings.placement_wait,
      claimTimeoutMs: settings.claim_timeout,
      forgottenAfterMs: settings.forgotten_after,
      maxOpen: settings.max_open,
    },
  );
  return {
    tasks,
    jobs,
    problem: store.problem,
    sweep() {
      tasks.sweep();
      jobs.sweep();
    },
    stop: () => tasks.stop(),
    close: () => store.close(),
  };
}
