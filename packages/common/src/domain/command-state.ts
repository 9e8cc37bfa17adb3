/**
 * The states of a command, and the moves between them (invariants I2, I3, I6).
 *
 *   queued -> sent -> received -> completed | failed
 *     |  ^    |
 *     |  +----+  the stream ended before the VM acknowledged: it goes out again when the VM returns
 *     +-> expired | cancelled | superseded
 */
import { IllegalTransitionError } from '../errors.js';

export const COMMAND_STATES = [
  'queued',
  'sent',
  'received',
  'completed',
  'failed',
  'expired',
  'cancelled',
  'superseded',
] as const;
export type CommandState = (typeof COMMAND_STATES)[number];

export const COMMAND_TRANSITIONS: Readonly<Record<CommandState, readonly CommandState[]>> = {
  queued: ['sent', 'expired', 'cancelled', 'superseded', 'failed'],
  // A legacy MIGlet never says `received`: its one ack is the result.
  sent: ['queued', 'received', 'completed', 'failed', 'expired', 'cancelled'],
  received: ['completed', 'failed', 'expired'],
  completed: [],
  failed: [],
  expired: [],
  cancelled: [],
  superseded: [],
};

export const isFinal = (state: CommandState): boolean => COMMAND_TRANSITIONS[state].length === 0;

/** @throws IllegalTransitionError if the table has no such move */
export function assertCommandTransition(commandId: string, from: CommandState, to: CommandState): void {
  if (from !== to && !COMMAND_TRANSITIONS[from].includes(to)) {
    throw new IllegalTransitionError(`command ${commandId}`, from, to);
  }
}
