import type { JobRecord } from '../job-book.js';
import { toNodeId, withoutMs, type Places } from './places.js';

export const WORKFLOW = 'stand-in';

/** The commit that the job runs. */
export const toSha = (job: JobRecord): string => job.id.toString(16).padStart(40, '0');

/** Schema `job` of the REST description, and `workflow_job` of the webhooks: one shape. */
export function toJobResource(job: JobRecord, { apiUrl, webUrl }: Places) {
  const repository = `${apiUrl}/repos/${job.repository}`;
  const runUrl = `${repository}/actions/runs/${job.run_id}`;
  return {
    id: job.id,
    run_id: job.run_id,
    workflow_name: WORKFLOW,
    head_branch: 'main',
    run_url: runUrl,
    run_attempt: job.run_attempt,
    node_id: toNodeId('CR', job.id),
    head_sha: toSha(job),
    url: `${repository}/actions/jobs/${job.id}`,
    html_url: `${webUrl}/${job.repository}/actions/runs/${job.run_id}/job/${job.id}`,
    status: toGitHubStatus(job),
    conclusion: job.conclusion,
    created_at: withoutMs(job.queued_at),
    started_at: withoutMs(job.started_at ?? job.queued_at), // GitHub never leaves it out
    completed_at: job.completed_at === null ? null : withoutMs(job.completed_at),
    name: job.name,
    steps: toSteps(job),
    check_run_url: `${repository}/check-runs/${job.id}`,
    labels: [...job.labels],
    ...toRunner(job),
  };
}

/** GitHub has no word for a job that was handed over and not acquired. */
export function toGitHubStatus(job: JobRecord): 'waiting' | 'queued' | 'in_progress' | 'completed' {
  return job.status === 'assigned' ? 'queued' : job.status;
}

/** Null until the job runs; a job that never ran has none at its end either. */
function toRunner(job: JobRecord) {
  const hasStarted = job.started_at !== null;
  return {
    runner_id: hasStarted ? job.runner_id : null,
    runner_name: hasStarted ? job.runner_name : null,
    runner_group_id: hasStarted ? job.runner_group_id : null,
    runner_group_name: hasStarted ? job.runner_group_name : null,
  };
}

function toSteps(job: JobRecord) {
  if (job.started_at === null) return [];
  const startedAt = withoutMs(job.started_at);
  const completedAt = job.completed_at === null ? null : withoutMs(job.completed_at);
  const isOver = completedAt !== null;
  const names = ['Set up job', ...job.steps.map((step) => step.name), ...(isOver ? ['Complete job'] : [])];
  return names.map((name, index) => ({
    name,
    status: isOver ? 'completed' : index === 0 ? 'in_progress' : 'queued',
    conclusion: isOver ? job.conclusion : null,
    number: index + 1,
    started_at: isOver || index === 0 ? startedAt : null,
    completed_at: completedAt,
  }));
}
