/** What is known of the jobs of GitHub's workflows: which wait, which run, and on which VM. */
import type { FastifyRequest } from 'fastify';
import * as z from 'zod';
import { MigError } from '@mig/common/errors';
import { idSchema } from '@mig/common/api/vm-resource';
import {
  toWorkflowJobResource,
  workflowJobIdSchema,
  workflowJobListSchema,
  workflowJobSchema,
} from '@mig/common/api/workflow-job-resource';
import { isOpen, WORKFLOW_JOB_STATUSES, type WorkflowJob } from '@mig/common/domain/workflow-job';
import { maySee } from '../auth/http-guard.js';
import type { Fleet } from '../fleet/fleet.js';
import type { WorkflowJobBook } from '../github/jobs/job-book.js';
import type { JobVms } from '../github/jobs/job-vms.js';
import type { App } from './app.js';
import { cursorSchema, limitSchema, page } from './paging.js';
import { query } from './query.js';

export interface WorkflowJobRoutesDeps {
  readonly webhooks: { readonly jobs: WorkflowJobBook; readonly vms: JobVms };
  readonly fleet: Pick<Fleet, 'get'>;
  readonly now: () => number;
}

class UnknownWorkflowJobError extends MigError {
  constructor(id: string) {
    super(
      'unknown-workflow-job',
      `workflow job ${id} is not known: no webhook told of it, or it is older than the retention of finished jobs; see "migctl get workflow-jobs"`,
    );
  }
}

/** Sorts as numbers do; GitHub's numbers rise, so the newest is last. */
const orderOf = ({ id, runAttempt }: WorkflowJob): string =>
  `${id.padStart(20, '0')}-${String(runAttempt).padStart(6, '0')}`;

export function workflowJobRoutes(app: App, { webhooks, fleet, now }: WorkflowJobRoutesDeps): void {
  const { jobs, vms } = webhooks;
  /** A job that is on no VM belongs to no pool: it is shown to those who see every pool. */
  const isVisible = (request: FastifyRequest, vmId: string | undefined): boolean =>
    maySee(request, (vmId === undefined ? undefined : fleet.get(vmId)?.record.poolId) ?? '');

  app.get(
    '/api/v1/workflow-jobs',
    {
      schema: {
        summary: 'List jobs of GitHub workflows, newest last',
        querystring: query({
          status: z
            .enum([...WORKFLOW_JOB_STATUSES, 'open'])
            .optional()
            .describe('open: all that are not completed'),
          repository: z.string().min(1).max(200).optional().describe('OWNER/REPOSITORY'),
          vm_id: idSchema.optional().describe('only jobs whose runner is on this VM'),
          limit: limitSchema(100),
          cursor: cursorSchema,
        }),
        response: { 200: workflowJobListSchema },
      },
    },
    (request) => {
      const { status, repository, vm_id, limit, cursor } = request.query;
      const vmOf = vms.index();
      const wantedRepository = repository?.toLowerCase();
      const wanted = [...(status === 'open' ? jobs.open() : jobs.all())]
        .filter(
          (job) =>
            isVisible(request, vmOf(job)) &&
            (status === undefined || (status === 'open' ? isOpen(job) : job.status === status)) &&
            (wantedRepository === undefined || job.repository.toLowerCase() === wantedRepository) &&
            (vm_id === undefined || vmOf(job) === vm_id),
        )
        .map((job) => ({ job, order: orderOf(job) }))
        .sort((a, b) => (a.order < b.order ? -1 : 1));
      const { items, nextCursor } = page(wanted, ({ order }) => order, limit, cursor);
      return {
        workflow_jobs: items.map(({ job }) => toWorkflowJobResource(job, vmOf(job), now())),
        ...(nextCursor === undefined ? {} : { next_cursor: nextCursor }),
      };
    },
  );

  app.get(
    '/api/v1/workflow-jobs/:id',
    {
      schema: {
        summary: 'One job of a GitHub workflow',
        params: z.object({ id: workflowJobIdSchema }),
        querystring: query({
          run_attempt: z.coerce
            .number()
            .pipe(z.int().min(1))
            .optional()
            .describe('default: the last that is known under this id'),
        }),
        response: { 200: workflowJobSchema },
      },
    },
    (request) => {
      const { id } = request.params;
      const job = jobs.get(id, request.query.run_attempt);
      if (job === undefined || !isVisible(request, vms.vmOf(job))) throw new UnknownWorkflowJobError(id);
      return toWorkflowJobResource(job, vms.vmOf(job), now());
    },
  );
}
