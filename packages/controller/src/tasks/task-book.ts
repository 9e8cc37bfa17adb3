/** The records of the tasks: in memory, and durably in the store. Knows the moves, the ends and the retention, not the agents. */
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import type { TaskRecord } from '@mig/common/domain/task';
import { assertTaskTransition, isTaskFinal, type TaskState } from '@mig/common/domain/task-state';
import { UnknownTaskError } from './errors.js';

/** What the book needs of a store. */
export interface TaskRecords {
  loaded(): readonly TaskRecord[];
  /** Durable when it resolves (I1). */
  save(record: TaskRecord): Promise<void>;
  remove(id: string): Promise<void>;
}

export interface TaskFilter {
  readonly vmId?: string | undefined;
  readonly state?: TaskState | undefined;
}

export interface TaskBook {
  /** @throws UnknownTaskError */
  get(id: string): TaskRecord;
  find(id: string): TaskRecord | undefined;
  /** What this caller has submitted by this key. */
  findByKey(createdBy: string, key: string): TaskRecord | undefined;
  /** Resolves when it is durable that there is such a task. @throws StoreUnavailableError: then there is none */
  added(id: string): Promise<void>;
  /** In the order of their making. */
  list(filter: TaskFilter): TaskRecord[];
  /** Those of the VM that have not ended. */
  open(vmId: string): TaskRecord[];
  /** Durable when it resolves (I1). @throws StoreUnavailableError: then there is no such task */
  add(record: TaskRecord): Promise<void>;
  /**
   * Holds at once; resolves when it is durable. What cannot be stored now is stored later.
   * @throws IllegalTransitionError if the state cannot change so (I6)
   */
  change(id: string, fields: Partial<TaskRecord>): Promise<void>;
  /** Stores what could not be stored, and forgets old tasks. @returns those that were forgotten */
  sweep(): string[];
}

export interface TaskBookOptions {
  /** Ended tasks that are kept, and for how long. */
  readonly maxFinished: number;
  readonly retentionMs: number;
}

export function createTaskBook(
  deps: { readonly records: TaskRecords; readonly clock: Clock; readonly logger: Logger },
  options: TaskBookOptions,
): TaskBook {
  const { records, clock, logger } = deps;
  const tasks = new Map<string, TaskRecord>();
  const byKey = new Map<string, string>();
  const unsaved = new Set<string>();
  const adding = new Map<string, Promise<void>>();
  for (const record of [...records.loaded()].sort(byId)) enter(record);

  function enter(record: TaskRecord): void {
    tasks.set(record.id, record);
    if (record.idempotencyKey !== undefined)
      byKey.set(keyOf(record.createdBy, record.idempotencyKey), record.id);
  }

  function leave(record: TaskRecord): void {
    tasks.delete(record.id);
    unsaved.delete(record.id);
    if (record.idempotencyKey !== undefined) byKey.delete(keyOf(record.createdBy, record.idempotencyKey));
  }

  async function save(id: string): Promise<void> {
    const record = tasks.get(id);
    if (record === undefined) return;
    try {
      await records.save(record);
    } catch (error) {
      if (tasks.has(id)) unsaved.add(id);
      throw error;
    }
  }

  return {
    get(id) {
      const record = tasks.get(id);
      if (record === undefined) throw new UnknownTaskError(id);
      return record;
    },
    find: (id) => tasks.get(id),
    findByKey: (createdBy, key) => tasks.get(byKey.get(keyOf(createdBy, key)) ?? ''),
    added: (id) => adding.get(id) ?? Promise.resolve(),
    list: ({ vmId, state }) =>
      [...tasks.values()].filter(
        (task) => (vmId === undefined || task.vmId === vmId) && (state === undefined || task.state === state),
      ),
    open: (vmId) => [...tasks.values()].filter((task) => task.vmId === vmId && !isTaskFinal(task.state)),

    async add(record) {
      enter(record);
      const saved = records.save(record); // I1
      adding.set(record.id, saved);
      try {
        await saved;
      } catch (error) {
        leave(record);
        throw error;
      } finally {
        adding.delete(record.id);
      }
    },

    async change(id, fields) {
      const record = tasks.get(id);
      if (record === undefined) throw new UnknownTaskError(id);
      if (fields.state !== undefined && fields.state !== record.state)
        assertTaskTransition(id, record.state, fields.state); // I6
      tasks.set(id, { ...record, ...fields });
      await save(id);
    },

    sweep() {
      for (const id of [...unsaved]) {
        unsaved.delete(id);
        save(id).catch(() => undefined);
      }
      const finished = [...tasks.values()].filter(({ state }) => isTaskFinal(state));
      const oldest = finished.slice(0, Math.max(0, finished.length - options.maxFinished));
      const expired = finished.filter(({ finishedAt = 0 }) => finishedAt + options.retentionMs < clock.now());
      const gone = [...new Set([...oldest, ...expired])];
      for (const record of gone) {
        leave(record);
        records
          .remove(record.id)
          .catch((error: unknown) =>
            logger.warn(
              { taskId: record.id, reason: errorMessage(error) },
              'an old task could not be removed',
            ),
          );
      }
      return gone.map(({ id }) => id);
    },
  };
}

/** One caller's key is none of another's. */
const keyOf = (createdBy: string, key: string): string => `${createdBy}\n${key}`;

/** Ids sort by the time of their making. */
const byId = (a: { readonly id: string }, b: { readonly id: string }): number => (a.id < b.id ? -1 : 1);
