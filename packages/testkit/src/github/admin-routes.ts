/** For tests and the demo in other processes: jobs, runners and faults over HTTP. Loopback only, no credentials. */
import type { Clock } from '@mig/common/clock';
import { invalidRequest, json, refusal } from './answers.js';
import type { Answer, Route, RouteName, StandInRequest } from './exchange.js';
import type { Faults } from './faults.js';
import { findJobFaults, type Job, type JobRequest } from './job.js';
import type { RunnerResource } from './runner-resource.js';

const ADMIN = '/_stand-in/admin';

export interface AdminDeps {
  readonly queueJob: (job: JobRequest) => Job;
  readonly jobs: () => Job[];
  readonly jobsKilled: () => Job[];
  readonly runners: () => RunnerResource[];
  readonly faults: Faults;
  readonly clock: Clock;
}

/** `POST {ADMIN}/faults`: what is given is set. */
interface FaultRequest {
  readonly clear?: boolean;
  readonly busyLagMs?: number;
  readonly failNext?: {
    readonly route: RouteName;
    readonly status: number | 'no-answer';
    readonly count?: number;
    readonly afterEffect?: boolean;
  };
  readonly delay?: { readonly route: RouteName; readonly delayMs: number };
  readonly hold?: RouteName;
  readonly release?: RouteName;
  /** Nobody reaches the stand-in for so long. */
  readonly unreachableForMs?: number;
}

export function createAdminRoutes(deps: AdminDeps): Route[] {
  const route = (method: string, path: string, handle: (request: StandInRequest) => Answer): Route => ({
    name: 'admin',
    side: 'admin',
    method,
    path: `${ADMIN}/${path}`,
    handle,
  });

  function setFaults(request: StandInRequest): Answer {
    const wanted = (request.body ?? {}) as FaultRequest;
    if (wanted.clear === true) deps.faults.clear();
    if (wanted.busyLagMs !== undefined) deps.faults.setBusyLagMs(wanted.busyLagMs);
    if (wanted.failNext !== undefined) deps.faults.failNext(wanted.failNext.route, wanted.failNext);
    if (wanted.delay !== undefined) deps.faults.delay(wanted.delay.route, wanted.delay.delayMs);
    if (wanted.hold !== undefined) deps.faults.hold(wanted.hold);
    if (wanted.release !== undefined) deps.faults.release(wanted.release);
    if (wanted.unreachableForMs !== undefined) {
      // after the answer to this very request is on its way
      deps.clock.setTimer(() => deps.faults.setReachable(false), 50);
      deps.clock.setTimer(() => deps.faults.setReachable(true), 50 + wanted.unreachableForMs);
    }
    return json(200, {});
  }

  function queueJob(request: StandInRequest): Answer {
    const body = request.body ?? {};
    const faults = findJobFaults(body);
    return faults.length > 0 ? invalidRequest(faults) : json(201, deps.queueJob(body));
  }

  function getJob(request: StandInRequest): Answer {
    const job = deps.jobs().find(({ id }) => String(id) === request.params['job_id']);
    return job === undefined ? refusal(404, `No job ${request.params['job_id'] ?? ''}`) : json(200, job);
  }

  return [
    route('POST', 'jobs', queueJob),
    route('GET', 'jobs', () => json(200, { jobs: deps.jobs() })),
    route('GET', 'jobs/{job_id}', getJob),
    route('GET', 'jobs-killed', () => json(200, { jobs: deps.jobsKilled() })),
    route('GET', 'runners', () => json(200, { runners: deps.runners() })),
    route('POST', 'faults', setFaults),
  ];
}
