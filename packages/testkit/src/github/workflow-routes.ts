/** Runs and jobs over REST. A run of the stand-in has one job, and one more for each further attempt. */
import { json, notFound, refusal } from './answers.js';
import type { Directory, Repository } from './directory.js';
import type { Dispatcher } from './dispatcher.js';
import type { Answer, Route, RouteName, StandInRequest } from './exchange.js';
import type { JobBook, JobRecord } from './job-book.js';
import { readPage, toLinkHeader } from './paging.js';
import { toJobResource } from './resources/job-resource.js';
import type { Places } from './resources/places.js';
import { toRunResource } from './resources/run-resource.js';
import { toRoutes } from './scoped-routes.js';

export interface WorkflowRoutesDeps {
  readonly jobs: JobBook;
  readonly dispatcher: Pick<Dispatcher, 'cancel' | 'dispatch'>;
  readonly directory: Directory;
}

export function createWorkflowRoutes({ jobs, dispatcher, directory }: WorkflowRoutesDeps): Route[] {
  function listRuns(request: StandInRequest, repository: Repository): Answer {
    const wanted = request.query.get('status');
    const latest = new Map(jobs.find(repository.fullName).map((job) => [job.run_id, job]));
    const found = [...latest.values()]
      .map((job) => toRunResource(job, repository, placesOf(request)))
      .filter((run) => wanted === null || run.status === wanted || run.conclusion === wanted)
      .reverse();
    return page(request, found, 'workflow_runs');
  }

  /** `filter=latest` (default) has the last attempt, `all` has them all. */
  function listRunJobs(request: StandInRequest, attempts: readonly JobRecord[]): Answer {
    const found = request.query.get('filter') === 'all' ? attempts : attempts.slice(-1);
    return page(request, found.map(show(request)), 'jobs');
  }

  function listAttemptJobs(request: StandInRequest, attempts: readonly JobRecord[]): Answer {
    const number = Number(request.params['attempt_number']);
    const found = attempts.filter((job) => job.run_attempt === number);
    return found.length === 0 ? notFound() : page(request, found.map(show(request)), 'jobs');
  }

  function rerun(job: JobRecord): Answer {
    const isLatest = jobs.find(job.repository, job.run_id).at(-1) === job;
    if (job.status !== 'completed' || !isLatest)
      return refusal(403, 'The workflow run containing this job is already running');
    jobs.queueAgain(job);
    dispatcher.dispatch();
    return json(201, {});
  }

  const cancel =
    (force: boolean) =>
    (_request: StandInRequest, attempts: readonly JobRecord[]): Answer =>
      attempts.map((job) => dispatcher.cancel(job, force)).some(Boolean)
        ? json(202, {})
        : refusal(409, 'Cannot cancel a workflow run that is completed.');

  const route = (
    name: RouteName,
    method: string,
    path: string,
    handle: (request: StandInRequest, repository: Repository) => Answer,
  ): Route[] =>
    toRoutes(directory, {
      name,
      method,
      path: `actions/${path}`,
      kinds: ['repository'],
      permissions: { repository: 'actions' },
      handle(request) {
        const repository = directory.findRepository(
          request.params['owner'] ?? '',
          request.params['repo'] ?? '',
        );
        return repository === undefined ? notFound() : handle(request, repository);
      },
    });

  const ofJob =
    (handle: (request: StandInRequest, job: JobRecord) => Answer) =>
    (request: StandInRequest, repository: Repository): Answer => {
      const job = jobs.get(Number(request.params['job_id']));
      const isHere = job?.repository.toLowerCase() === repository.fullName.toLowerCase();
      return job === undefined || !isHere ? notFound() : handle(request, job);
    };

  const ofRun =
    (handle: (request: StandInRequest, attempts: readonly JobRecord[], repository: Repository) => Answer) =>
    (request: StandInRequest, repository: Repository): Answer => {
      const attempts = jobs.find(repository.fullName, Number(request.params['run_id']));
      return attempts.length === 0 ? notFound() : handle(request, attempts, repository);
    };

  const ofLatest = (handle: (request: StandInRequest, job: JobRecord, repository: Repository) => Answer) =>
    ofRun((request, attempts, repository) => {
      const latest = attempts.at(-1);
      return latest === undefined ? notFound() : handle(request, latest, repository);
    });

  return [
    ...route(
      'get-job',
      'GET',
      'jobs/{job_id}',
      ofJob((request, job) => json(200, show(request)(job))),
    ),
    ...route(
      'rerun-job',
      'POST',
      'jobs/{job_id}/rerun',
      ofJob((_request, job) => rerun(job)),
    ),
    ...route('list-runs', 'GET', 'runs', listRuns),
    ...route(
      'get-run',
      'GET',
      'runs/{run_id}',
      ofLatest((request, job, repository) => json(200, toRunResource(job, repository, placesOf(request)))),
    ),
    ...route('list-run-jobs', 'GET', 'runs/{run_id}/jobs', ofRun(listRunJobs)),
    ...route(
      'list-attempt-jobs',
      'GET',
      'runs/{run_id}/attempts/{attempt_number}/jobs',
      ofRun(listAttemptJobs),
    ),
    ...route('cancel-run', 'POST', 'runs/{run_id}/cancel', ofRun(cancel(false))),
    ...route('force-cancel-run', 'POST', 'runs/{run_id}/force-cancel', ofRun(cancel(true))),
    ...route(
      'rerun-run',
      'POST',
      'runs/{run_id}/rerun',
      ofLatest((_request, job) => rerun(job)),
    ),
    ...route(
      'rerun-failed-jobs',
      'POST',
      'runs/{run_id}/rerun-failed-jobs',
      ofLatest((_request, job) => rerun(job)),
    ),
  ];
}

const placesOf = (request: StandInRequest): Places => ({ apiUrl: request.apiUrl, webUrl: request.origin });
const show = (request: StandInRequest) => (job: JobRecord) => toJobResource(job, placesOf(request));

function page(request: StandInRequest, all: readonly unknown[], key: 'jobs' | 'workflow_runs'): Answer {
  const wanted = readPage(request.query);
  const headers = toLinkHeader(request, wanted, all.length);
  return json(200, { total_count: all.length, [key]: all.slice(wanted.from, wanted.to) }, headers);
}
