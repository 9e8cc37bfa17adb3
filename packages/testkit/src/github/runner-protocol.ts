/**
 * What the stand-in runner and the stand-in GitHub say to each other.
 *
 * GitHub's real protocol between the runner and its service is private and undocumented; this one is ours alone and is
 * kept apart from GitHub's REST API by its prefix. It has the same stations as the real one (register, open a session,
 * long-poll for a message, acquire the job, renew its lease, complete it, delete the session; actions/runner
 * src/Runner.Listener/BrokerMessageListener.cs and JobDispatcher.cs), so that every race of the real one can happen.
 *
 * Types only, but for the prefix: the runner's processes import this file and must start fast.
 */

/** Where the runners' side of the stand-in begins. No path of GitHub's API begins like this. */
export const RUNNER_SERVICE = '/_stand-in/runner-service';

/** `POST {RUNNER_SERVICE}/registrations`, with `Authorization: RemoteAuth <registration token>`. */
export interface RegistrationRequest {
  /** What `config.sh --url` was given: `http://127.0.0.1:PORT/ORG` or `…/OWNER/REPO`. */
  readonly url: string;
  readonly name: string;
  /** The labels of `--labels`. The server adds `self-hosted`, the system and the architecture, unless told not to. */
  readonly labels: readonly string[];
  readonly no_default_labels: boolean;
  /** Empty means the default group. */
  readonly runner_group: string;
  readonly ephemeral: boolean;
  readonly replace: boolean;
  /** As the labels are spelled: `Linux`, `X64`. */
  readonly os: string;
  readonly arch: string;
  readonly version: string;
}

/** 200 to a registration. */
export interface Registration {
  readonly agent_id: number;
  readonly agent_name: string;
  readonly pool_id: number;
  readonly pool_name: string;
  readonly server_url: string;
  /** What the runner says who it is with from now on: `Authorization: Bearer <credential>`. */
  readonly credential: string;
}

/** `POST {RUNNER_SERVICE}/sessions`. 200 with a `Session`; 409 if one is open; 404 if the registration was deleted. */
export interface SessionRequest {
  readonly version: string;
  readonly os: string;
}

export interface Session {
  readonly session_id: string;
}

/**
 * 200 to `GET {RUNNER_SERVICE}/sessions/{id}/message`, which is answered after at most 20 s. 404 says that the
 * registration was deleted, 410 that the session expired and another has to be opened.
 */
export type RunnerMessage =
  | { readonly type: 'nothing' }
  /** A job was handed to this runner, which is busy from this moment on and has to acquire the job. */
  | { readonly type: 'job'; readonly job_id: number };

/** 200 to `POST {RUNNER_SERVICE}/jobs/{id}/acquire`: all that a worker needs. */
export interface AcquiredJob {
  readonly id: number;
  /** The display name; may contain anything. */
  readonly name: string;
  /** The job's key in the workflow file. */
  readonly key: string;
  readonly workflow: string;
  readonly repository: string;
  readonly repository_id: number;
  readonly run_id: number;
  readonly run_number: number;
  readonly run_attempt: number;
  readonly sha: string;
  readonly ref: string;
  readonly actor: string;
  readonly event_name: string;
  readonly duration_ms: number;
  /** Shell commands, run one after another in processes of their own. */
  readonly steps: readonly JobStep[];
  /** What the job ends with if nothing disturbs it. */
  readonly result: 'Succeeded' | 'Failed';
  /** The runner says `POST {RUNNER_SERVICE}/jobs/{id}/renew` this often while the job runs; 409 says that it was lost. */
  readonly renew_every_ms: number;
}

export interface JobStep {
  readonly name: string;
  /** Given to `bash -e -c` (or `sh -e -c`); an exit code other than 0 fails the job. */
  readonly run: string;
}

/** How a job ended, as the runner's own terminal says it (actions/runner src/Sdk/DTWebApi/WebApi/TaskResult.cs). */
export type RunnerResult = 'Succeeded' | 'Failed' | 'Canceled';

/** What brought a job to its end: itself, a runner that was told to stop, a worker that died. */
export type RunnerEndedBy = 'itself' | 'runner-shutdown' | 'worker-crash';

/** `POST {RUNNER_SERVICE}/jobs/{id}/complete`. 200; 409 if the job had already ended (it was lost). */
export interface JobCompletion {
  readonly result: RunnerResult;
  readonly ended_by: RunnerEndedBy;
}
