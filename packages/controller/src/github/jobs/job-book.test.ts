import { beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  fromWorkflowJobRecordResource,
  toWorkflowJobRecordResource,
} from '@mig/common/api/workflow-job-resource';
import type { WorkflowJob, WorkflowJobNews } from '@mig/common/domain/workflow-job';
import { createManualClock, type ManualClock } from '../../../../common/src/manual-clock.contract.js';
import { createMemoryStore, type MemoryStore } from '../../store/memory-store.contract.js';
import { workflowJob } from '../../store/samples.contract.js';
import { StoreUnavailableError } from '../../store/store.js';
import { createTestLog, type TestLog } from '../../test-log.contract.js';
import { createWorkflowJobBook, TooManyWorkflowJobsError, type WorkflowJobBook } from './job-book.js';

const DAY_MS = 86_400_000;

let store: MemoryStore;
let clock: ManualClock;
let log: TestLog;
let book: WorkflowJobBook;

const open = (options: { maxFinished?: number; maxOpen?: number } = {}) =>
  createWorkflowJobBook(
    { store, clock, logger: log.logger },
    { retentionMs: 7 * DAY_MS, maxFinished: 20_000, ...options },
  );
beforeEach(() => {
  store = createMemoryStore();
  clock = createManualClock();
  log = createTestLog();
  book = open();
});

const news = (id: number, fields: Partial<WorkflowJobNews> = {}): WorkflowJobNews => ({
  id: String(id),
  runAttempt: 1,
  status: 'queued',
  details: { name: `job ${id}`, repository: 'acme/app' },
  at: clock.now(),
  delivery: `guid-${id}-${fields.status ?? 'queued'}`,
  ...fields,
});
const idsOf = (jobs: Iterable<WorkflowJob>) => [...jobs].map(({ id }) => Number(id)).sort((a, b) => a - b);

describe('a job that is told of', () => {
  it('when it is taken, then it is on disk first, and listeners hear of it then', async () => {
    const heard: string[] = [];
    book.onChange((job) => heard.push(job.status));
    const release = store.hold();
    const taken = book.take(news(7));
    await Promise.resolve();
    expect([store.workflowJobs.size, heard, book.knows('guid-7-queued')]).toEqual([0, [], false]);
    release();
    expect(await taken).toBe('taken');
    expect([store.workflowJobs.size, heard, book.knows('guid-7-queued')]).toEqual([1, ['queued'], true]);
    expect(await book.take(news(7))).toBe('duplicate');
    expect(heard).toEqual(['queued']);
  });

  it('when a listener fails, then it is taken all the same, the others hear of it, and it is logged', async () => {
    const heard: string[] = [];
    book.onChange(() => {
      throw new Error('a listener');
    });
    book.onChange((job) => heard.push(job.id));
    expect(await book.take(news(7))).toBe('taken');
    expect([heard, book.knows('guid-7-queued')]).toEqual([['7'], true]);
    expect(log.text()).toContain('a listener of workflow jobs failed');
  });

  it('when it cannot be stored, then it is as if it had never come, also for the copy that came meanwhile', async () => {
    store.failNext(1);
    const release = store.hold();
    const both = [book.take(news(7)), book.take(news(7))];
    release();
    for (const outcome of await Promise.allSettled(both))
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: expect.any(StoreUnavailableError) as unknown,
      });
    expect([book.openCount, book.knows('guid-7-queued'), book.get('7')]).toEqual([0, false, undefined]);
    await book.take(news(7, { status: 'in_progress' }));
    store.failNext(1);
    await expect(book.take(news(7, { status: 'completed' }))).rejects.toThrow(StoreUnavailableError);
    expect(book.get('7')?.status).toBe('in_progress');
    expect(await book.take(news(7, { status: 'in_progress', delivery: 'other' }))).toBe('taken');
    expect(await book.take(news(7, { status: 'completed' }))).toBe('taken');
    expect(book.get('7')?.status).toBe('completed');
  });

  it('when saves fail at random, then what was said to be taken is on disk, and what is in memory is never less', async () => {
    const step = fc.record({
      id: fc.integer({ min: 1, max: 3 }),
      status: fc.constantFrom('queued', 'in_progress', 'completed'),
      fails: fc.boolean(),
      waits: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        store = createMemoryStore();
        book = open();
        const taken = new Set<string>();
        const pending: Promise<unknown>[] = [];
        for (const [index, { id, status, fails, waits }] of steps.entries()) {
          if (fails) store.failNext(1);
          const delivery = `guid-${index}`;
          const taking = book.take(news(id, { status: status as WorkflowJobNews['status'], delivery }));
          pending.push(
            taking.then(
              () => taken.add(delivery),
              () => undefined,
            ),
          );
          if (waits) await Promise.all(pending);
        }
        await Promise.all(pending);
        const stored = new Set([...store.workflowJobs.values()].flatMap((job) => job.deliveries));
        for (const delivery of taken) {
          expect(stored).toContain(delivery);
          expect(book.knows(delivery)).toBe(true);
        }
        const again = createMemoryStore({ workflowJobs: [...store.workflowJobs.values()] });
        expect(idsOf(again.loadedWorkflowJobs())).toEqual(idsOf(store.workflowJobs.values()));
      }),
      { seed: 5, numRuns: 300 },
    );
  });

  it('when the controller starts again, then jobs and the webhooks that told of them are known', async () => {
    await book.take(news(7));
    await book.take(news(7, { runAttempt: 2, status: 'completed' }));
    store = createMemoryStore({ workflowJobs: [...store.workflowJobs.values()] });
    book = open();
    expect(book.get('7')).toMatchObject({ runAttempt: 2 });
    expect(book.get('7', 1)).toMatchObject({ status: 'queued' });
    expect([book.openCount, book.finishedCount]).toEqual([1, 1]);
    expect(await book.take(news(7))).toBe('duplicate');
  });

  it('when a question about it brings nothing new, then nothing is written', async () => {
    await book.take(news(7));
    const before = store.workflowJobs.get('7-1');
    clock.advance(DAY_MS);
    expect(await book.take(news(7, { delivery: undefined }))).toBe('unchanged');
    expect(store.workflowJobs.get('7-1')).toBe(before);
    const stored = [...store.workflowJobs.values()].map(toWorkflowJobRecordResource);
    store = createMemoryStore({ workflowJobs: stored.map(fromWorkflowJobRecordResource) });
    book = open();
    expect(await book.take(news(7, { delivery: undefined }))).toBe('unchanged');
    expect(await book.take(news(7, { delivery: undefined, status: 'in_progress' }))).toBe('taken');
  });
});

