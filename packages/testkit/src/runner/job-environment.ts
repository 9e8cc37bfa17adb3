import path from 'node:path';
import type { AcquiredJob } from '../github/runner-protocol.js';
import { ARCHITECTURE, OS_NAME } from './identity.js';

/**
 * The environment of a job's hooks and steps: what the worker inherited, `GITHUB_*` (actions/runner
 * src/Runner.Worker/GitHubContext.cs) and `RUNNER_*` (github-facts 1.9).
 */
export function toJobEnvironment(options: {
  job: AcquiredJob;
  runnerName: string;
  serverUrl: string;
  workFolder: string;
  trackingId: string;
  env: NodeJS.ProcessEnv;
}): NodeJS.ProcessEnv {
  const { job, workFolder } = options;
  const [owner = '', repository = ''] = job.repository.split('/');
  const temp = path.join(workFolder, '_temp');
  const pipeline = path.join(workFolder, repository);
  const workspace = path.join(pipeline, repository);
  const github = {
    ACTIONS: 'true',
    ACTOR: job.actor,
    API_URL: options.serverUrl,
    EVENT_NAME: job.event_name,
    EVENT_PATH: path.join(temp, '_github_workflow', 'event.json'),
    JOB: job.key,
    REF: job.ref,
    REF_NAME: job.ref.replace(/^refs\/(heads|tags)\//, ''),
    REPOSITORY: job.repository,
    REPOSITORY_ID: String(job.repository_id),
    REPOSITORY_OWNER: owner,
    RUN_ATTEMPT: String(job.run_attempt),
    RUN_ID: String(job.run_id),
    RUN_NUMBER: String(job.run_number),
    SERVER_URL: options.serverUrl,
    SHA: job.sha,
    WORKFLOW: job.workflow,
    WORKFLOW_REF: `${job.repository}/.github/workflows/${job.workflow}.yml@${job.ref}`,
    WORKSPACE: workspace,
  };
  const runner = {
    ARCH: ARCHITECTURE,
    ENVIRONMENT: 'self-hosted',
    NAME: options.runnerName,
    OS: OS_NAME,
    TEMP: temp,
    TOOL_CACHE: options.env['RUNNER_TOOL_CACHE'] ?? path.join(workFolder, '_tool'),
    TRACKING_ID: options.trackingId,
    WORKSPACE: pipeline,
  };
  return { ...options.env, CI: 'true', ...prefixed('GITHUB_', github), ...prefixed('RUNNER_', runner) };
}

const prefixed = (prefix: string, values: Record<string, string>) =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [`${prefix}${key}`, value]));
