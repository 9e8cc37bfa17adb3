/** The job queue: submit, follow, cancel; and the nodes that take jobs from it. */
import * as z from 'zod';
import {
  checkedJobSchema,
  jobListSchema,
  jobSchema,
  nodeListSchema,
  toJobResource,
  whySchema,
  type NodeResource,
} from '@mig/common/api/job-resource';
import { fromJobSpecResource, type JobSpecResource } from '@mig/common/api/job-spec';
import { checkJobSpec, formatPath } from '@mig/common/api/job-spec-faults';
import { readJobSpec } from '@mig/common/api/job-spec-text';
import { toTime } from '@mig/common/api/time';
import { idSchema } from '@mig/common/api/vm-resource';
import { JOB_STATES, isJobFinal } from '@mig/common/domain/job-state';
import type { Resources } from '@mig/common/domain/job';
import { EVERY_POOL } from '@mig/common/domain/roles';
import { needsRole } from '../auth/errors.js';
import { callerName, maySee, poolsOf } from '../auth/http-guard.js';
import { BadJobError } from '../jobs/errors.js';
import type { JobManager } from '../jobs/job-manager.js';
import type { Node } from '../jobs/nodes.js';
import type { App } from './app.js';
import { lastEventId, openEventStream } from './event-stream.js';
import { outputQuery, sendOutput } from './output-events.js';
import { cursorSchema, limitSchema, page } from './paging.js';
import { query } from './query.js';
import { parseOffset } from './task-routes.js';

export interface JobRoutesDeps {
  readonly jobs: JobManager;
  readonly stopping: AbortSignal;
}

const jobParams = z.object({ id: idSchema });
/** Names that are shown of the nodes with one reason. */
const MAX_NODES = 10;

/** @throws BadJobError naming every fault: by its path, and by its line in a text */
function parseSpec(body: unknown): JobSpecResource {
  if (typeof body === 'string') {
    const read = readJobSpec(body);
    if (read.kind === 'ok') return read.spec;
    throw new BadJobError(
      read.faults.map(({ path, line, message }) => ({ path, message: `line ${line}: ${message}` })),
    );
  }
  const checked = checkJobSpec(body ?? {});
  if (checked.kind === 'ok') return checked.spec;
  throw new BadJobError(checked.faults.map(({ path, message }) => ({ path: formatPath(path), message })));
}

const toResources = ({ ramMb, cpuPercent, diskMb }: Resources) => ({
  ram_mb: ramMb,
  cpu_percent: cpuPercent,
  disk_mb: diskMb,
});

const toNodeResource = (node: Node): NodeResource => ({
  node_id: node.id,
  pool_id: node.poolId,
  state: !node.online ? 'offline' : node.draining ? 'draining' : 'online',
  last_seen_at: toTime(node.lastSeenAt),
  resources: toResources(node.resources),
  used: toResources(node.used),
  metadata: { ...node.metadata },
  job_ids: [...node.jobIds],
});

