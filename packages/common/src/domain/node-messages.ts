/** What a node and the controller say to each other (proto/agent.proto, where the fields are explained). */

export interface NodeHeartbeat {
  readonly nodeId: string;
  readonly timestamp: number;
  readonly ramMb: number;
  readonly cpuPercent: number;
  readonly diskMb: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly listsJobs: boolean;
  readonly jobIds: readonly string[];
  readonly draining: boolean;
}

export interface NodeAnswer {
  readonly ok: boolean;
  readonly message: string;
}

export interface HeartbeatAnswer extends NodeAnswer {
  readonly endJobIds: readonly string[];
}

export interface OfferedTask {
  readonly name: string;
  readonly driver: string;
  readonly config: { readonly image: string; readonly options: Readonly<Record<string, string>> } | undefined;
  readonly env: Readonly<Record<string, string>>;
}

export interface OfferedJob {
  readonly jobId: string;
  readonly name: string;
  readonly type: string;
  /** Comma-separated. */
  readonly datacenters: string;
  readonly tasks: readonly OfferedTask[];
  readonly meta: Readonly<Record<string, string>>;
  readonly deadlineMs: number;
  readonly attempt: number;
  readonly resources:
    { readonly ramMb: number; readonly cpuPercent: number; readonly diskMb: number } | undefined;
}

export interface JobOffer {
  readonly hasJob: boolean;
  readonly job: OfferedJob | undefined;
  readonly message: string;
}

export interface JobOutputText {
  readonly task: string;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StatusUpdate {
  readonly nodeId: string;
  readonly jobId: string;
  readonly status: string;
  readonly detail: string;
  readonly timestamp: number;
  /** 0 = not said. */
  readonly attempt: number;
  readonly output: readonly JobOutputText[];
  /** 0 = not counted. */
  readonly outputSequence: number;
  readonly exitCode: number;
}

export interface NodeAndJob {
  readonly nodeId: string;
  readonly jobId: string;
}
