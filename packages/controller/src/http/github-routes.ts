/** GitHub as the controller sees it: does it work, what is left of the limits, and how runners and VMs fit together. */
import * as z from 'zod';
import { githubSchema, runnerListSchema } from '@mig/common/api/github-resource';
import { idSchema } from '@mig/common/api/vm-resource';
import type { GitHubClient } from '../github/client/github-client.js';
import type { Reconciler } from '../github/reconciliation/reconciler.js';
import type { Webhooks } from '../github/webhooks/create-webhooks.js';
import type { App } from './app.js';
import {
  toInstallationResource,
  toReconciliationResource,
  toRunnerRowResource,
  toWebhooksResource,
} from './github-resources.js';
import { limitSchema, page } from './paging.js';
import { query } from './query.js';

export interface GitHubRoutesDeps {
  readonly github: { readonly client: Pick<GitHubClient, 'status'> };
  /** Undefined if `github.auth` is none. */
  readonly reconciler: Pick<Reconciler, 'status' | 'rows'> | undefined;
  readonly webhooks: Pick<Webhooks, 'status'>;
}

/** Longer than elsewhere: it names a repository and a runner. */
const MAX_CURSOR_LENGTH = 512;

export function githubRoutes(app: App, { github, reconciler, webhooks }: GitHubRoutesDeps): void {
  app.get(
    '/api/v1/github',
    {
      schema: {
        summary: 'How the controller gets on with GitHub: sign-in, limits, webhooks, reconciliation',
        response: { 200: githubSchema },
      },
    },
    () => {
      const { auth, apiUrl, installations } = github.client.status();
      const reconciliation = reconciler?.status();
      return {
        auth,
        api_url: apiUrl,
        installations: installations.map(toInstallationResource),
        webhooks: toWebhooksResource(webhooks.status()),
        reconciliation: reconciliation === undefined ? null : toReconciliationResource(reconciliation),
      };
    },
  );

  app.get(
    '/api/v1/github/runners',
    {
      schema: {
        summary: "Runners in three views: GitHub's last list, the VMs as they are now, and what they say",
        description:
          'Runners of this controller, and those that a VM says it has, by place and name. Empty while github.auth is none.',
        querystring: query({
          vm_id: idSchema.optional().describe('only runners of this VM'),
          findings: z
            .enum(['true', 'false'])
            .optional()
            .describe('true: only runners with which something does not fit together'),
          limit: limitSchema(500),
          cursor: z.string().max(MAX_CURSOR_LENGTH).optional().describe('next_cursor of the page before'),
        }),
        response: { 200: runnerListSchema },
      },
    },
    (request) => {
      const { vm_id, findings, limit, cursor } = request.query;
      const wanted = (reconciler?.rows() ?? []).filter(
        ({ row, sighting }) =>
          (vm_id === undefined || row.vm?.vmId === vm_id) &&
          (findings === undefined || (sighting !== undefined) === (findings === 'true')),
      );
      const { items, nextCursor } = page(wanted, ({ row }) => row.key, limit, cursor);
      return {
        runners: items.map(toRunnerRowResource),
        ...(nextCursor === undefined ? {} : { next_cursor: nextCursor }),
      };
    },
  );
}
