import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  foldWorkflowJob,
  isOpen,
  MAX_DELIVERIES,
  queueTimeMs,
  rankOf,
  workflowJobKey,
  WORKFLOW_JOB_STATUSES,
  type WorkflowJob,
  type WorkflowJobDetails,
  type WorkflowJobNews,
} from './workflow-job.js';

const news = (fields: Partial<WorkflowJobNews> = {}): WorkflowJobNews => ({
  id: '7',
  runAttempt: 1,
  status: 'queued',
  details: { name: 'build', labels: ['linux'], createdAt: 1_000 },
  at: 5_000,
  ...fields,
});

function folded(all: readonly WorkflowJobNews[]): WorkflowJob {
  const job = all.reduce<WorkflowJob | undefined>(foldWorkflowJob, undefined);
  if (job === undefined) throw new Error('no news');
  return job;
}

const text = fc.constantFrom('', 'a', 'b', 'c');
const optionalText = fc.option(text, { nil: undefined });
const optionalNumber = fc.option(fc.nat({ max: 3 }), { nil: undefined });
const details: fc.Arbitrary<Partial<WorkflowJobDetails>> = fc.record(
  {
    runId: text,
    name: text,
    workflowName: optionalText,
    repository: text,
    org: text,
    headBranch: optionalText,
    headSha: text,
    labels: fc.array(text, { maxLength: 2 }),
    conclusion: optionalText,
    runnerId: optionalNumber,
    runnerName: optionalText,
    runnerGroupName: optionalText,
    createdAt: optionalNumber,
    startedAt: optionalNumber,
    completedAt: optionalNumber,
  },
  { requiredKeys: [] },
);
const anyNews: fc.Arbitrary<WorkflowJobNews> = fc.record({
  id: fc.constant('7'),
  runAttempt: fc.constant(1),
  status: fc.constantFrom(...WORKFLOW_JOB_STATUSES),
  details,
  at: fc.nat({ max: 100 }),
  delivery: fc.option(
    fc.nat({ max: 40 }).map((n) => `guid-${n}`),
    { nil: undefined },
  ),
  guessed: fc.boolean(),
});
/** Some news, and the same in another order, each at least once. */
const twoOrders = fc
  .array(anyNews, { minLength: 1, maxLength: 25 })
  .chain((all) =>
    fc
      .array(fc.constantFrom(...all), { maxLength: 10 })
      .chain((again) =>
        fc.tuple(
          fc.constant(all),
          fc.shuffledSubarray([...all, ...again], { minLength: all.length + again.length }),
        ),
      ),
  );

describe('news of a job', () => {
  it('when they come in any order and however often, then the record is the same', () => {
    fc.assert(
      fc.property(twoOrders, ([inOrder, otherwise]) => {
        expect(folded(otherwise)).toEqual(folded(inOrder));
      }),
      { seed: 3, numRuns: 2_000 },
    );
  });

  it('when more come, then nothing goes back: not the status, and nothing that was known is erased', () => {
    fc.assert(
      fc.property(fc.array(anyNews, { minLength: 2, maxLength: 20 }), (all) => {
        let before: WorkflowJob | undefined;
        for (const each of all) {
          const after = foldWorkflowJob(before, each);
          if (before !== undefined) {
            expect(rankOf(after.status)).toBeGreaterThanOrEqual(rankOf(before.status));
            for (const detail of Object.keys(before.said) as (keyof WorkflowJobDetails)[])
              expect(after[detail]).toBeTruthy();
          }
          before = after;
        }
      }),
      { seed: 4, numRuns: 500 },
    );
  });

  it('when a job ends and its queued webhook comes only then, then it stays ended', () => {
    const job = folded([
      news({
        status: 'completed',
        details: { name: 'build', labels: [], conclusion: 'success', runnerName: 'r-1' },
      }),
      news({ status: 'queued', details: { labels: ['linux'], startedAt: 1_000 } }),
    ]);
    expect(job).toMatchObject({
      status: 'completed',
      conclusion: 'success',
      labels: ['linux'],
      runnerName: 'r-1',
    });
    expect(job.startedAt).toBeUndefined();
    expect(isOpen(job)).toBe(false);
  });

  it('when a runner takes the job after another was named, then the later word counts, whichever came first', () => {
    const first = news({ status: 'queued', details: { runnerName: 'r-9' } });
    const second = news({ status: 'in_progress', details: { runnerName: 'r-1' } });
    expect(folded([first, second]).runnerName).toBe('r-1');
    expect(folded([second, first]).runnerName).toBe('r-1');
  });

  it('when the end was only guessed, then the word of GitHub overrules it', () => {
    const guess = news({ status: 'completed', details: { conclusion: 'unknown' }, guessed: true });
    const word = news({ status: 'completed', details: { conclusion: 'failure' } });
    expect(folded([guess])).toMatchObject({ status: 'completed', conclusion: 'unknown' });
    expect(folded([guess, word]).conclusion).toBe('failure');
    expect(folded([word, guess]).conclusion).toBe('failure');
  });

  it('when it was told by very many webhooks, then a bounded number of them is remembered', () => {
    const all = Array.from({ length: 40 }, (_, n) => news({ delivery: `guid-${n}` }));
    expect(folded(all).deliveries).toHaveLength(MAX_DELIVERIES);
  });

  it('when it waits, runs or has ended, then its time in the queue is until then', () => {
    expect(queueTimeMs(folded([news()]), 4_000)).toBe(3_000);
    const running = [news(), news({ status: 'in_progress', details: { startedAt: 2_500 } })];
    expect(queueTimeMs(folded(running), 9_000)).toBe(1_500);
    const cancelled = [news(), news({ status: 'completed', details: { completedAt: 2_000 } })];
    expect(queueTimeMs(folded(cancelled), 9_000)).toBe(1_000);
    expect(workflowJobKey(folded(cancelled))).toBe('7-1');
  });
});
