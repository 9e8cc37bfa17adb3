/**
 * Where the controller keeps what must outlive it. One port, several stores behind it, one contract suite for all.
 *
 * Records are kept in memory too: reading them is synchronous, writing resolves when the record is durable. Histories
 * (events, heartbeats) are read from the store when asked for.
 */
import { MigError } from '@mig/common/errors';
import type { HeartbeatResource } from '@mig/common/api/history-resource';
import type { CommandRecord } from '@mig/common/domain/command';
import type { DrainRecord } from '@mig/common/domain/drain';
import type { StoredEvent, VmEvent } from '@mig/common/domain/event';
import type { VmIdentity, VmRecord, VmReport } from '@mig/common/domain/vm';
import type { WorkflowJob, WorkflowJobKey } from '@mig/common/domain/workflow-job';

/** Nothing can be stored now (disk full, right missing): the caller must not be told that it was. */
export class StoreUnavailableError extends MigError {
  constructor(what: string, cause: unknown) {
    super(
      'store-unavailable',
      `${what} could not be stored: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
      },
    );
  }
}

/** Where a VM's stored events end. */
export interface EventPosition {
  /** Id of the newest event. */
  readonly lastEventId: string | undefined;
  /** Boot and sequence of the newest counted event. */
  readonly bootId: string;
  readonly sequence: number;
}

/** A stored file that was torn or foreign: it is kept under another name, for a person to look at. */
export interface SetAsideFile {
  /** The VM in whose folder it was; undefined for a file of the controller. */
  readonly vmId: string | undefined;
  readonly file: string;
  readonly setAsideAs: string;
  readonly reason: string;
}

export interface Store {
  /** Every VM's record, as of opening. */
  loadedVms(): readonly VmRecord[];
  /** Every command, finished ones too, as of opening. */
  loadedCommands(): readonly CommandRecord[];
  /** Every drain, ended ones too, as of opening. */
  loadedDrains(): readonly DrainRecord[];
  /** Every workflow job, completed ones too, as of opening. */
  loadedWorkflowJobs(): readonly WorkflowJob[];
  /** What could not be read, at opening or since, and was set aside: the first 1,000; all are in the log. */
  setAside(): readonly SetAsideFile[];

  /**
   * Durable when it resolves.
   * @throws IllegalTransitionError if the record cannot move so within its boot (I6)
   * @throws StoreUnavailableError
   */
  saveVm(record: VmRecord): Promise<void>;
  /** Removes a VM with all that is stored of it; durable when it resolves. @throws StoreUnavailableError: nothing was removed */
  deleteVm(vmId: string): Promise<void>;

  /**
   * Durable when it resolves (I1).
   * @throws IllegalTransitionError if the record cannot move so (I6)
   * @throws StoreUnavailableError
   */
  saveCommand(record: CommandRecord): Promise<void>;
  deleteCommand(record: CommandRecord): Promise<void>;

  /** Durable when it resolves (I1). @throws StoreUnavailableError */
  saveDrain(record: DrainRecord): Promise<void>;
  deleteDrain(drainId: string): Promise<void>;

  /**
   * Durable when it resolves.
   * @throws IllegalTransitionError if the job would go back (I6)
   * @throws StoreUnavailableError
   */
  saveWorkflowJob(job: WorkflowJob): Promise<void>;
  deleteWorkflowJob(job: WorkflowJobKey): Promise<void>;

  /** What was saved last under the name; undefined if nothing was. For a few small things, such as how far a list was read. */
  document(name: string): unknown;
  /**
   * Keeps a value that JSON can say; durable when it resolves.
   * @param name a valid id
   * @throws StoreUnavailableError
   */
  saveDocument(name: string, value: unknown): Promise<void>;

  /** Durable when it resolves (I4). @throws StoreUnavailableError */
  appendEvent(event: VmEvent, via: StoredEvent['via']): Promise<StoredEvent>;
  /** The newest `limit` events, or the first `limit` after the id `after`; oldest first. Fewer if they are very large. */
  events(vmId: string, query: { readonly after?: string; readonly limit: number }): Promise<StoredEvent[]>;
  eventPosition(vmId: string): EventPosition;

  /**
   * Keeps the heartbeat soon: the newest of a VM within a second is the one that is kept. Never waits, never throws. The report may
   * change until then: it is kept as it is when it is stored.
   */
  keepHeartbeat(vm: VmIdentity, report: VmReport): void;
  /** The newest `limit`, oldest first. */
  heartbeats(vmId: string, limit: number): Promise<HeartbeatResource[]>;

  /** Why nothing can be stored now, by the last write; undefined if it succeeded, or a probe did since. */
  problem(): string | undefined;

  /** Resolves when everything that was handed over is written. */
  close(): Promise<void>;
}
