/** The payload of the webhook `workflow_job`, as GitHub's schemas and examples have it. */
import type { WorkflowJobAction } from '../description/workflow-job-schemas.js';
import type { Repository } from '../directory.js';
import type { JobRecord } from '../job-book.js';
import { ACTOR, toAccountResource, toOrganizationResource } from '../resources/account-resource.js';
import { toJobResource, toSha } from '../resources/job-resource.js';
import { toNodeId, withoutMs, type Places } from '../resources/places.js';
import { toRepositoryResource } from '../resources/repository-resource.js';

export interface PayloadFacts {
  readonly action: WorkflowJobAction;
  readonly job: JobRecord;
  readonly repository: Repository;
  /** Of the App whose webhook it is; undefined for the webhooks of organizations and repositories. */
  readonly installationId: number | undefined;
  readonly hasLabels: boolean;
}

export function toWorkflowJobPayload(facts: PayloadFacts, places: Places): Record<string, unknown> {
  const { action, job, repository, installationId } = facts;
  const shown = toJobResource(job, places);
  return {
    action,
    workflow_job: facts.hasLabels ? shown : { ...shown, labels: [] },
    ...(job.environment === null ? {} : { deployment: toDeployment(job, repository, places) }),
    repository: toRepositoryResource(repository, places),
    organization: toOrganizationResource(repository.owner, places),
    sender: toAccountResource(ACTOR, places),
    ...(installationId === undefined
      ? {}
      : { installation: { id: installationId, node_id: toNodeId('I', installationId) } }),
  };
}

/** Of a job that needs approval (GitHub's seventh example). */
function toDeployment(job: JobRecord, repository: Repository, places: Places) {
  const repositoryUrl = `${places.apiUrl}/repos/${repository.fullName}`;
  const url = `${repositoryUrl}/deployments/${job.run_id}`;
  return {
    url,
    id: job.run_id,
    node_id: toNodeId('DE', job.run_id),
    task: 'deploy',
    original_environment: job.environment,
    environment: job.environment,
    description: null,
    created_at: withoutMs(job.queued_at),
    updated_at: withoutMs(job.queued_at),
    statuses_url: `${url}/statuses`,
    repository_url: repositoryUrl,
    creator: toAccountResource(ACTOR, places),
    sha: toSha(job),
    ref: 'main',
    payload: {},
    transient_environment: false,
    production_environment: false,
    performed_via_github_app: null,
  };
}
