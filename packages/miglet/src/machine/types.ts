/** What the machine knows, hears and answers. Everything here is plain data. */
import type { Outcome } from '@mig/common/outcome';
import type { DeregisterOutcome } from '@mig/common/domain/messages';
import type { JobStatus } from '@mig/common/domain/vm';

/** What `register_runner` brought. `token` and `jitConfig` are secrets: nothing that is logged may hold them (I8). */
export interface Registration {
  readonly commandId: string;
  readonly runnerName: string;
  readonly runnerUrl: string;
  readonly runnerGroup: string;
  readonly labels: readonly string[];
  readonly token: string;
  /** If it is not empty, it is used instead of the token. */
  readonly jitConfig: string;
  /** A runner that is registered and has no job is replaced; default: it stays. */
  readonly replace?: boolean;
}

/** Settings that `update_config` changes while the MIGlet runs. */
export interface Settings {
  readonly heartbeatIntervalMs: number;
  /** Deadline of a drain that names none; 0 = never. */
  readonly drainDeadlineMs: number;
  /** Added at the next registration. */
  readonly labels: readonly string[];
}

/** Times and limits that are fixed when the MIGlet starts; milliseconds. */
export interface MachineLimits {
  readonly announceBackoff: { readonly firstMs: number; readonly maxMs: number };
  readonly reconnectBackoff: { readonly firstMs: number; readonly maxMs: number };
  readonly registrationBackoff: { readonly firstMs: number; readonly maxMs: number };
  /** A stream that lived this long was a good one: the backoff begins anew. */
  readonly minimumUptimeMs: number;
  readonly connectTimeoutMs: number;
  readonly configureTimeoutMs: number;
  /** From its start until the runner listens for jobs. */
  readonly startTimeoutMs: number;
  /** A runner that was ready this long was a good one: failures are counted anew. */
  readonly stableReadyMs: number;
  /** Failures of registering and running in a row, after which the VM is given up. */
  readonly maxRegistrationFailures: number;
  readonly deregisterTimeoutMs: number;
  readonly deregisterRetryMs: number;
  /**
   * With no runner process left, a VM that leaves service asks this often to have its registration deleted, and then leaves it
   * to the controller: what is left is said in the answer and in the last event.
   */
  readonly maxDeregisterFailures: number;
  /** The same of a VM that is forced. */
  readonly maxForcedDeregisterFailures: number;
  /** The same before it registers anew: what is left is asked about again before the next registration, and when it leaves service. */
  readonly maxClearFailures: number;
  /** A job whose process lingers is asked about this often, until GitHub says that it has ended. */
  readonly lingerRetryMs: number;
  /** From the request to stop until the runner is killed. */
  readonly stopGraceMs: number;
  readonly flushTimeoutMs: number;
  /** A VM that may take work and has had no stream for this long drains itself; 0 = never. */
  readonly fenceAfterMs: number;
}

export interface MigletInput {
  readonly settings: Settings;
  readonly limits: MachineLimits;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** This boot was drained before the MIGlet was restarted: it stays so. */
  readonly drained: boolean;
  /** Runners that an earlier process of the MIGlet may have left at GitHub, oldest first. */
  readonly registeredAs: readonly string[];
}

/** How the machine ended. `failed`: the VM could not be brought into service. */
export type EndingKind = 'drained' | 'forced' | 'failed';

export interface Ending {
  readonly outcome: EndingKind;
  readonly reason: string;
  readonly poweroff: boolean;
}

export interface RunnerFacts {
  readonly name: string;
  readonly labels: readonly string[];
}

/** A job, with what the machine tells of it and a heartbeat has no place for. */
export interface RunnerJob extends JobStatus {
  /** Of its workflow run, from 1; missing until the job's hook was heard. */
  readonly runAttempt?: string;
}

/** Why a runner that lives takes no job just now: it updates itself, or is started again. */
export type RunnerPause = 'update' | 'retry';

export interface DrainContext {
  readonly reason: string;
  /** Deadlines whose timers run, each shorter than the one before it; empty = never. */
  readonly deadlinesMs: readonly number[];
  /** Commands that are answered when the drain has ended. */
  readonly commandIds: readonly string[];
}

