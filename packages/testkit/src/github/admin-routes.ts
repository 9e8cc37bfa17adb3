/** For tests and the demo in other processes: jobs, runners, webhooks and faults over HTTP. Loopback only, no credentials. */
import type { Clock } from '@mig/common/clock';
import { invalidRequest, json, refusal } from './answers.js';
import { setFaults, type FaultRequestDeps } from './admin-faults.js';
import type { Answer, Route, StandInRequest } from './exchange.js';
import type { Faults } from './faults.js';
import { findJobFaults, type Job, type JobRequest } from './job.js';
import type { RunnerResource } from './runner-resource.js';
import type { Violation } from './violations.js';
import type { WebhookControls, WebhookOptions } from './webhooks/webhook-controls.js';

const ADMIN = '/_stand-in/admin';

export interface AdminDeps {
  readonly queueJob: (job: JobRequest) => Job;
  /** Throws if the job does not wait. */
  readonly approveJob: (jobId: number) => void;
  readonly jobs: () => Job[];
  readonly jobsKilled: () => Job[];
  readonly runners: () => RunnerResource[];
  readonly faults: Faults;
  readonly webhooks: WebhookControls;
  readonly rateLimit: FaultRequestDeps['rateLimit'];
  readonly violations: () => Violation[];
  readonly defects: () => unknown[];
  readonly clock: Clock;
}

export function createAdminRoutes(deps: AdminDeps): Route[] {
  const route = (method: string, path: string, handle: (request: StandInRequest) => Answer): Route => ({
    name: 'admin',
    side: 'admin',
    method,
    path: `${ADMIN}/${path}`,
    handle,
  });

  function queueJob(request: StandInRequest): Answer {
    const body = request.body ?? {};
    const faults = findJobFaults(body);
    return faults.length > 0 ? invalidRequest(faults) : json(201, deps.queueJob(body));
  }

  const ofJob =
    (handle: (job: Job) => Answer) =>
    (request: StandInRequest): Answer => {
      const job = deps.jobs().find(({ id }) => String(id) === request.params['job_id']);
      return job === undefined ? refusal(404, `No job ${request.params['job_id'] ?? ''}`) : handle(job);
    };

  function approveJob(job: Job): Answer {
    if (job.status !== 'waiting') return refusal(409, `Job ${job.id} is ${job.status}, not waiting`);
    deps.approveJob(job.id);
    return json(200, {});
  }

  function configureWebhook(request: StandInRequest): Answer {
    const wanted = (request.body ?? {}) as Partial<WebhookOptions>;
    if (typeof wanted.url !== 'string' || !URL.canParse(wanted.url))
      return invalidRequest([`For 'properties/url', ${JSON.stringify(wanted.url)} is not an address.`]);
    deps.webhooks.configure({ ...wanted, url: wanted.url });
    return json(200, { hook_id: deps.webhooks.hookId });
  }

  const listDeliveries = (): Answer =>
    json(200, {
      deliveries: deps.webhooks
        .deliveries()
        .map(({ hook, ...delivery }) => ({ ...delivery, hook_id: hook.id })),
    });

  function redeliver(request: StandInRequest): Answer {
    const id = request.params['delivery_id'] ?? '';
    return deps.webhooks.redeliver(Number(id)) ? json(202, {}) : refusal(404, `No delivery ${id}`);
  }

  return [
    route('POST', 'jobs', queueJob),
    route('GET', 'jobs', () => json(200, { jobs: deps.jobs() })),
    route(
      'GET',
      'jobs/{job_id}',
      ofJob((job) => json(200, job)),
    ),
    route('POST', 'jobs/{job_id}/approve', ofJob(approveJob)),
    route('GET', 'jobs-killed', () => json(200, { jobs: deps.jobsKilled() })),
    route('GET', 'runners', () => json(200, { runners: deps.runners() })),
    route('PUT', 'webhook', configureWebhook),
    route('GET', 'deliveries', listDeliveries),
    route('POST', 'deliveries/{delivery_id}/attempts', redeliver),
    route('GET', 'violations', () => json(200, { violations: deps.violations() })),
    route('GET', 'defects', () => json(200, { defects: deps.defects().map(String) })),
    route('POST', 'faults', (request) => setFaults(deps, request.body)),
  ];
}
