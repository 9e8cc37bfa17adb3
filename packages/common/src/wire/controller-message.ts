/** What a controller says: bytes <-> domain. */
import {
  ControllerMessage as Wire,
  DeregisterResultOutcome as WireOutcome,
  type Command as WireCommand,
} from '../gen/commands.js';
import { errorMessage } from '../errors.js';
import type { CommandMessage, ControllerMessage, DeregisterOutcome } from '../domain/messages.js';
import { fromWireParameters, toWireParameters } from './parameters.js';
import { encodePlainCommand, encodePlainResultAck } from './per-command.js';
import { fromSeconds, toSeconds } from './report.js';

export const encodeControllerMessage = (message: ControllerMessage): Uint8Array =>
  encodePlain(message) ?? Wire.encode({ message: toWire(message) }).finish();

function encodePlain(message: ControllerMessage): Uint8Array | undefined {
  if (message.kind === 'command') return encodePlainCommand(message.command);
  return message.kind === 'resultAck' ? encodePlainResultAck(message.commandId) : undefined;
}

/** Never throws: bytes that cannot be decoded are a message of kind `malformed`. */
export function decodeControllerMessage(bytes: Uint8Array): ControllerMessage {
  let wire: Wire;
  try {
    wire = Wire.decode(bytes);
  } catch (error) {
    return { kind: 'malformed', reason: errorMessage(error) };
  }
  return fromWire(wire, bytes.length);
}

function toWire(message: ControllerMessage): Wire['message'] {
  switch (message.kind) {
    case 'connectAck':
      return { $case: 'connectAck', value: message.ack };
    case 'command':
      return { $case: 'command', value: toWireCommand(message.command) };
    case 'error':
      return { $case: 'error', value: { ...message.error, timestamp: 0 } };
    case 'eventAck':
      return { $case: 'eventAck', value: { bootId: message.bootId, sequence: message.sequence } };
    case 'deregisterResult':
      return {
        $case: 'deregisterResult',
        value: { ...message.result, outcome: toWireOutcome(message.result.outcome) },
      };
    case 'resultAck':
      return { $case: 'resultAck', value: { commandId: message.commandId } };
    case 'heartbeatPolicy':
      return { $case: 'heartbeatPolicy', value: { intervalMs: message.intervalMs } };
    case 'reconnect':
      return { $case: 'reconnect', value: { afterMs: message.afterMs, reason: message.reason } };
    case 'sessionToken':
      return { $case: 'sessionToken', value: { token: message.token, expiresInMs: message.expiresInMs } };
    case 'unknown':
    case 'malformed':
      throw new Error(`a message of kind ${message.kind} cannot be sent`);
  }
}

function fromWire(wire: Wire, byteCount: number): ControllerMessage {
  const { message } = wire;
  if (message === undefined) {
    return byteCount === 0 ? { kind: 'malformed', reason: 'the message is empty' } : { kind: 'unknown' };
  }
  switch (message.$case) {
    case 'connectAck':
      return { kind: 'connectAck', ack: message.value };
    case 'command':
      return { kind: 'command', command: fromWireCommand(message.value) };
    case 'error':
      return { kind: 'error', error: message.value };
    case 'eventAck':
      return { kind: 'eventAck', bootId: message.value.bootId, sequence: message.value.sequence };
    case 'deregisterResult':
      return {
        kind: 'deregisterResult',
        result: { ...message.value, outcome: fromWireOutcome(message.value.outcome) },
      };
    case 'resultAck':
      return { kind: 'resultAck', commandId: message.value.commandId };
    case 'heartbeatPolicy':
      return { kind: 'heartbeatPolicy', intervalMs: message.value.intervalMs };
    case 'reconnect':
      return { kind: 'reconnect', afterMs: message.value.afterMs, reason: message.value.reason };
    case 'sessionToken':
      return { kind: 'sessionToken', token: message.value.token, expiresInMs: message.value.expiresInMs };
  }
}

export const toWireCommand = (command: CommandMessage): WireCommand => ({
  id: command.id,
  type: command.type,
  ...toWireParameters(command.parameters),
  createdAt: toSeconds(command.createdAt),
  startWithinMs: Math.round(command.startWithinMs),
  attempt: command.attempt,
});

const fromWireCommand = (wire: WireCommand): CommandMessage => ({
  id: wire.id,
  type: wire.type,
  parameters: fromWireParameters(wire),
  createdAt: fromSeconds(wire.createdAt),
  startWithinMs: wire.startWithinMs,
  attempt: wire.attempt,
});

function toWireOutcome(outcome: DeregisterOutcome): WireOutcome {
  switch (outcome) {
    case 'deleted':
      return WireOutcome.OUTCOME_DELETED;
    case 'busy':
      return WireOutcome.OUTCOME_BUSY;
    case 'unavailable':
      return WireOutcome.OUTCOME_UNAVAILABLE;
    case 'notManaged':
      return WireOutcome.OUTCOME_NOT_MANAGED;
  }
}

/** An outcome from the future, or none, is read as "could not be asked": the MIGlet asks again. */
function fromWireOutcome(outcome: WireOutcome): DeregisterOutcome {
  switch (outcome) {
    case WireOutcome.OUTCOME_DELETED:
      return 'deleted';
    case WireOutcome.OUTCOME_BUSY:
      return 'busy';
    case WireOutcome.OUTCOME_NOT_MANAGED:
      return 'notManaged';
    case WireOutcome.OUTCOME_UNAVAILABLE:
    case WireOutcome.OUTCOME_UNSPECIFIED:
    case WireOutcome.UNRECOGNIZED:
      break;
  }
  // Also for a number that the enum does not have: the decoder hands it on as it came.
  return 'unavailable';
}