export interface MigletContext {
  readonly settings: Settings;
  readonly limits: MachineLimits;
  readonly random: () => number;
  readonly announceFailures: number;
  readonly linkFailures: number;
  readonly linkUp: boolean;
  /** The shortest interval of heartbeats that the controller takes; 0 = any. */
  readonly askedHeartbeatMs: number;
  /** Over how long the controller wants the fleet to come back when streams break without a word; 0 = as the limits say. */
  readonly reconnectWindowMs: number;
  /** How long to stay away, as the controller said when it ended the stream. */
  readonly reconnectAfterMs: number;
  readonly registration: Registration | undefined;
  readonly registrationFailures: number;
  /** The runner that is registered at GitHub, as far as we know. */
  readonly runner: RunnerFacts | undefined;
  /** Runners of this VM without a process that may still be registered, oldest first; at most `MAX_LEFT_BEHIND`. */
  readonly leftBehind: readonly string[];
  /** A process of the runner lives. */
  readonly processAlive: boolean;
  /** It was told to end. */
  readonly stopRequested: boolean;
  /** It was told to end, and is killed when its grace is over. */
  readonly stopping: boolean;
  readonly job: RunnerJob | undefined;
  /** The job's steps are done and its process does not end: if GitHub says that there is no job, it is killed (I5). */
  readonly lingering: boolean;
  readonly paused: RunnerPause | undefined;
  readonly deregisterFailures: number;
  readonly drain: DrainContext | undefined;
  /** A drain was taken back, and what it had begun is still being cleared away. */
  readonly undrained: boolean;
  readonly forced: boolean;
  readonly ending: Ending | undefined;
  readonly shutdownCommandIds: readonly string[];
  /** Why things are as they are, for a person. */
  readonly note: string;
}

export interface RegisterRequest {
  readonly type: 'register.request';
  readonly registration: Registration;
}
export interface DrainRequest {
  readonly type: 'drain.request';
  readonly commandId: string | undefined;
  readonly reason: string;
  /** Undefined = as the settings say. */
  readonly deadlineMs: number | undefined;
  readonly force: boolean;
}
export interface UndrainRequest {
  readonly type: 'undrain.request';
  readonly commandId: string;
  readonly reason: string;
}
export interface ShutdownRequest {
  readonly type: 'shutdown.request';
  readonly commandId: string | undefined;
  readonly reason: string;
  readonly force: boolean;
  readonly poweroff: boolean;
}
export interface SettingsUpdate {
  readonly type: 'settings.update';
  readonly commandId: string;
  readonly settings: Partial<Settings>;
}
/** The controller has accepted the stream; what it asks for, 0 where it asks for nothing. */
export interface LinkUp {
  readonly type: 'link.up';
  readonly heartbeatIntervalMs: number;
  readonly reconnectWindowMs: number;
  readonly announceAgain: boolean;
}
export interface RunnerExited {
  readonly type: 'runner.exited';
  /** Undefined if a signal ended it, or if it was not our child. */
  readonly code: number | undefined;
  readonly signal: string | undefined;
  /** What that means; missing from a runner that cannot say. */
  readonly verdict?: ExitVerdict;
  /** Names the process: an event that has it is not journaled twice. */
  readonly process?: string;
}

/** What the end of the runner means. */
export interface ExitVerdict {
  /** For programs: `job_done`, `stopped`, `version_deprecated`, …; all of them are in runner/exit-outcomes.ts. */
  readonly outcome: string;
  /** For people: what happened, and, where something has to be done, what. */
  readonly reason: string;
  /** It ended as it should: `runner_exited`. Otherwise `runner_crashed`. */
  readonly well: boolean;
  /** GitHub has no registration of it any more, by the runner's own evidence. */
  readonly registrationGone: boolean;
  /** When the VM registers anew; `never`: it is given up. */
  readonly next: 'atOnce' | 'afterBackoff' | 'never';
  /** What it was registered with cannot be used once more. */
  readonly spent: boolean;
}

