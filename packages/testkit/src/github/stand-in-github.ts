/**
 * A stand-in for GitHub: the REST API of self-hosted runners, as strict as the real one, the service that runners talk
 * to (a protocol of our own, under `/_stand-in/runner-service`), and a side for tests (`/_stand-in/admin`, and the
 * methods of the object). All state is in memory; it listens on 127.0.0.1 only.
 */
import { randomInt } from 'node:crypto';
import { inspect } from 'node:util';
import { systemClock, toRfc3339, type Clock } from '@mig/common/clock';
import { createAdminRoutes } from './admin-routes.js';
import { createDispatcher } from './dispatcher.js';
import type { StandInEvent } from './events.js';
import { createFaultDesk, type Faults } from './faults.js';
import { createGate, type RequestRecord } from './gate.js';
import { createHttpServer } from './http-server.js';
import { createJobBook, toJob } from './job-book.js';
import { createJobGenerator } from './job-generator.js';
import type { Job, JobRequest } from './job.js';
import { createRateLimit, type RateLimit, type RateLimitOptions } from './rate-limit.js';
import { createRestRoutes } from './rest-routes.js';
import { createRunnerRegistry } from './runner-registry.js';
import { toRunnerResource, type RunnerResource } from './runner-resource.js';
import { createRunnerRoutes } from './runner-routes.js';
import { createTokenDesk, type TokenPurpose } from './tokens.js';

export interface StandInGitHubOptions {
  /** The tokens that the REST API accepts, each as `Bearer` or `token`. At least one. */
  readonly tokens: readonly string[];
  /** Default 0: any that is free. */
  readonly port?: number;
  /** The one organization that exists, with any repository of it; others are 404. Default `acme`. */
  readonly organization?: string;
  /** Runner groups besides `Default`, which has id 1; these get 2, 3, … */
  readonly runnerGroups?: readonly string[];
  readonly rateLimit?: RateLimitOptions;
  /** How long a runner's poll waits for a job. Default 20 s. */
  readonly pollMs?: number;
  /** A runner that nothing was heard of for this long is offline, and its session is closed. Default 60 s. */
  readonly sessionTimeoutMs?: number;
  /** A job that was handed over and not acquired goes back to the queue after this. Default 60 s, as with GitHub. */
  readonly acquireWithinMs?: number;
  /** A job that its runner said nothing about for this long is `Lost`. Default 10 min, as with GitHub. */
  readonly jobLostAfterMs?: number;
  /** Queue a random job this often. Default: never. */
  readonly jobsEveryMs?: number;
  /** The range of random durations. Default 2 s to 8 s. */
  readonly jobDurationMs?: { readonly min: number; readonly max: number };
  /** Of the random jobs. Default: another with every start. */
  readonly seed?: number;
  /** Told of everything that happens, at once. */
  readonly onEvent?: (event: StandInEvent & { readonly at: string }) => void;
  /** Default the system's. */
  readonly clock?: Clock;
}

export interface StandInGitHub {
  /** `http://127.0.0.1:PORT`: the base URL of the REST API. */
  readonly url: string;
  readonly port: number;
  /** What runners are registered with: `URL/ORGANIZATION`. */
  readonly organizationUrl: string;
  queueJob(request?: JobRequest): Job;
  /** All jobs, oldest first. */
  jobs(): Job[];
  /** The jobs that were ended by something else than themselves: shut down, crashed, lost. */
  jobsKilled(): Job[];
  /** All runners of all scopes, as REST shows them, with a `busy` that does not lag. */
  runners(): RunnerResource[];
  /** A token for `config.sh` without a REST request, valid for the organization. */
  issueToken(purpose: TokenPurpose): string;
  readonly faults: Faults;
  readonly rateLimit: Pick<RateLimit, 'state' | 'setRemaining'>;
  /** Requests that were answered, oldest first; the last 10,000. */
  requests(): RequestRecord[];
  /** Breaks off all connections and stops. */
  close(): Promise<void>;
}

/** Resolves when it listens; rejects if the port is taken (`EADDRINUSE`). */
export async function createStandInGitHub(options: StandInGitHubOptions): Promise<StandInGitHub> {
  if (options.tokens.length === 0)
    throw new Error('The stand-in GitHub has no token (tokens: []): give it at least one');
  const clock = options.clock ?? systemClock;
  const organization = options.organization ?? 'acme';
  const jobLostAfterMs = options.jobLostAfterMs ?? 600_000;
  const emit = (event: StandInEvent) => options.onEvent?.({ ...event, at: toRfc3339(clock.now()) });
  const groups = ['Default', ...(options.runnerGroups ?? [])].map((name, index) => ({ id: index + 1, name }));

  const registry = createRunnerRegistry(emit);
  const tokens = createTokenDesk(clock);
  const rateLimit = createRateLimit(clock, options.rateLimit ?? {});
  const jobs = createJobBook({ clock, emit }, { defaultOwner: organization });
  const faults = createFaultDesk({ onUnreachable: () => server.dropConnections(), clock });
  const dispatcher = createDispatcher(
    { registry, jobs, clock, emit },
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
  const listJobs = () => jobs.list();
  const jobsKilled = () => listJobs().filter((job) => job.ended_by !== null && job.ended_by !== 'itself');
  const runners = () => registry.list().map((runner) => toRunnerResource(runner, clock.now(), 0));

  const onDefect = (error: unknown) => process.stderr.write(`stand-in GitHub: ${inspect(error)}\n`);
  const gate = createGate({
    routes: [
      ...createRestRoutes({
        registry,
        tokens,
        rateLimit,
        clock,
        groups,
        organization,
        busyLagMs: () => faults.busyLagMs(),
      }),
      ...createRunnerRoutes({
        registry,
        dispatcher,
        jobs,
        tokens,
        groups,
        renewEveryMs: Math.min(60_000, Math.ceil(jobLostAfterMs / 4)), // GitHub: every 60 s of 10 min
      }),
      ...createAdminRoutes({ queueJob, jobs: listJobs, jobsKilled, runners, faults, clock }),
    ],
    faults,
    rateLimit,
    clock,
    apiTokens: options.tokens,
    onDefect,
  });
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

  const url = `http://127.0.0.1:${server.port}`;
  return {
    url,
    port: server.port,
    organizationUrl: `${url}/${organization}`,
    queueJob,
    jobs: listJobs,
    jobsKilled,
    runners,
    issueToken: (purpose) => tokens.issue(purpose, { owner: organization }).token,
    faults,
    rateLimit,
    requests: () => gate.records(),
    async close() {
      generator?.stop();
      faults.clear();
      dispatcher.stop();
      await server.close();
    },
  };
}
