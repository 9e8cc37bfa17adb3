import { afterEach, describe, expect, it } from '@jest/globals';
import type { JobResource } from '@mig/common/api/job-resource';
import { startTestJobs, type TestJobs } from './test-jobs.contract.js';

let test: TestJobs;
afterEach(() => test.dispose());

describe('a specification that is wrong', () => {
  it('names every fault by its path, in YAML by its line too, and nothing is queued', async () => {
    test = await startTestJobs();
    const yaml = 'name: a\npriority: 500\ntasks:\n  - name: t\n    driver: exec\n    config: {}\n';
    const { status, json } = await test.call<{ errors: { path: string; message: string }[] }>(
      'POST',
      '/api/v1/jobs',
      {
        body: yaml,
        headers: { 'content-type': 'application/yaml' },
      },
    );
    expect(status).toBe(400);
    expect(json.errors.map(({ path, message }) => `${path} ${message.split(':')[0]}`)).toEqual(
      expect.arrayContaining(['priority line 2', 'tasks[0].config.command line 6']),
    );
    const asJson = await test.call('POST', '/api/v1/jobs', { body: { name: 'a', tasks: [], x: 1 } });
    expect(asJson.text).toContain('tasks');
    expect(asJson.text).toContain('"x"');
    expect((await test.call<{ jobs: unknown[] }>('GET', '/api/v1/jobs')).json.jobs).toEqual([]);
  });

  it('one that is right is taken as YAML, and the same key again gives the same job', async () => {
    test = await startTestJobs();
    const call = () =>
      test.call<JobResource>('POST', '/api/v1/jobs', {
        body: 'name: a\ntasks: [{name: t, driver: exec, config: {command: ls}, env: {TOKEN: s3cret}}]\n',
        headers: { 'content-type': 'application/yaml', 'idempotency-key': 'k' },
      });
    const [first, second] = [await call(), await call()];
    expect(first.status).toBe(202);
    expect(second.json.id).toBe(first.json.id);
    expect(first.text).not.toContain('s3cret');
  });
});