export function jobRoutes(app: App, { jobs, stopping }: JobRoutesDeps): void {
  for (const type of ['application/yaml', 'application/x-yaml', 'text/yaml'])
    app.addContentTypeParser(type, { parseAs: 'string' }, (_, body, done) => done(null, body));

  app.post(
    '/api/v1/jobs',
    {
      schema: {
        summary: 'Submit a job, as JSON or YAML; it is durable when this answers',
        description: 'docs/tasks-and-jobs.md has every field of the specification.',
        headers: z.object({
          'idempotency-key': z
            .string()
            .min(1)
            .max(200)
            .optional()
            .describe('the same key again gives the same job'),
          'x-submitter': idSchema
            .optional()
            .describe(
              'for whom it is submitted, if not for the caller: the queue is fair between submitters; for admins of all pools',
            ),
        }),
        body: z.unknown(),
        response: { 202: jobSchema },
      },
    },
    async (request, reply) => {
      const { 'x-submitter': other } = request.headers;
      // Whoever could name others would get their share of the nodes.
      if (other !== undefined && poolsOf(request, 'admin') !== undefined) throw needsRole('admin');
      const job = await jobs.submit({
        spec: fromJobSpecResource(parseSpec(request.body)),
        submitter: other ?? callerName(request),
        pools: poolsOf(request, 'operator'),
        idempotencyKey: request.headers['idempotency-key'],
      });
      return reply.code(202).header('location', `/api/v1/jobs/${job.id}`).send(toJobResource(job));
    },
  );

  app.post(
    '/api/v1/jobs/check',
    {
      schema: {
        summary: 'Every fault of a job, as JSON or YAML; nothing is queued',
        body: z.unknown(),
        response: { 200: checkedJobSchema },
      },
    },
    (request) => {
      try {
        const spec = fromJobSpecResource(parseSpec(request.body));
        return { errors: jobs.faultsOf(spec, poolsOf(request, 'operator')) };
      } catch (error) {
        if (error instanceof BadJobError) return { errors: [...error.faults] };
        throw error;
      }
    },
  );

  app.get(
    '/api/v1/jobs',
    {
      schema: {
        summary: 'List jobs, in the order of their submission',
        querystring: query({
          state: z.enum(JOB_STATES).optional(),
          submitter: z.string().max(200).optional(),
          name: idSchema.optional(),
          parent_id: idSchema.optional(),
          limit: limitSchema(500),
          cursor: cursorSchema,
        }),
        response: { 200: jobListSchema },
      },
    },
    (request) => {
      const { state, submitter, name, parent_id, limit, cursor } = request.query;
      const found = jobs
        .list({ state, submitter, name, parentId: parent_id })
        .filter(({ pools = [EVERY_POOL] }) => pools.every((poolId) => maySee(request, poolId)));
      const { items, nextCursor } = page(found, ({ id }) => id, limit, cursor);
      return {
        jobs: items.map(toJobResource),
        ...(nextCursor === undefined ? {} : { next_cursor: nextCursor }),
      };
    },
  );

  app.get(
    '/api/v1/jobs/:id',
    {
      schema: {
        summary: 'One job, with what happened to it',
        params: jobParams,
        response: { 200: jobSchema },
      },
    },
    (request) => toJobResource(jobs.get(request.params.id)),
  );

  app.get(
    '/api/v1/jobs/:id/why',
    {
      schema: { summary: 'Why a job has no node yet', params: jobParams, response: { 200: whySchema } },
    },
    (request) => {
      const { id } = request.params;
      const { summary, fitting, reasons } = jobs.why(id);
      return {
        job_id: id,
        state: jobs.get(id).state,
        summary,
        fitting_nodes: fitting.length,
        reasons: reasons.map(({ reason, nodes }) => ({
          reason,
          count: nodes.length,
          nodes: nodes.slice(0, MAX_NODES),
        })),
      };
    },
  );

  app.get(
    '/api/v1/jobs/:id/output',
    {
      schema: {
        summary: 'The output of a job as server-sent events, until its end',
        description: 'As that of a task: `output`, `gap`, `end` with the job. `Last-Event-ID` resumes.',
        params: jobParams,
        querystring: outputQuery,
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const from = parseOffset(lastEventId(request, request.query.after));
      const reader = await jobs.outputs.read(id, from, isJobFinal(jobs.get(id).state));
      await sendOutput(
        openEventStream(request, reply, stopping),
        reader,
        () => toJobResource(jobs.get(id)),
        request.query.follow,
      );
    },
  );

  app.delete(
    '/api/v1/jobs/:id',
    {
      schema: {
        summary: 'Cancel a job, and those that it made; a node that has it is told to end it',
        params: jobParams,
        response: { 200: jobSchema },
      },
    },
    async (request) => toJobResource(await jobs.cancel(request.params.id)),
  );

  app.get(
    '/api/v1/nodes',
    {
      schema: {
        summary: 'List the nodes that take jobs, by name',
        querystring: query({ limit: limitSchema(500), cursor: cursorSchema }),
        response: { 200: nodeListSchema },
      },
    },
    (request) => {
      const sorted = jobs
        .nodes()
        .filter(({ poolId }) => maySee(request, poolId))
        .sort((a, b) => (a.id < b.id ? -1 : 1));
      const { items, nextCursor } = page(sorted, ({ id }) => id, request.query.limit, request.query.cursor);
      return {
        nodes: items.map(toNodeResource),
        ...(nextCursor === undefined ? {} : { next_cursor: nextCursor }),
      };
    },
  );
}
