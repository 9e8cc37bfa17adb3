import { isValidId } from './ids.js';
import type { VmIdentity } from './vm.js';

/** The events that a MIGlet of ours sends. A legacy one may send others: any type that is a valid id is stored. */
export const EVENT_TYPES = [
  'vm_started',
  'runner_registered',
  'job_started',
  'job_completed',
  'runner_crashed',
  'runner_exited',
  /** The runner was downloaded and unpacked: `data.version`. */
  'runner_installed',
  /** It looks alive and does nothing: `data.hang` is its kind, `data.reason` says what was seen. */
  'runner_hung',
  'runner_disconnected',
  'runner_reconnected',
  'runner_updating',
  /** The end of the runner's own logs, redacted: `data.files`, and one key for each. */
  'runner_diag',
  'draining',
  'vm_shutting_down',
  /** The journal on the VM was full: `data.count` events of less weight were given up. */
  'events_dropped',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** The events that the controller itself enters into a VM's history. */
export const CONTROLLER_EVENT_TYPES = [
  /** Nothing was heard of the VM for its TTL; `data.job` names the job whose fate is unknown. */
  'vm_lost',
  /** A VM that was lost is heard again. */
  'vm_returned',
  'vm_cordoned',
  'vm_uncordoned',
  /** At GitHub there was a runner of this VM that nobody needs: it was deleted. `data.runner`, `data.reason`. */
  'runner_deleted',
  /** The VM says that its runner waits for jobs, and GitHub has none of its name, or never hears it: it is replaced. */
  'runner_replaced',
  /** GitHub says that the job has ended, and the VM that it runs. The VM's word counts (I5): nothing is done. */
  'job_disagreement',
  /** A stored file was torn or foreign: `data.file`, `data.reason`, and what it is called now in `data.set_aside_as`. */
  'file_set_aside',
  /** Another boot tried to join under this VM's name, with a good credential: `data.boot_id`, `data.address`. */
  'vm_claim_refused',
] as const;
export type ControllerEventType = (typeof CONTROLLER_EVENT_TYPES)[number];

/** An event as it travels. */
export interface VmEvent extends VmIdentity {
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
  /** When it happened, by the VM's clock; milliseconds since 1970. */
  readonly at: number;
  /** Empty from a legacy MIGlet. */
  readonly bootId: string;
  /** Counts the events of a boot from 1; 0 from a legacy MIGlet. */
  readonly sequence: number;
  /** The event of this boot that must be stored before this one; missing or 0 = not said, or there is none. */
  readonly previousSequence?: number | undefined;
}

export const EVENT_SOURCES = ['http', 'grpc', 'controller'] as const;
/** How an event came: by the VM's word over HTTP or its stream, or as what the controller itself found out. */
export type EventSource = (typeof EVENT_SOURCES)[number];

/** An event as it is kept. */
export interface StoredEvent extends VmEvent {
  /** Unique within the VM, and sorts by the time of storing. */
  readonly id: string;
  readonly receivedAt: number;
  readonly via: EventSource;
}

/** A type becomes part of a file name, so it obeys the rule for ids. */
export const isValidEventType = (type: string): boolean => isValidId(type);

/** Largest data of one event, in characters of its keys and values. A larger one is refused. */
export const MAX_EVENT_DATA = 256 * 1024;

export const dataSize = (data: Readonly<Record<string, string>>): number =>
  Object.entries(data).reduce((size, [key, value]) => size + key.length + value.length, 0);
