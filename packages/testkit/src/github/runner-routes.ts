/** The runners' side of the stand-in (`runner-protocol.ts`). None of this is GitHub's own protocol. */
import { json, nameExists, refusal } from './answers.js';
import type { Dispatcher } from './dispatcher.js';
import type { Answer, Route, RouteName, StandInRequest } from './exchange.js';
import { toAcquiredJob, type JobBook, type JobRecord } from './job-book.js';
import { isJobCompletion, isRegistrationRequest, isSessionRequest } from './runner-bodies.js';
import { RUNNER_SERVICE } from './runner-protocol.js';
import type { GroupBook } from './runner-groups.js';
import type { Runner, RunnerRegistry } from './runner-registry.js';
import { parseScopeUrl } from './scope.js';
import type { TokenDesk } from './tokens.js';

export interface RunnerRoutesDeps {
  readonly registry: RunnerRegistry;
  readonly dispatcher: Dispatcher;
  readonly jobs: JobBook;
  readonly tokens: TokenDesk;
  readonly groups: GroupBook;
  /** The id of a repository, as the REST API and webhooks have it. */
  readonly repositoryId: (fullName: string) => number;
  readonly renewEveryMs: number;
}

export function createRunnerRoutes(deps: RunnerRoutesDeps): Route[] {
  const { registry, dispatcher, jobs, tokens } = deps;

  function register(request: StandInRequest): Answer {
    if (!isRegistrationRequest(request.body)) return malformed();
    const wanted = request.body;
    const scope = parseScopeUrl(wanted.url);
    if (scope === undefined || !tokens.accepts(bearer(request), 'registration', scope))
      return unknownRegistration();
    const group = deps.groups
      .list(scope)
      .find(({ id, name }) =>
        wanted.runner_group === '' ? id === 1 : name.toLowerCase() === wanted.runner_group.toLowerCase(),
      );
    if (group === undefined) {
      return refusal(400, `Could not find any self-hosted runner group named "${wanted.runner_group}".`);
    }
    const runner = registry.add({
      scope,
      name: wanted.name,
      readOnlyLabels: wanted.no_default_labels ? [] : ['self-hosted', wanted.os, wanted.arch],
      customLabels: wanted.labels,
      group,
      ephemeral: wanted.ephemeral,
      jit: false,
      os: wanted.os.toLowerCase(),
      version: wanted.version,
      replace: wanted.replace,
    });
    if (runner === undefined) return nameExists(wanted.name);
    return json(200, {
      agent_id: runner.id,
      agent_name: runner.name,
      pool_id: group.id,
      pool_name: group.name,
      server_url: request.origin,
      credential: runner.credential,
    });
  }

  function unregister(request: StandInRequest): Answer {
    const runner = registry.get(Number(request.params['runner_id']));
    if (runner === undefined || !tokens.accepts(bearer(request), 'remove', runner.scope))
      return unknownRegistration();
    const removed = registry.removeIfIdle(runner.id, 'unconfigured') === 'removed';
    return removed
      ? json(200, {})
      : refusal(422, `Runner "${runner.name}" is running a job and cannot be removed`);
  }

  function openSession(request: StandInRequest, runner: Runner): Answer {
    if (bearer(request) !== runner.credential) return registrationDeleted(); // it was replaced by another
    if (!isSessionRequest(request.body)) return malformed();
    const { version, os } = request.body;
    const sessionId = dispatcher.openSession(runner);
    if (sessionId === undefined) return refusal(409, `A session for runner ${runner.name} already exists`);
    runner.version = version;
    runner.os = os.toLowerCase();
    return json(200, { session_id: sessionId });
  }

  function closeSession(request: StandInRequest, runner: Runner): Answer {
    return dispatcher.closeSession(runner, request.params['session_id'] ?? '')
      ? json(200, {})
      : sessionExpired();
  }

  async function poll(request: StandInRequest, runner: Runner): Promise<Answer> {
    const outcome = await dispatcher.poll(runner, request.params['session_id'] ?? '', request.signal);
    switch (outcome.kind) {
      case 'expired':
        return sessionExpired();
      case 'nothing':
        return json(200, { type: 'nothing' });
      case 'job':
        return {
          ...json(200, { type: 'job', job_id: outcome.job.id }),
          onUndelivered: () => dispatcher.takeBack(outcome.job),
        };
    }
  }

  function acquire(runner: Runner, job: JobRecord): Answer {
    if (!dispatcher.acquire(runner, job)) return jobGone(job);
    return json(200, toAcquiredJob(job, deps.repositoryId(job.repository), deps.renewEveryMs));
  }

  /** A request by a runner that proves who it is with its credential. */
  const byRunner = (
    name: RouteName,
    method: string,
    path: string,
    handle: (request: StandInRequest, runner: Runner) => Answer | Promise<Answer>,
  ): Route => ({
    name,
    side: 'runner',
    method,
    path: `${RUNNER_SERVICE}/${path}`,
    handle(request) {
      const runner = registry.findByCredential(bearer(request));
      return runner === undefined ? registrationDeleted() : handle(request, runner);
    },
  });

  const byJob = (
    name: RouteName,
    verb: string,
    handle: (runner: Runner, job: JobRecord, request: StandInRequest) => Answer,
  ): Route =>
    byRunner(name, 'POST', `jobs/{job_id}/${verb}`, (request, runner) => {
      const job = jobs.get(Number(request.params['job_id']));
      return job === undefined
        ? refusal(404, `No job ${request.params['job_id'] ?? ''}`)
        : handle(runner, job, request);
    });

  const byToken = (name: RouteName, method: string, path: string, handle: Route['handle']): Route => ({
    name,
    side: 'runner',
    method,
    path: `${RUNNER_SERVICE}/${path}`,
    handle,
  });

  return [
    byToken('register', 'POST', 'registrations', register),
    byToken('unregister', 'DELETE', 'registrations/{runner_id}', unregister),
    byRunner('open-session', 'POST', 'sessions', openSession),
    byRunner('close-session', 'DELETE', 'sessions/{session_id}', closeSession),
    byRunner('poll', 'GET', 'sessions/{session_id}/message', poll),
    byJob('acquire-job', 'acquire', acquire),
    byJob('renew-job', 'renew', (runner, job) =>
      dispatcher.renew(runner, job) ? json(200, {}) : jobGone(job),
    ),
    byJob('complete-job', 'complete', (runner, job, request) =>
      !isJobCompletion(request.body)
        ? malformed()
        : dispatcher.complete(runner, job, request.body)
          ? json(200, {})
          : jobGone(job),
    ),
  ];
}

const bearer = (request: StandInRequest) => String(request.headers.authorization ?? '').split(' ')[1] ?? '';
const malformed = () => refusal(400, 'The body is not what runner-protocol.ts says');
const unknownRegistration = () => refusal(404, 'Not Found');
const registrationDeleted = () => refusal(404, 'The runner registration was deleted');
const sessionExpired = () => refusal(410, 'The session expired');
const jobGone = (job: JobRecord) => refusal(409, `Job ${job.id} is ${job.status} and not with this runner`);
