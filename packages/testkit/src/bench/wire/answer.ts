/** What a server says to a simulated VM, told apart by the first bytes: only what is acted upon is decoded. */
import { decodeControllerMessage } from '@mig/common/wire/controller-message';

export type Answer =
  | { readonly kind: 'connected'; readonly accepted: boolean; readonly announceAgain: boolean }
  /** To the question behind a batch of heartbeats. */
  | { readonly kind: 'question' }
  | { readonly kind: 'command'; readonly commandId: string }
  | { readonly kind: 'recorded'; readonly commandId: string }
  /** The next credential of the VM. */
  | { readonly kind: 'session'; readonly token: string }
  /** An acknowledgement of something that needs none, or news that change nothing here. */
  | { readonly kind: 'other' };

/** How the server answers: in the words of the contract, or with what it was sent. */
export type Dialect = 'contract' | 'echo';

/** Fields of the messages in proto/commands.proto. */
const CONTROLLER = { connectAck: 1, command: 2, deregisterResult: 21, resultAck: 22, sessionToken: 30 };
const DECODED: ReadonlySet<number> = new Set([
  CONTROLLER.connectAck,
  CONTROLLER.command,
  CONTROLLER.resultAck,
  CONTROLLER.sessionToken,
]);
const MIGLET = { connect: 1, deregisterRequest: 20 };
const OTHER: Answer = { kind: 'other' };
const QUESTION: Answer = { kind: 'question' };

/** @throws Error if it is no message of the contract */
export function readAnswer(dialect: Dialect, bytes: Buffer, start: number, end: number): Answer {
  const field = fieldNumber(bytes, start);
  if (dialect === 'echo') {
    if (field === MIGLET.deregisterRequest) return QUESTION;
    return field === MIGLET.connect ? { kind: 'connected', accepted: true, announceAgain: false } : OTHER;
  }
  if (field === CONTROLLER.deregisterResult) return QUESTION;
  if (!DECODED.has(field)) return OTHER;
  const message = decodeControllerMessage(bytes.subarray(start, end));
  switch (message.kind) {
    case 'connectAck':
      return { kind: 'connected', accepted: message.ack.accepted, announceAgain: message.ack.announceAgain };
    case 'command':
      return { kind: 'command', commandId: message.command.id };
    case 'resultAck':
      return { kind: 'recorded', commandId: message.commandId };
    case 'sessionToken':
      return { kind: 'session', token: message.token };
    case 'malformed':
      throw new Error(`the server sent bytes that are no message of the contract: ${message.reason}`);
    case 'error':
    case 'eventAck':
    case 'deregisterResult':
    case 'heartbeatPolicy':
    case 'reconnect':
    case 'unknown':
      return OTHER;
  }
}

/** Of the first field: a tag of one byte, or of two. */
function fieldNumber(bytes: Buffer, start: number): number {
  const first = bytes[start] ?? 0;
  return first < 0x80 ? first >> 3 : ((first & 0x7f) | ((bytes[start + 1] ?? 0) << 7)) >> 3;
}
