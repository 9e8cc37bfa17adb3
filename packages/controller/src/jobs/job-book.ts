/** The records of the jobs: in memory, and durably in the store. Knows the moves and the retention, not the nodes. */
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { MAX_JOB_EVENTS, type JobEvent, type JobRecord } from '@mig/common/domain/job';
import { assertJobTransition, isJobFinal, isOnNode, type JobState } from '@mig/common/domain/job-state';
import { UnknownJobError } from './errors.js';

/** What the book needs of a store. */
export interface JobRecords {
  loaded(): readonly JobRecord[];
  /** Durable when it resolves (I1). */
  save(record: JobRecord): Promise<void>;
  remove(id: string): Promise<void>;
}

export interface JobFilter {
  readonly state?: JobState | undefined;
  readonly submitter?: string | undefined;
  readonly name?: string | undefined;
  readonly parentId?: string | undefined;
}

export interface JobBook {
  /** @throws UnknownJobError */
  get(id: string): JobRecord;
  find(id: string): JobRecord | undefined;
  /** What was submitted for this submitter by this key. */
  findByKey(submitter: string, key: string): JobRecord | undefined;
  /** Resolves when it is durable that there is such a job. @throws StoreUnavailableError: then there is none */
  added(id: string): Promise<void>;
  /** Those of this name, in the order of their making. */
  named(name: string): JobRecord[];
  /** In the order of their making. */
  list(filter: JobFilter): JobRecord[];
  readonly openCount: number;
  /** Jobs of the submitter that are on nodes. */
  activeCount(submitter: string): number;
  /** Durable when it resolves (I1). @throws StoreUnavailableError: then there is no such job */
  add(record: JobRecord): Promise<void>;
  /**
   * Holds at once; resolves when it is durable.
   *
   * @param event what is noted of it
   * @throws IllegalTransitionError if the state cannot change so (I6); StoreUnavailableError: it holds in memory, and is stored later
   */
  change(id: string, fields: Partial<JobRecord>, event?: Omit<JobEvent, 'at'>): Promise<void>;
  /** Resolves when what is known of it is durable. @throws StoreUnavailableError */
  settle(id: string): Promise<void>;
  /** Puts back what a change, which could not be stored, has changed; its caller is told that nothing was. */
  restore(record: JobRecord): void;
  /** Stores what could not be stored, and forgets old jobs. @returns those that were forgotten */
  sweep(): string[];
}

export interface JobBookOptions {
  readonly maxFinished: number;
  readonly retentionMs: number;
}

export function createJobBook(
  deps: { readonly records: JobRecords; readonly clock: Clock; readonly logger: Logger },
  options: JobBookOptions,
): JobBook {
  const { records, clock, logger } = deps;
  const jobs = new Map<string, JobRecord>();
  const byKey = new Map<string, string>();
  const byName = new Map<string, Set<string>>();
  const active = new Map<string, number>();
  const finished = new Set<string>();
  const unsaved = new Set<string>();
  const adding = new Map<string, Promise<void>>();
  for (const record of [...records.loaded()].sort((a, b) => (a.id < b.id ? -1 : 1))) enter(record);

  function count(record: JobRecord, step: 1 | -1): void {
    if (isJobFinal(record.state)) {
      if (step === 1) finished.add(record.id);
      else finished.delete(record.id);
    }
    if (isOnNode(record.state)) active.set(record.submitter, (active.get(record.submitter) ?? 0) + step);
  }

  function enter(record: JobRecord): void {
    jobs.set(record.id, record);
    const { name } = record.spec;
    byName.set(name, (byName.get(name) ?? new Set()).add(record.id));
    if (record.idempotencyKey !== undefined)
      byKey.set(keyOf(record.submitter, record.idempotencyKey), record.id);
    count(record, 1);
  }

  function leave(record: JobRecord): void {
    count(record, -1);
    jobs.delete(record.id);
    unsaved.delete(record.id);
    if (record.idempotencyKey !== undefined) byKey.delete(keyOf(record.submitter, record.idempotencyKey));
    const named = byName.get(record.spec.name);
    named?.delete(record.id);
    if (named?.size === 0) byName.delete(record.spec.name);
  }

  function put(record: JobRecord): void {
    const before = jobs.get(record.id);
    if (before !== undefined) count(before, -1);
    jobs.set(record.id, record);
    count(record, 1);
  }

  /** It says that a system job has run on its node; as long as that goes on, it must not run there again. */
  const isWitness = ({ onlyNode, parentId }: JobRecord): boolean =>
    onlyNode !== undefined && jobs.get(parentId ?? '')?.state === 'active';

  async function save(id: string): Promise<void> {
    const record = jobs.get(id);
    if (record === undefined) return;
    try {
      await records.save(record);
    } catch (error) {
      if (jobs.has(id)) unsaved.add(id);
      throw error;
    }
  }

  return {
    get(id) {
      const record = jobs.get(id);
      if (record === undefined) throw new UnknownJobError(id);
      return record;
    },
    find: (id) => jobs.get(id),
    findByKey: (submitter, key) => jobs.get(byKey.get(keyOf(submitter, key)) ?? ''),
    added: (id) => adding.get(id) ?? Promise.resolve(),
    named: (name) => [...(byName.get(name) ?? [])].flatMap((id) => jobs.get(id) ?? []),
    list: ({ state, submitter, name, parentId }) =>
      [...jobs.values()].filter(
        (job) =>
          (state === undefined || job.state === state) &&
          (submitter === undefined || job.submitter === submitter) &&
          (name === undefined || job.spec.name === name) &&
          (parentId === undefined || job.parentId === parentId),
      ),
    get openCount() {
      return jobs.size - finished.size;
    },
    activeCount: (submitter) => active.get(submitter) ?? 0,

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

    async change(id, fields, event) {
      const record = jobs.get(id);
      if (record === undefined) throw new UnknownJobError(id);
      if (fields.state !== undefined) assertJobTransition(id, record.state, fields.state); // I6
      const events =
        event === undefined
          ? record.events
          : [...record.events, { ...event, at: clock.now() }].slice(-MAX_JOB_EVENTS);
      put({ ...record, ...fields, events });
      await save(id);
    },

    async settle(id) {
      if (unsaved.delete(id)) await save(id);
    },

    restore(record) {
      put(record);
      unsaved.add(record.id);
    },

    sweep() {
      for (const id of [...unsaved]) {
        unsaved.delete(id);
        save(id).catch(() => undefined);
      }
      const gone: JobRecord[] = [];
      const excess = finished.size - options.maxFinished;
      for (const id of finished) {
        const record = jobs.get(id);
        if (record === undefined || isWitness(record)) continue;
        const isOld = (record.finishedAt ?? 0) + options.retentionMs < clock.now();
        if (gone.length < excess || isOld) gone.push(record);
      }
      for (const record of gone) {
        leave(record);
        records
          .remove(record.id)
          .catch((error: unknown) =>
            logger.warn({ jobId: record.id, reason: errorMessage(error) }, 'an old job could not be removed'),
          );
      }
      return gone.map(({ id }) => id);
    },
  };
}

/** One submitter's key is none of another's. */
const keyOf = (submitter: string, key: string): string => `${submitter}\n${key}`;
