/**
 * A stand-in for GitHub: the REST API of runners, jobs, Apps and webhooks, held against GitHub's own description, the
 * service that runners talk to (a protocol of our own, under `/_stand-in/runner-service`), and a side for tests
 * (`/_stand-in/admin`, and the methods of the object). All state is in memory; it listens on 127.0.0.1 only.
 *
 * A request that GitHub would reject is answered as GitHub does and is a violation (`violations()`); an answer of its own
 * that GitHub would not give is a defect, for which `close()` rejects.
 */
import { randomInt } from 'node:crypto';
import { systemClock, toRfc3339 } from '@mig/common/clock';
import { createAdminRoutes } from './admin-routes.js';
import { createAppDesk, type AppControls } from './app/app-desk.js';
import { APP_EVENTS, createAppRoutes } from './app/app-routes.js';
import { createCallers } from './callers.js';
import { createDefectList } from './defects.js';
import { loadDescription } from './description/description.js';
import { createDirectory } from './directory.js';
import { createDispatcher } from './dispatcher.js';
import type { StandInEvent } from './events.js';
import { createFaultDesk, type Faults } from './faults.js';
import { createGate, type RequestRecord } from './gate.js';
import { createGroupRoutes } from './group-routes.js';
import { createHttpServer } from './http-server.js';
import { createJobBook, toJob } from './job-book.js';
import { createJobGenerator } from './job-generator.js';
import { isKilled, type Job, type JobRequest } from './job.js';
import { createRateLimits, type RateLimitState } from './rate-limit.js';
import { createRateLimitRoutes } from './rate-limit-routes.js';
import { EXAMPLE_DOWNLOADS } from './resources/runner-downloads.js';
import { createRestRoutes } from './rest-routes.js';
import { createGroupBook } from './runner-groups.js';
import { createRunnerLifetime } from './runner-lifetime.js';
import { createRunnerRegistry } from './runner-registry.js';
import { toRunnerResource, type RunnerResource } from './runner-resource.js';
import { createRunnerRoutes } from './runner-routes.js';
import { createSecondaryLimit } from './secondary-limit.js';
import type { StandInGitHubOptions } from './stand-in-options.js';
import { createTokenDesk, type TokenPurpose } from './tokens.js';
import { createViolationBook, describeViolation, type Violation } from './violations.js';
import { createDeliveryBook } from './webhooks/delivery-book.js';
import { createHookBook, NO_CONFIG } from './webhooks/hook-book.js';
import { createHookRoutes } from './webhooks/hook-routes.js';
import { createWebhookControls, toHookConfig, type WebhookControls } from './webhooks/webhook-controls.js';
import { createWebhookFaultDesk } from './webhooks/webhook-faults.js';
import { createWebhooks } from './webhooks/webhooks.js';
import { createWorkflowRoutes } from './workflow-routes.js';

export type { StandInGitHubOptions } from './stand-in-options.js';

export interface RateLimitControls {
  /** Of one caller (`user`, `app`, `installation <id>`). Default the tokens of the options, or the first installation. */
  state(caller?: string): RateLimitState;
  /** Leaves this many requests in the window of one caller. Default of all. */
  setRemaining(count: number, caller?: string): void;
  /** Every request is refused with `retry-after` for so long, as GitHub does with whom it takes for abusive. */
  tripSecondary(forMs: number): void;
}

export interface StandInGitHub {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** The base URL of the REST API: `url`, and the prefix of the options. */
  readonly apiUrl: string;
  readonly port: number;
  /** What runners are registered with: `URL/ORGANIZATION`. */
  readonly organizationUrl: string;
  queueJob(request?: JobRequest): Job;
  /** A job that waits for its environment is queued. Throws if it does not wait. */
  approveJob(jobId: number): void;
  /** All jobs, oldest first. */
  jobs(): Job[];
  /** The jobs that were ended by something else than themselves: shut down, crashed, lost. */
  jobsKilled(): Job[];
  /** All runners of all scopes, as REST shows them, with a `busy` that does not lag. */
  runners(): RunnerResource[];
  /** A token for `config.sh` without a REST request, valid for the organization. */
  issueToken(purpose: TokenPurpose): string;
  /** Undefined if the options have no App. */
  readonly app: AppControls | undefined;
  readonly webhooks: WebhookControls;
  readonly faults: Faults;
  readonly rateLimit: RateLimitControls;
  /** Requests that were answered, oldest first; the last 10,000. */
  requests(): RequestRecord[];
  /** Requests that GitHub's description rejects, oldest first; the first 1,000. */
  violations(): Violation[];
  /** What the stand-in itself did wrong. */
  defects(): unknown[];
  /** Breaks off all connections and stops. Rejects with `StandInDefectError` if there was a defect. */
  close(): Promise<void>;
}