export const HANGS = ['no_job_after_acknowledge', 'worker_lingers', 'deregistered'] as const;
/**
 * How a runner looks alive and does nothing (actions/runner issues 4703, 4418, 4617). What `job_orphaned` (4598) is, is told by
 * its exit.
 */
export type Hang = (typeof HANGS)[number];

export type MigletEvent =
  | RegisterRequest
  | DrainRequest
  | UndrainRequest
  | ShutdownRequest
  | SettingsUpdate
  | { readonly type: 'drain.deadlineReached' }
  | { readonly type: 'stop.graceEnded' }
  | { readonly type: 'announced' }
  | { readonly type: 'announce.refused'; readonly reason: string }
  | LinkUp
  | { readonly type: 'link.down'; readonly reason: string }
  /** The controller is about to end: the stream is closed, and another opened after this time. */
  | { readonly type: 'link.reconnect'; readonly afterMs: number }
  /** No stream was up for as long as `fenceAfterMs` says. */
  | { readonly type: 'link.missed' }
  | { readonly type: 'heartbeat.due' }
  | { readonly type: 'heartbeat.policy'; readonly intervalMs: number }
  | { readonly type: 'runner.started'; readonly runner: RunnerFacts }
  | { readonly type: 'runner.listening' }
  /** `known`: reported before, by an earlier process of the MIGlet; it is only how things stand. */
  | { readonly type: 'job.started'; readonly job: RunnerJob; readonly known?: boolean }
  /** More is known of the job that runs. */
  | { readonly type: 'job.described'; readonly job: RunnerJob }
  | {
      readonly type: 'job.finished';
      readonly job: RunnerJob;
      readonly result: string;
      readonly known?: boolean;
    }
  | RunnerExited
  | RunnerHung
  /** `at`: by the runner's own line, milliseconds since 1970. */
  | { readonly type: 'runner.disconnected'; readonly reason: string; readonly at: number }
  | { readonly type: 'runner.reconnected'; readonly at: number }
  /** It updates itself, and takes no job meanwhile; it ends for that, and is started again. */
  | {
      readonly type: 'runner.updating';
      readonly reason: string;
      readonly process?: string;
      readonly known?: boolean;
    }
  /** Its process has ended, and is started again with the same registration. */
  | {
      readonly type: 'runner.restarting';
      readonly why: RunnerPause;
      readonly code: number;
      readonly reason: string;
      /** From 1. */
      readonly attempt: number;
    }
  | { readonly type: 'lifecycle.ended' };

export interface RunnerHung {
  readonly type: 'runner.hung';
  readonly hang: Exclude<Hang, 'deregistered'>;
  readonly reason: string;
  /** Names the process: an event that has it is not journaled twice. */
  readonly process?: string;
  readonly known?: boolean;
}

/** What the machine asks of the runner actor. */
export type RunnerRequest =
  | { readonly type: 'start'; readonly registration: Registration }
  /** Orderly: a running job is cancelled by the runner itself, so the machine asks only when none may be lost. */
  | { readonly type: 'stop' }
  /** At once, with every process of its group. */
  | { readonly type: 'kill' };

export interface CommandResult {
  readonly success: boolean;
  readonly message: string;
  readonly result: Readonly<Record<string, string>>;
}

/** What the machine does to the world. Each call returns at once; failures are logged where they happen. */
export interface MigletEffects {
  /** Journals and sends the event (I4). */
  emitEvent(type: string, data: Readonly<Record<string, string>>): void;
  /** Journals and sends the result of a command (I2). */
  settleCommand(commandId: string, result: CommandResult): void;
  /** Collects how the VM is, and reports it. */
  sendHeartbeat(): void;
  /** Is remembered over a restart of the MIGlet within this boot. */
  rememberDrained(drained: boolean): void;
  /** Every runner of this VM that GitHub may know; is remembered over every restart. */
  rememberRegistered(runnerNames: readonly string[]): void;
  /** The boot has ended: a MIGlet that starts from here on begins another. */
  rememberEnded(): void;
}

export type AnnounceOutcome = Outcome<void>;
export type ConfigureOutcome = Outcome<void>;
export interface DeregisterAnswer {
  readonly outcome: DeregisterOutcome;
  readonly message: string;
}