describe('limits', () => {
  it('when too many are open, then a new one is refused, and one that has ended or is known is taken', async () => {
    book = open({ maxOpen: 2 });
    await book.take(news(1));
    await book.take(news(2));
    const refused = book.take(news(3));
    await expect(refused).rejects.toThrow(TooManyWorkflowJobsError);
    await expect(refused).rejects.toThrow(/^2 workflow jobs are open/);
    expect(await book.take(news(4, { status: 'completed' }))).toBe('taken');
    expect(await book.take(news(1, { status: 'completed' }))).toBe('taken');
    expect(await book.take(news(3))).toBe('taken');
  });

  it('when finished jobs are too many or too old, then the oldest are forgotten, with their webhooks, on disk too', async () => {
    book = open({ maxFinished: 3 });
    for (const id of [1, 2, 3, 4, 5]) {
      await book.take(news(id, { status: 'completed' }));
      clock.advance(1_000);
    }
    await book.take(news(6));
    book.sweep();
    expect(idsOf(book.all())).toEqual([3, 4, 5, 6]);
    expect(idsOf(store.workflowJobs.values())).toEqual([3, 4, 5, 6]);
    expect(book.knows('guid-1-completed')).toBe(false);
    clock.advance(7 * DAY_MS - 1_500);
    book.sweep();
    expect(idsOf(book.all())).toEqual([5, 6]);
    expect([book.openCount, book.finishedCount]).toEqual([1, 1]);
  });

  it('when very many end at once, then they are not waited for until the next sweep', async () => {
    book = open({ maxFinished: 100 });
    for (let id = 1; id <= 1_101; id += 1) await book.take(news(id, { status: 'completed' }));
    expect(book.finishedCount).toBe(100);
  });

  it('when nothing was heard of an open job for 35 days, then it is forgotten, and said to be', async () => {
    await book.take(news(7));
    clock.advance(35 * DAY_MS);
    book.sweep();
    expect(book.openCount).toBe(1);
    clock.advance(1);
    book.sweep();
    expect([book.openCount, store.workflowJobs.size]).toEqual([0, 0]);
    expect(log.text()).toContain('nothing was heard of a workflow job for 35 days');
  });

  it('when the store has more than it may keep, then they are looked at in the first sweep', () => {
    store = createMemoryStore({
      workflowJobs: [1, 2, 3].map((id) => workflowJob({ id: String(id), status: 'completed' })),
    });
    book = open({ maxFinished: 1 });
    book.sweep();
    expect(book.finishedCount).toBe(1);
  });
});
