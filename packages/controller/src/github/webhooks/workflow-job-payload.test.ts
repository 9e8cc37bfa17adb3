import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { foldWorkflowJob, type WorkflowJob, type WorkflowJobNews } from '@mig/common/domain/workflow-job';
import { EXAMPLES, payloadOf } from './test-webhook.contract.js';
import { toNews } from './workflow-job-payload.js';

const newsOf = (payload: unknown, at = 1): WorkflowJobNews => {
  const read = toNews(payload, `guid-${at}`, at);
  if (read.kind !== 'news') throw new Error(JSON.stringify(read));
  return read.news;
};

describe('what a webhook says of a job', () => {
  it.each([
    ['queued', 'queued', 'queued'],
    // GitHub's own example: it waits for an approval
    ['queued', 'waiting', 'waiting'],
    ['queued', 'pending', 'pending'],
    ['waiting', 'waiting', 'waiting'],
    // told late: the status is of when it was written
    ['waiting', 'queued', 'queued'],
    ['queued', 'in_progress', 'in_progress'],
    ['in_progress', 'queued', 'in_progress'],
    ['in_progress', 'in_progress', 'in_progress'],
    ['in_progress', 'completed', 'completed'],
    ['completed', 'in_progress', 'completed'],
    ['completed', 'completed', 'completed'],
    // a word that GitHub may have one day
    ['queued', 'dreaming', 'queued'],
    ['waiting', 'dreaming', 'waiting'],
    ['in_progress', 'dreaming', 'in_progress'],
    ['completed', 'dreaming', 'completed'],
  ])('when the action is %s and the status %s, then it is %s', (action, status, expected) => {
    expect(newsOf(payloadOf({ status }, action)).status).toBe(expected);
  });

  it('when it is of 2021, then it is the first attempt, and what it lacks is not said', () => {
    expect(newsOf(EXAMPLES[0])).toMatchObject({
      id: '2832853555',
      runAttempt: 1,
      status: 'in_progress',
      details: {
        repository: 'octo-org/example-workflow',
        org: 'octo-org',
        workflowName: undefined,
        createdAt: undefined,
      },
    });
  });

  it('when the repository is of a user, then the owner stands for the organization', () => {
    expect(newsOf(EXAMPLES[4]).details.org).toBe('wolfy1339');
  });

  it('when texts and lists are longer than is kept, then they are cut', () => {
    const { details } = newsOf(
      payloadOf({
        status: 'queued',
        name: 'x'.repeat(9_000),
        labels: Array.from({ length: 300 }, () => 'l'),
      }),
    );
    expect(details.name).toHaveLength(500);
    expect(details.name).toMatch(/…$/);
    expect(details.labels).toHaveLength(100);
  });

  it('when there are more faults than are named, then the rest is counted', () => {
    expect(toNews({ workflow_job: {} }, 'g', 1)).toMatchObject({
      kind: 'invalid',
      reason: expect.stringMatching(/^action: .*; and \d more$/) as unknown,
    });
  });

  it('when the webhooks of one job come in any order, each once or more, then it is the same job in the end', () => {
    const runner = { runner_id: 5, runner_name: 'r-5', runner_group_name: 'Default' };
    const none = { runner_id: null, runner_name: null, runner_group_name: null };
    const told = [
      payloadOf({ status: 'waiting', conclusion: null, completed_at: null, ...none }, 'queued'),
      payloadOf({ status: 'waiting', conclusion: null, completed_at: null, ...none }, 'waiting'),
      payloadOf({ status: 'queued', conclusion: null, completed_at: null, ...none }),
      payloadOf({ status: 'in_progress', conclusion: null, completed_at: null, ...runner }),
      payloadOf({ status: 'completed', labels: [], ...runner }),
    ].map((payload, index) => newsOf(payload, index + 1));
    const fold = (all: readonly WorkflowJobNews[]) =>
      all.reduce<WorkflowJob | undefined>(foldWorkflowJob, undefined);
    const expected = fold(told);
    expect(expected).toMatchObject({
      status: 'completed',
      conclusion: 'failure',
      runnerName: 'r-5',
      labels: ['ubuntu-latest'],
      startedAt: Date.parse('2021-08-05T10:34:58Z'),
    });
    const again = fc.array(fc.constantFrom(...told), { maxLength: 8 });
    const orders = again.chain((more) =>
      fc.shuffledSubarray([...told, ...more], { minLength: told.length + more.length }),
    );
    fc.assert(
      fc.property(orders, (order) => {
        expect(fold(order)).toEqual(expected);
      }),
      { seed: 6, numRuns: 500 },
    );
  });
});
