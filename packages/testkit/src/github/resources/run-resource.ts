import type { Repository } from '../directory.js';
import type { JobRecord } from '../job-book.js';
import { ACTOR, toAccountResource } from './account-resource.js';
import { toGitHubStatus, toSha, WORKFLOW } from './job-resource.js';
import { toNodeId, withoutMs, type Places } from './places.js';
import { toRepositoryResource } from './repository-resource.js';

/** Schema `workflow-run`, of the job of one attempt: a run of the stand-in has one job. */
export function toRunResource(job: JobRecord, repository: Repository, places: Places) {
  const repositoryUrl = `${places.apiUrl}/repos/${repository.fullName}`;
  const url = `${repositoryUrl}/actions/runs/${job.run_id}`;
  const actor = toAccountResource(ACTOR, places);
  const shown = toRepositoryResource(repository, places);
  const queuedAt = withoutMs(job.queued_at);
  return {
    id: job.run_id,
    name: WORKFLOW,
    node_id: toNodeId('WFR', job.run_id),
    check_suite_id: job.run_id,
    head_branch: 'main',
    head_sha: toSha(job),
    path: `.github/workflows/${WORKFLOW}.yml`,
    run_number: job.id,
    run_attempt: job.run_attempt,
    event: 'push',
    display_title: job.name,
    status: toGitHubStatus(job),
    conclusion: job.conclusion,
    workflow_id: 1,
    url,
    html_url: `${places.webUrl}/${repository.fullName}/actions/runs/${job.run_id}`,
    pull_requests: [],
    created_at: queuedAt,
    updated_at: withoutMs(job.completed_at ?? job.started_at ?? job.queued_at),
    run_started_at: queuedAt,
    actor,
    triggering_actor: actor,
    jobs_url: `${url}/jobs`,
    logs_url: `${url}/logs`,
    check_suite_url: `${repositoryUrl}/check-suites/${job.run_id}`,
    artifacts_url: `${url}/artifacts`,
    cancel_url: `${url}/cancel`,
    rerun_url: `${url}/rerun`,
    previous_attempt_url: job.run_attempt === 1 ? null : `${url}/attempts/${job.run_attempt - 1}`,
    workflow_url: `${repositoryUrl}/actions/workflows/1`,
    head_commit: {
      id: toSha(job),
      tree_id: toSha(job),
      message: job.name,
      timestamp: queuedAt,
      author: null,
      committer: null,
    },
    repository: shown,
    head_repository: shown,
  };
}
