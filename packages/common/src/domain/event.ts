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
  'draining',
  'vm_shutting_down',
  /** The journal on the VM was full: `data.count` events of less weight were given up. */
  'events_dropped',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

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
}

/** An event as it is kept. */
export interface StoredEvent extends VmEvent {
  /** Unique within the VM, and sorts by the time of storing. */
  readonly id: string;
  readonly receivedAt: number;
  /** How it came. */
  readonly via: 'http' | 'grpc';
}

/** A type becomes part of a file name, so it obeys the rule for ids. */
export const isValidEventType = (type: string): boolean => isValidId(type);

/** Largest data of one event, in characters of its keys and values. A larger one is refused. */
export const MAX_EVENT_DATA = 256 * 1024;

export const dataSize = (data: Readonly<Record<string, string>>): number =>
  Object.entries(data).reduce((size, [key, value]) => size + key.length + value.length, 0);
