/**
 * Joins what has to do with workflow jobs: the book, the receiver of webhooks, the search for lost ones.
 *
 *   GitHub --webhook--> receiver --> job book --> onChange
 *   GitHub <--list of deliveries, attempts-- redelivery      (App, or an organization's webhook with its id)
 *   GitHub <--one job-- job lookup
 */
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import type { VmRecord } from '@mig/common/domain/vm';
import type { WorkflowJob } from '@mig/common/domain/workflow-job';
import type { ControllerConfig } from '../../config.js';
import type { Fleet } from '../../fleet/fleet.js';
import type { Store } from '../../store/store.js';
import type { GitHubClient } from '../client/github-client.js';
import { createWorkflowJobBook, type WorkflowJobBook } from '../jobs/job-book.js';
import { createJobLookup, type JobLookupStatus, type JobOnVm } from '../jobs/job-lookup.js';
import { createJobVms, type JobVms } from '../jobs/job-vms.js';
import type { Ownership } from '../runners/ownership.js';
import { createAppDeliveriesApi, createOrgDeliveriesApi, type DeliveriesApi } from './deliveries-api.js';
import { createLostDeliveries } from './lost-deliveries.js';
import { createWebhookReceiver, type ReceiverStatus, type WebhookReceiver } from './receiver.js';
import { createRedelivery, type RedeliveryStatus } from './redelivery.js';

/** Jobs that are too old are looked for this often. */
const SWEEP_MS = 60_000;

export interface WebhooksStatus {
  /** Is there a secret to check them with? */
  readonly configured: boolean;
  readonly received: ReceiverStatus;
  readonly jobs: { readonly open: number; readonly finished: number };
  /** Undefined: lost deliveries are not looked for; `redeliveryOff` says why. */
  readonly redelivery: RedeliveryStatus | undefined;
  readonly redeliveryOff: string | undefined;
  /** Undefined: there is no GitHub to ask. */
  readonly lookup: JobLookupStatus | undefined;
}

export interface Webhooks {
  readonly receiver: WebhookReceiver;
  readonly jobs: WorkflowJobBook;
  readonly vms: JobVms;
  /** As of now, for people and programs; no secret in it. */
  status(): WebhooksStatus;
  start(): void;
  /** Resolves when the rounds that are under way have ended. */
  settled(): Promise<void>;
  /** Begins nothing new; resolves as `settled`. */
  stop(): Promise<void>;
}

export interface WebhooksDeps {
  readonly store: Store;
  readonly fleet: Pick<Fleet, 'get' | 'views'>;
  readonly ownership: Ownership;
  /** Not asked where `github.auth` is none; undefined: there is no GitHub. */
  readonly client: GitHubClient | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

type WebhooksConfig = Pick<ControllerConfig, 'github' | 'retention'>;

export function createWebhooks(deps: WebhooksDeps, { github, retention }: WebhooksConfig): Webhooks {
  const { store, fleet, ownership, clock } = deps;
  const { webhook } = github;
  const client = github.auth === 'none' ? undefined : deps.client;
  const logger = deps.logger.child({ part: 'webhooks' });
  const jobs = createWorkflowJobBook(
    { store, clock, logger },
    { retentionMs: retention.age, maxFinished: retention.workflow_jobs },
  );
  const vms = createJobVms({ fleet, ownership });
  const receiver = createWebhookReceiver(
    { jobs, clock, logger },
    { secretFile: webhook.secret_file, previousSecretFile: webhook.previous_secret_file },
  );

  const redeliveryOff = whyNoRedelivery(github);
  const api = redeliveryOff === undefined && client !== undefined ? deliveriesApi(client, github) : undefined;
  const redelivery =
    api &&
    createRedelivery({
      api,
      lost: createLostDeliveries(store, api.source),
      isTaken: jobs.knows,
      clock,
      logger,
    });

  function whereIs(job: WorkflowJob): JobOnVm {
    if (job.runnerName === undefined || !ownership.isOurs(job.runnerName)) return 'elsewhere';
    const vmId = vms.vmOf(job);
    const record = vmId === undefined ? undefined : fleet.get(vmId)?.record;
    return record !== undefined && hasJob(record, job.runnerName, ownership) ? 'running' : 'notThere';
  }
  const lookup = client && createJobLookup({ jobs, client, whereIs, clock, logger });

  let sweepTimer: unknown;
  function sweepLater(): void {
    sweepTimer = clock.setTimer(() => {
      jobs.sweep();
      sweepLater();
    }, SWEEP_MS);
  }

  return {
    receiver,
    jobs,
    vms,
    status: () => ({
      configured: webhook.secret_file !== '',
      received: receiver.status(),
      jobs: { open: jobs.openCount, finished: jobs.finishedCount },
      redelivery: redelivery?.status(),
      redeliveryOff,
      lookup: lookup?.status(),
    }),
    start() {
      if (redeliveryOff !== undefined && webhook.secret_file !== '')
        logger.info({ reason: redeliveryOff }, 'lost webhooks are not looked for');
      redelivery?.start();
      if (webhook.secret_file !== '') lookup?.start();
      sweepLater();
    },
    settled: async () => void (await Promise.all([redelivery?.settled(), lookup?.settled()])),
    async stop() {
      clock.clearTimer(sweepTimer);
      await Promise.all([redelivery?.stop(), lookup?.stop()]);
    },
  };
}

/** Does the VM say that it runs a job, in the boot whose runner has it? */
const hasJob = (vm: VmRecord, runnerName: string, ownership: Ownership): boolean =>
  vm.outcome === undefined && vm.currentJob?.status === 'running' && ownership.isOfBoot(vm, runnerName);

function whyNoRedelivery({ auth, org, webhook }: ControllerConfig['github']): string | undefined {
  if (webhook.secret_file === '') return 'github.webhook.secret_file is empty: webhooks are refused';
  if (!webhook.redelivery) return 'github.webhook.redelivery is false';
  switch (auth) {
    case 'none':
      return 'github.auth is none: GitHub cannot be asked';
    case 'app':
      return undefined;
    case 'token':
      if (webhook.hook_id === 0)
        return "github.webhook.hook_id is 0: name the organization's webhook to have them looked for";
      return org === '' ? 'github.org is empty: name the organization of github.webhook.hook_id' : undefined;
  }
}

const deliveriesApi = (
  client: GitHubClient,
  { auth, org, webhook }: ControllerConfig['github'],
): DeliveriesApi =>
  auth === 'app' ? createAppDeliveriesApi(client) : createOrgDeliveriesApi(client, org, webhook.hook_id);
