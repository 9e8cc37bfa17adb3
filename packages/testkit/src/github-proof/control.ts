/** A stand-in GitHub and a controller that is signed in there as a GitHub App, gets its webhooks, and compares often. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { WorkflowJobResource } from '@mig/common/api/workflow-job-resource';
import { createAppKey, type AppKey } from '../github/app/app-key.js';
import type { StandInEvent } from '../github/events.js';
import { POOL, type Control, type ControlOptions, type Ground } from '../reliability/ground.js';
import { RunnerCounts } from './runner-counts.js';

/** Begins the names of all runners: `mig-proof-`. */
export const CONTROLLER_ID = 'proof';
const APP_ID = 4711;
/** The largest page that the API gives. */
const PAGE = 1_000;

export interface ProofControl extends Control {
  readonly key: AppKey;
  readonly webhookSecret: string;
  /** Of each VM, how often its runner was registered and how often a job of it ended. */
  readonly counts: RunnerCounts;
  /** All that the controller knows. */
  workflowJobs(query?: string): Promise<WorkflowJobResource[]>;
}

export interface ProofControlOptions extends Pick<
  ControlOptions,
  'github' | 'token' | 'onControllerLog' | 'onGitHubEvent' | 'via' | 'dataName'
> {
  /** Settings of the controller, beside those of a proof. */
  readonly env?: Readonly<Record<string, string>>;
  /** How the controller signs in. Default `app`. */
  readonly auth?: 'app' | 'token';
  /** Default one that follows the seed. */
  readonly webhookSecret?: string;
}

/** What is looked at every minute, in seconds: a proof has no hours. */
const RECONCILIATION = {
  CONTROLLER_GITHUB_RECONCILIATION_INTERVAL: '1s',
  CONTROLLER_GITHUB_RECONCILIATION_GRACE: '3s',
  CONTROLLER_HEARTBEAT_INTERVAL: '2s',
};

export async function startProofControl(
  ground: Ground,
  options: ProofControlOptions = {},
): Promise<ProofControl> {
  const key = createAppKey();
  const webhookSecret =
    options.webhookSecret ??
    createHash('sha256').update(`webhook ${ground.random()}`).digest('hex').slice(0, 40);
  const keyFile = path.join(ground.folder, 'app-key.pem');
  const secretFile = path.join(ground.folder, 'webhook-secret');
  writeFileSync(keyFile, key.privateKey, { mode: 0o600 });
  writeFileSync(secretFile, `${webhookSecret}\n`, { mode: 0o600 });
  const counts = new RunnerCounts();
  const control = await ground.startControl({
    ...options,
    github: { app: { id: APP_ID, keys: [key.publicKey] }, ...options.github },
    onGitHubEvent(event: StandInEvent) {
      counts.note(event);
      options.onGitHubEvent?.(event);
    },
    env: {
      CONTROLLER_CONTROLLER_ID: CONTROLLER_ID,
      CONTROLLER_GITHUB_REGISTRATION: 'jit',
      CONTROLLER_GITHUB_WRITES_PER_SECOND: '3',
      ...((options.auth ?? 'app') === 'app'
        ? {
            CONTROLLER_GITHUB_AUTH: 'app',
            CONTROLLER_GITHUB_APP_ID: String(APP_ID),
            CONTROLLER_GITHUB_PRIVATE_KEY_FILE: keyFile,
          }
        : {}),
      CONTROLLER_GITHUB_WEBHOOK_SECRET_FILE: secretFile,
      CONTROLLER_POOLS: `{ ${POOL}: { labels: [self-hosted, ${POOL}] } }`,
      ...RECONCILIATION,
      ...options.env,
    },
  });
  control.github.webhooks.configure({
    url: `${control.controller.http}/webhooks/github`,
    secret: webhookSecret,
  });
  return {
    ...control,
    key,
    webhookSecret,
    counts,
    async workflowJobs(query = '') {
      const jobs: WorkflowJobResource[] = [];
      let cursor: string | undefined;
      do {
        const at = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`;
        const url = `${control.controller.http}/api/v1/workflow-jobs?limit=${PAGE}${query}${at}`;
        const response = await fetch(url, { signal: ground.signal });
        if (!response.ok) throw new Error(`GET workflow-jobs: ${response.status} ${await response.text()}`);
        const page = (await response.json()) as {
          workflow_jobs: WorkflowJobResource[];
          next_cursor?: string;
        };
        jobs.push(...page.workflow_jobs);
        cursor = page.next_cursor;
      } while (cursor !== undefined);
      return jobs;
    },
  };
}
