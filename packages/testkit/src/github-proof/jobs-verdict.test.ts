import { describe, expect, it } from '@jest/globals';
import type { WorkflowJobResource } from '@mig/common/api/workflow-job-resource';
import type { Job } from '../github/job.js';
import { allJobsDone, findContradictions, findUnknownEnds, noJobKilled } from './jobs-verdict.js';

const job = (changes: Partial<Job> = {}): Job => ({
  id: 7,
  name: 'build',
  repository: 'acme/app',
  labels: [],
  duration_ms: 1,
  run_id: 100,
  run_attempt: 1,
  environment: null,
  status: 'completed',
  queued_at: '',
  started_at: '',
  completed_at: '',
  runner_id: 3,
  runner_name: 'mig-proof-sim-1-0f3c9a1e',
  runner_group_id: 1,
  runner_group_name: 'Default',
  result: 'Succeeded',
  conclusion: 'success',
  ended_by: 'itself',
  ...changes,
});

const resource = (changes: Partial<WorkflowJobResource> = {}): WorkflowJobResource => ({
  id: '7',
  run_attempt: 1,
  run_id: '100',
  name: 'build',
  repository: 'acme/app',
  org: 'acme',
  head_sha: '',
  labels: [],
  status: 'completed',
  conclusion: 'success',
  runner_name: 'mig-proof-sim-1-0f3c9a1e',
  vm_id: 'sim-1',
  first_seen_at: '',
  updated_at: '',
  queued_ms: 0,
  ...changes,
});

describe('what the controller tells of jobs', () => {
  it('is compared by number and attempt', () => {
    expect(findUnknownEnds([job()], [resource()])).toEqual([]);
    expect(findUnknownEnds([job({ run_attempt: 2 })], [resource()])).toEqual([
      'job 7, attempt 2 is completed, and the controller has never heard of it',
    ]);
  });

  it('is late if a job that ended is still open there', () => {
    expect(findUnknownEnds([job()], [resource({ status: 'in_progress' })])).toEqual([
      'job 7, attempt 1 is completed, and the controller says that it is in_progress',
    ]);
    expect(findUnknownEnds([job({ status: 'in_progress' })], [])).toEqual([]);
  });

  it('is wrong if it differs from what GitHub says, or is made up', () => {
    expect(findContradictions([job()], [resource()])).toEqual([]);
    const wrong = [resource({ conclusion: 'failure', vm_id: 'sim-2' }), resource({ id: '8' })];
    expect(findContradictions([job()], wrong)).toEqual([
      'job 7, attempt 1: its conclusion is success, the controller says failure',
      'job 7, attempt 1: its VM is sim-1, the controller says sim-2',
      'the controller has made up job 8, attempt 1',
    ]);
  });
});

describe('jobs', () => {
  it('that something else than themselves ended were killed', () => {
    expect(noJobKilled([job(), job({ ended_by: 'cancelled' })]).held).toBe(true);
    expect(noJobKilled([job({ ended_by: 'runner-lost', result: 'Lost' })]).held).toBe(false);
  });

  it('that wait, or failed, are not done', () => {
    expect(allJobsDone([job()]).held).toBe(true);
    expect(allJobsDone([job({ status: 'queued', result: null })]).held).toBe(false);
    expect(allJobsDone([job({ result: 'Canceled' })]).held).toBe(false);
  });
});
