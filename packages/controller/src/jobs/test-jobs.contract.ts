/** Jobs at a real controller, with nodes that were written from the original contract alone. */
import { expect } from '@jest/globals';
import type { JobResource } from '@mig/common/api/job-resource';
import { connectForeignNode, type ForeignNode } from '@mig/testkit/legacy/foreign-node';
import {
  startTestController,
  type TestController,
  type TestControllerOptions,
} from '../test-controller.contract.js';

export const SPEC = {
  name: 'clean',
  tasks: [{ name: 't', driver: 'exec', config: { command: 'df -h' } }],
};

/** `dispose` closes its nodes too. */
export interface TestJobs extends TestController {
  /** A node that says nothing yet. */
  silentNode(nodeId: string): ForeignNode;
  /** A node that has said how it is. */
  node(nodeId: string, fields?: Record<string, unknown>): Promise<ForeignNode>;
  submit(fields?: Record<string, unknown>, headers?: Record<string, string>): Promise<JobResource>;
  job(id: string): Promise<JobResource>;
}

export async function startTestJobs(options: TestControllerOptions = {}): Promise<TestJobs> {
  const test = await startTestController(options);
  const { dispose } = test;
  const nodes: ForeignNode[] = [];

  const jobs: TestJobs = Object.assign(test, {
    silentNode(nodeId: string) {
      const made = connectForeignNode(`127.0.0.1:${test.controller.grpcPort}`, nodeId);
      nodes.push(made);
      return made;
    },
    async node(nodeId: string, fields?: Record<string, unknown>) {
      const made = jobs.silentNode(nodeId);
      expect(await made.heartbeat(fields)).toMatchObject({ ok: true });
      return made;
    },
    async submit(fields: Record<string, unknown> = {}, headers: Record<string, string> = {}) {
      const { status, json, text } = await test.call<JobResource>('POST', '/api/v1/jobs', {
        body: { ...SPEC, ...fields },
        headers,
      });
      if (status !== 202) throw new Error(text);
      return json;
    },
    job: async (id: string) => (await test.call<JobResource>('GET', `/api/v1/jobs/${id}`)).json,
    async dispose() {
      for (const made of nodes.splice(0).reverse()) made.close();
      await dispose();
    },
  });
  return jobs;
}

/** The id of the job that the node is shown; empty: none. */
export async function offered(from: ForeignNode): Promise<string> {
  const answer = await from.getJob();
  return answer['has_job'] === true ? (answer['job'] as { job_id: string }).job_id : '';
}
