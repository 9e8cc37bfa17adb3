/** The calls about jobs and nodes. */
import {
  checkedJobSchema,
  jobListSchema,
  jobSchema,
  nodeListSchema,
  whySchema,
  type JobResource,
  type NodeResource,
  type WhyResource,
} from '@mig/common/api/job-resource';
import type { JobState } from '@mig/common/domain/job-state';
import type { Client } from './client.js';

export interface JobFilter {
  readonly state?: JobState | undefined;
  readonly submitter?: string | undefined;
  readonly name?: string | undefined;
  readonly parentId?: string | undefined;
}

/** @param key the same key again gives the same job, so that this may be retried */
export const submitJob = (
  client: Client,
  spec: unknown,
  submitter: string | undefined,
  key: string,
): Promise<JobResource> =>
  client.ask(jobSchema, {
    method: 'POST',
    path: '/api/v1/jobs',
    body: spec,
    headers: { 'idempotency-key': key, ...(submitter === undefined ? {} : { 'x-submitter': submitter }) },
  });

/** Every fault that the controller finds. */
export const checkJob = async (
  client: Client,
  spec: unknown,
): Promise<readonly { readonly path: string; readonly message: string }[]> =>
  (
    await client.ask(checkedJobSchema, {
      method: 'POST',
      path: '/api/v1/jobs/check',
      body: spec,
      repeatable: true,
    })
  ).errors;

/** All pages, in the order of their submission. */
export const listJobs = (client: Client, { parentId, ...filter }: JobFilter): Promise<JobResource[]> =>
  client.askAll(
    jobListSchema,
    { method: 'GET', path: '/api/v1/jobs', query: { ...filter, parent_id: parentId } },
    (page) => page.jobs,
  );

export const getJob = (client: Client, id: string): Promise<JobResource> =>
  client.ask(jobSchema, { method: 'GET', path: jobPath(id) });

export const cancelJob = (client: Client, id: string): Promise<JobResource> =>
  client.ask(jobSchema, { method: 'DELETE', path: jobPath(id) });

export const whyJob = (client: Client, id: string): Promise<WhyResource> =>
  client.ask(whySchema, { method: 'GET', path: `${jobPath(id)}/why` });

/** All pages, by name. */
export const listNodes = (client: Client): Promise<NodeResource[]> =>
  client.askAll(nodeListSchema, { method: 'GET', path: '/api/v1/nodes' }, (page) => page.nodes);

export const jobPath = (id: string): string => `/api/v1/jobs/${encodeURIComponent(id)}`;
