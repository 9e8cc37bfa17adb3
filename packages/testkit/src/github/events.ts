/** What happened inside the stand-in, in the order in which it happened. Keys are spelled as in GitHub's payloads. */
export type StandInEvent =
  | { readonly event: 'runner_registered'; readonly runner_id: number; readonly runner_name: string }
  | { readonly event: 'runner_online'; readonly runner_id: number; readonly runner_name: string }
  | { readonly event: 'runner_offline'; readonly runner_id: number; readonly runner_name: string }
  | {
      readonly event: 'runner_removed';
      readonly runner_id: number;
      readonly runner_name: string;
      readonly reason: RemovalReason;
    }
  | ({ readonly event: 'job_waiting' } & JobFacts)
  | ({ readonly event: 'job_queued' } & JobFacts)
  | ({ readonly event: 'job_started'; readonly runner_name: string } & JobFacts)
  | ({
      readonly event: 'job_completed';
      readonly runner_name: string | null;
      readonly result: string;
      readonly ended_by: string;
    } & JobFacts)
  /** A request that GitHub's description rejects. */
  | {
      readonly event: 'request_rejected';
      readonly method: string;
      readonly path: string;
      readonly operation: string | null;
      readonly faults: readonly string[];
    }
  /** One attempt to deliver a webhook. `status` is GitHub's word, `OK` if it was taken. */
  | {
      readonly event: 'webhook_delivered';
      readonly delivery_id: number;
      readonly guid: string;
      readonly action: string | null;
      readonly status: string;
      readonly status_code: number;
      readonly redelivery: boolean;
    };

/**
 * `deleted`: over the REST API; `unconfigured`: by `config.sh remove`; `job_done`: an ephemeral runner had its one job;
 * `idle`: a runner with a JIT configuration waited too long for a job; `never_connected`, `away`: see `runner-lifetime.ts`.
 */
export type RemovalReason = 'deleted' | 'unconfigured' | 'job_done' | 'idle' | 'never_connected' | 'away';

interface JobFacts {
  readonly job_id: number;
  readonly job_name: string;
  readonly repository: string;
}

export type EmitEvent = (event: StandInEvent) => void;
