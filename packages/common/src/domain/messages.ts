/** What travels on a VM's stream, in the words of the domain. proto/commands.proto says the same on the wire. */
import type { CommandAck, Parameters } from './command.js';
import type { VmEvent } from './event.js';
import type { VmIdentity, VmReport } from './vm.js';

/** The first message of a MIGlet. */
export interface ConnectRequest extends VmIdentity {
  readonly version: string;
  /** Empty = a legacy MIGlet: it acknowledges a command once, counts no events, and cannot ask for deregistration. */
  readonly bootId: string;
  /** As reported; empty from a legacy MIGlet. */
  readonly state: string;
  readonly labels: readonly string[];
}

export interface ConnectAck {
  readonly accepted: boolean;
  readonly message: string;
  readonly serverVersion: string;
  /** Empty = a legacy controller: it takes one ack per command, and acknowledges neither events nor results. */
  readonly sessionId: string;
  /** The highest sequence of this boot that is stored; 0 if none. */
  readonly lastEventSequence: number;
  /** The shortest time between two heartbeats that the controller takes from this VM; 0 = no limit. */
  readonly heartbeatIntervalMs: number;
  readonly announceAgain: boolean;
  /** If the stream breaks without a word, connect again at a random time within this; 0 = as the MIGlet is configured. */
  readonly reconnectWindowMs: number;
}

/** A command as it is sent. */
export interface CommandMessage {
  readonly id: string;
  /** Not checked: a MIGlet refuses what it does not know. */
  readonly type: string;
  readonly parameters: Parameters;
  readonly createdAt: number;
  /** Milliseconds from its arrival in which it may be started; 0 = no limit, less than 0 = its time has passed. */
  readonly startWithinMs: number;
  readonly attempt: number;
}

export interface HeartbeatMessage extends VmIdentity {
  readonly bootId: string;
  readonly report: VmReport;
  readonly at: number;
  /** When the next heartbeat is to be expected after this one; 0 = not said. */
  readonly intervalMs: number;
}

export interface ErrorMessage {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, string>>;
}

export const DEREGISTER_OUTCOMES = ['deleted', 'busy', 'unavailable', 'notManaged'] as const;
/**
 * What GitHub said of deleting a runner. `deleted`: it is gone and cannot be given a job. `busy`: refused, a job runs.
 * `unavailable`: GitHub could not be asked. `notManaged`: this controller has no GitHub, there is nothing to delete.
 */
export type DeregisterOutcome = (typeof DEREGISTER_OUTCOMES)[number];

export interface DeregisterResult {
  readonly requestId: string;
  readonly outcome: DeregisterOutcome;
  readonly message: string;
}

export type MigletMessage =
  | { readonly kind: 'connect'; readonly request: ConnectRequest }
  | { readonly kind: 'ack'; readonly ack: CommandAck }
  | { readonly kind: 'event'; readonly event: VmEvent }
  | { readonly kind: 'heartbeat'; readonly heartbeat: HeartbeatMessage }
  | { readonly kind: 'error'; readonly error: ErrorMessage }
  | { readonly kind: 'deregister'; readonly requestId: string; readonly runnerName: string }
  /** A kind of message from the future: ignored. */
  | { readonly kind: 'unknown' }
  /** Bytes that are no message of the contract. */
  | { readonly kind: 'malformed'; readonly reason: string };

export type ControllerMessage =
  | { readonly kind: 'connectAck'; readonly ack: ConnectAck }
  | { readonly kind: 'command'; readonly command: CommandMessage }
  | { readonly kind: 'error'; readonly error: ErrorMessage }
  | { readonly kind: 'eventAck'; readonly bootId: string; readonly sequence: number }
  | { readonly kind: 'deregisterResult'; readonly result: DeregisterResult }
  /** The result of this command is recorded; the MIGlet need not report it again. */
  | { readonly kind: 'resultAck'; readonly commandId: string }
  /** From now on `heartbeatIntervalMs` of the ConnectAck is this. */
  | { readonly kind: 'heartbeatPolicy'; readonly intervalMs: number }
  /** The VM's session goes on with this token. A secret (I8). */
  | { readonly kind: 'sessionToken'; readonly token: string; readonly expiresInMs: number }
  /** The controller is about to end: close the stream now, and connect again after `afterMs`. */
  | { readonly kind: 'reconnect'; readonly afterMs: number; readonly reason: string }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'malformed'; readonly reason: string };
