import type { Clock } from '@mig/common/clock';
import type { AppOptions } from './app/app-desk.js';
import type { StandInEvent } from './events.js';
import type { RateLimitOptions } from './rate-limit.js';
import type { RunnerDownload } from './resources/runner-downloads.js';
import type { SecondaryLimitOptions } from './secondary-limit.js';
import type { Violation } from './violations.js';
import type { WebhookOptions } from './webhooks/webhook-controls.js';

export interface StandInGitHubOptions {
  /** The tokens that the REST API accepts, each as `Bearer` or `token`. At least one, unless there is an App. */
  readonly tokens: readonly string[];
  /** Default 0: any that is free. */
  readonly port?: number;
  /** The organization, with any repository of it. Default `acme`. Others are 404, but those of `otherOrganizations`. */
  readonly organization?: string;
  readonly otherOrganizations?: readonly string[];
  /** The slug of an enterprise that all organizations belong to. Default none. */
  readonly enterprise?: string;
  /** Runner groups besides `Default`, which has id 1; these get 2, 3, … */
  readonly runnerGroups?: readonly string[];
  /** A GitHub App, installed at every organization unless it says otherwise. Default none. */
  readonly app?: AppOptions;
  /** Where `workflow_job` is told: the App's webhook, or the organization's if there is no App. Default nowhere. */
  readonly webhook?: WebhookOptions;
  /** The receiver of a webhook has so long to answer. Default 10 s (Enterprise Server: 30 s). */
  readonly webhookAnswerLimitMs?: number;
  /** What the REST API's paths begin with: empty (default), or `/api/v3` as on an Enterprise Server. */
  readonly apiPrefix?: string;
  /** What `runners/downloads` offers. Default GitHub's shape, with addresses that lead nowhere. */
  readonly runnerDownloads?: readonly RunnerDownload[];
  readonly rateLimit?: RateLimitOptions;
  /** Limits against abuse. Default none; `GITHUBS_SECONDARY_LIMITS` are GitHub's. */
  readonly secondaryLimits?: SecondaryLimitOptions;
  /** How long a runner's poll waits for a job. Default 20 s. */
  readonly pollMs?: number;
  /** A runner that nothing was heard of for this long is offline, and its session is closed. Default 60 s. */
  readonly sessionTimeoutMs?: number;
  /** A job that was handed over and not acquired goes back to the queue after this. Default 60 s, as with GitHub. */
  readonly acquireWithinMs?: number;
  /** A job that its runner said nothing about for this long is `Lost`. Default 10 min, as with GitHub. */
  readonly jobLostAfterMs?: number;
  /** A runner with a JIT configuration that waits so long for a job is removed. Default: it is not. */
  readonly jitIdleRemovalMs?: number;
  /** Queue a random job this often. Default: never. */
  readonly jobsEveryMs?: number;
  /** The range of random durations. Default 2 s to 8 s. */
  readonly jobDurationMs?: { readonly min: number; readonly max: number };
  /** Of the random jobs. Default: another with every start. */
  readonly seed?: number;
  /** Told of everything that happens, at once. */
  readonly onEvent?: (event: StandInEvent & { readonly at: string }) => void;
  /** Told of every request that GitHub's description rejects, at once. Default: a line on standard error. */
  readonly onViolation?: (violation: Violation) => void;
  /** Default the system's. */
  readonly clock?: Clock;
}