/** Resolves when it listens; rejects if the port is taken (`EADDRINUSE`). */
export async function createStandInGitHub(options: StandInGitHubOptions): Promise<StandInGitHub> {
  if (options.tokens.length === 0 && options.app === undefined)
    throw new Error('The stand-in GitHub has no token (tokens: []) and no App: give it at least one');
  const clock = options.clock ?? systemClock;
  const organization = options.organization ?? 'acme';
  const apiPrefix = options.apiPrefix ?? '';
  const jobLostAfterMs = options.jobLostAfterMs ?? 600_000;
  const emit = (event: StandInEvent) => options.onEvent?.({ ...event, at: toRfc3339(clock.now()) });
  const defects = createDefectList();
  const onDefect = (error: unknown) => defects.add(error);
  const violations = createViolationBook((violation) => {
    const { method, path, operation = null, faults: found } = violation;
    emit({ event: 'request_rejected', method, path, operation, faults: found });
    if (options.onViolation !== undefined) options.onViolation(violation);
    else process.stderr.write(`stand-in GitHub: ${describeViolation(violation)}\n`);
  });

  const description = await loadDescription();
  const directory = createDirectory({
    organizations: [organization, ...(options.otherOrganizations ?? [])],
    enterprise: options.enterprise,
  });
  const app = options.app && createAppDesk({ clock, directory }, options.app);
  const groups = createGroupBook(options.runnerGroups ?? []);
  const tokens = createTokenDesk(clock);
  const rateLimits = createRateLimits(clock, options.rateLimit ?? {});
  const secondaryLimit = createSecondaryLimit(clock, options.secondaryLimits ?? {});
  const faults = createFaultDesk({
    onUnreachable: () => server.dropConnections(),
    onJitIdleRemoval: () => lifetime.watchAll(),
    jitIdleRemovalMs: options.jitIdleRemovalMs,
    clock,
  });
  const lifetime = createRunnerLifetime({
    registry: () => registry,
    clock,
    jitIdleRemovalMs: () => faults.jitIdleRemovalMs(),
  });
  const registry = createRunnerRegistry({ emit, clock, onChange: (runner) => lifetime.watch(runner) });

  const hooks = createHookBook();
  const [owner] = directory.organizations;
  if (owner === undefined) throw new Error('The stand-in GitHub has no organization');
  const hook = hooks.add({
    target: app === undefined ? { kind: 'organization', organization: owner } : { kind: 'app', id: app.id },
    config: options.webhook === undefined ? NO_CONFIG : toHookConfig(options.webhook),
    events: APP_EVENTS,
    active: true,
    createdAt: clock.now(),
  });
  const deliveries = createDeliveryBook(clock);
  const webhookFaults = createWebhookFaultDesk();
  const webhooks = createWebhooks(
    {
      hooks,
      deliveries,
      faults: webhookFaults,
      directory,
      clock,
      emit,
      places: () => ({ apiUrl: `${url()}${apiPrefix}`, webUrl: url() }),
      installationAt: (organizationId) =>
        app
          ?.installations()
          .find(({ account, suspendedAt }) => account.id === organizationId && suspendedAt === undefined)?.id,
      onDefect,
    },
    { answerLimitMs: options.webhookAnswerLimitMs ?? 10_000 },
  );

  const jobs = createJobBook({ clock, emit, announce: webhooks.announce }, { defaultOwner: organization });
  const dispatcher = createDispatcher(
    {
      registry,
      jobs,
      clock,
      emit,
      onRunnerChange: (runner) => lifetime.watch(runner),
      deleteLag: () => faults.deleteLag(),
      removalLagMs: () => faults.removalLagMs(),
    },
    {
      pollMs: options.pollMs ?? 20_000,
      sessionTimeoutMs: options.sessionTimeoutMs ?? 60_000,
      acquireWithinMs: options.acquireWithinMs ?? 60_000,
      jobLostAfterMs,
    },
  );

  function queueJob(request: JobRequest = {}): Job {
    const job = toJob(jobs.queue(request));
    dispatcher.dispatch();
    return job;
  }

  function approveJob(jobId: number): void {
    const job = jobs.get(jobId);
    if (job?.status !== 'waiting') throw new Error(`Job ${jobId} does not wait for approval`);
    jobs.approve(job);
    dispatcher.dispatch();
  }

  const listJobs = () => jobs.list();
  const jobsKilled = () => listJobs().filter(isKilled);
  const runners = () => registry.list().map((runner) => toRunnerResource(runner, clock.now(), 0));
  const busyLagMs = () => faults.busyLagMs();
  const [firstInstallation] = app?.installations() ?? [];
  const usualCaller =
    options.tokens.length > 0 || firstInstallation === undefined
      ? 'user'
      : `installation ${firstInstallation.id}`;
  const rateLimit: RateLimitControls = {
    state: (caller = usualCaller) => rateLimits.of(caller).state(),
    setRemaining: (count, caller) => rateLimits.setRemaining(count, caller),
    tripSecondary: (forMs) => secondaryLimit.trip(forMs),
  };
  const controls = createWebhookControls({ hook, webhooks, deliveries, faults: webhookFaults });

  const gate = createGate(
    {
      routes: [
        ...createRestRoutes({
          registry,
          dispatcher,
          tokens,
          clock,
          groups,
          directory,
          busyLagMs,
          downloads: options.runnerDownloads ?? EXAMPLE_DOWNLOADS,
        }),
        ...createGroupRoutes({ registry, groups, directory, clock, busyLagMs }),
        ...createWorkflowRoutes({ jobs, dispatcher, directory }),
        ...createAppRoutes({ app, directory }),
        ...createHookRoutes({ hooks, deliveries, webhooks, directory, clock }),
        ...createRateLimitRoutes(rateLimits),
        ...createRunnerRoutes({
          registry,
          dispatcher,
          jobs,
          tokens,
          groups,
          repositoryId: (fullName) => {
            const [ownerName = '', name = ''] = fullName.split('/');
            return directory.findRepository(ownerName, name)?.id ?? 1;
          },
          renewEveryMs: Math.min(60_000, Math.ceil(jobLostAfterMs / 4)), // GitHub: every 60 s of 10 min
        }),
        ...createAdminRoutes({
          queueJob,
          approveJob,
          jobs: listJobs,
          jobsKilled,
          runners,
          faults,
          webhooks: controls,
          rateLimit,
          violations: () => violations.list(),
          defects: () => defects.list(),
          clock,
        }),
      ],
      description,
      callers: createCallers({ tokens: options.tokens, app, directory }),
      faults,
      rateLimits,
      secondaryLimit,
      violations,
      clock,
      onDefect,
    },
    { apiPrefix, exceededStatus: options.rateLimit?.exceededStatus ?? 403 },
  );
  const server = await createHttpServer(
    {
      respond: (request) => gate.pass(request),
      reachable: () => faults.reachable(),
      onDefect,
    },
    { port: options.port ?? 0 },
  );
  const generator =
    options.jobsEveryMs === undefined
      ? undefined
      : createJobGenerator(
          { clock, queue: queueJob, queuedCount: () => jobs.queued().length },
          {
            everyMs: options.jobsEveryMs,
            minDurationMs: options.jobDurationMs?.min ?? 2_000,
            maxDurationMs: options.jobDurationMs?.max ?? 8_000,
            seed: options.seed ?? randomInt(2 ** 32),
            maxQueued: 10,
          },
        );

  const url = () => `http://127.0.0.1:${server.port}`;
  return {
    url: url(),
    apiUrl: `${url()}${apiPrefix}`,
    port: server.port,
    organizationUrl: `${url()}/${organization}`,
    queueJob,
    approveJob,
    jobs: listJobs,
    jobsKilled,
    runners,
    issueToken: (purpose) => tokens.issue(purpose, { owner: organization }).token,
    app,
    webhooks: controls,
    faults,
    rateLimit,
    requests: () => gate.records(),
    violations: () => violations.list(),
    defects: () => defects.list(),
    async close() {
      generator?.stop();
      faults.clear();
      lifetime.stop();
      dispatcher.stop();
      await webhooks.close();
      await server.close();
      defects.assertNone();
    },
  };
}
