/** The part of the controller that is about tasks, made from its settings. */
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import type { OutputStore } from './output-store.js';
import { createTaskBook, type TaskRecords } from './task-book.js';
import { createTaskManager, type TaskManager } from './task-manager.js';
import type * as z from 'zod';
import type { tasksSettings } from './settings.js';

export interface TasksPartDeps {
  readonly settings: z.infer<typeof tasksSettings>;
  readonly retentionMs: number;
  readonly records: TaskRecords;
  readonly outputs: OutputStore;
  readonly fleetPoolOf: (vmId: string) => string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

export function openTasksPart(deps: TasksPartDeps): Promise<TaskManager> {
  const { settings, clock, logger } = deps;
  const book = createTaskBook(
    { records: deps.records, clock, logger },
    { maxFinished: settings.keep_finished, retentionMs: deps.retentionMs },
  );
  return createTaskManager(
    { book, outputs: deps.outputs, clock, logger, random: deps.random, fleetPoolOf: deps.fleetPoolOf },
    { maxOpenPerVm: settings.max_per_vm, graceMs: settings.grace, resumeMs: settings.resume_grace },
  );
}
