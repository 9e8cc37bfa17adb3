/** What a MIGlet says: bytes <-> domain. */
import type { ConnectRequest as WireConnect } from '../gen/commands.js';
import { AckPhase, MIGletMessage as Wire } from '../gen/commands.js';
import { errorMessage } from '../errors.js';
import type { CommandAck } from '../domain/command.js';
import type { VmEvent } from '../domain/event.js';
import type { ConnectRequest, MigletMessage } from '../domain/messages.js';
import { fromSeconds, fromWireHeartbeat, toSeconds, toWireHeartbeat } from './report.js';

export function encodeMigletMessage(message: MigletMessage): Uint8Array {
  return Wire.encode({ message: toWire(message) }).finish();
}

/** Never throws: bytes that cannot be decoded are a message of kind `malformed`, so that their stream can be ended properly. */
export function decodeMigletMessage(bytes: Uint8Array): MigletMessage {
  let wire: Wire;
  try {
    wire = Wire.decode(bytes);
  } catch (error) {
    return { kind: 'malformed', reason: errorMessage(error) };
  }
  return fromWire(wire, bytes.length);
}

function toWire(message: MigletMessage): Wire['message'] {
  switch (message.kind) {
    case 'connect':
      return { $case: 'connect', value: toWireConnect(message.request) };
    case 'ack':
      return { $case: 'commandAck', value: { ...message.ack, phase: toWirePhase(message.ack.phase) } };
    case 'event':
      return { $case: 'event', value: toWireEvent(message.event) };
    case 'heartbeat':
      return { $case: 'heartbeat', value: toWireHeartbeat(message.heartbeat) };
    case 'error':
      return { $case: 'error', value: { ...message.error, timestamp: 0 } };
    case 'deregister':
      return {
        $case: 'deregisterRequest',
        value: { requestId: message.requestId, runnerName: message.runnerName },
      };
    case 'unknown':
    case 'malformed':
      throw new Error(`a message of kind ${message.kind} cannot be sent`);
  }
}

function fromWire(wire: Wire, byteCount: number): MigletMessage {
  const { message } = wire;
  if (message === undefined) {
    return byteCount === 0 ? { kind: 'malformed', reason: 'the message is empty' } : { kind: 'unknown' };
  }
  switch (message.$case) {
    case 'connect':
      return { kind: 'connect', request: fromWireConnect(message.value) };
    case 'commandAck':
      return { kind: 'ack', ack: { ...message.value, phase: fromWirePhase(message.value.phase) } };
    case 'event':
      return { kind: 'event', event: fromWireEvent(message.value) };
    case 'heartbeat':
      return { kind: 'heartbeat', heartbeat: fromWireHeartbeat(message.value) };
    case 'error':
      return { kind: 'error', error: message.value };
    case 'deregisterRequest':
      return { kind: 'deregister', requestId: message.value.requestId, runnerName: message.value.runnerName };
  }
}

const toWireConnect = (request: ConnectRequest): WireConnect => ({
  vmId: request.vmId,
  poolId: request.poolId,
  orgId: request.orgId,
  version: request.version,
  bootId: request.bootId,
  migletState: request.state,
  labels: [...request.labels],
});

const fromWireConnect = (wire: WireConnect): ConnectRequest => ({
  vmId: wire.vmId,
  poolId: wire.poolId,
  orgId: wire.orgId,
  version: wire.version,
  bootId: wire.bootId,
  state: wire.migletState,
  labels: wire.labels,
});

const toWirePhase = (phase: CommandAck['phase']): AckPhase =>
  phase === 'received' ? AckPhase.ACK_PHASE_RECEIVED : AckPhase.ACK_PHASE_COMPLETED;

/** A legacy ack has no phase: it is the result. */
const fromWirePhase = (phase: AckPhase): CommandAck['phase'] =>
  phase === AckPhase.ACK_PHASE_RECEIVED ? 'received' : 'completed';

type WireEvent = Extract<Wire['message'], { $case: 'event' }>['value'];

const toWireEvent = (event: VmEvent): WireEvent => ({
  type: event.type,
  vmId: event.vmId,
  poolId: event.poolId,
  orgId: event.orgId,
  data: { ...event.data },
  timestamp: toSeconds(event.at),
  bootId: event.bootId,
  sequence: event.sequence,
  timestampMs: event.at,
  previousSequence: event.previousSequence ?? 0,
});

const fromWireEvent = (wire: WireEvent): VmEvent => ({
  type: wire.type,
  vmId: wire.vmId,
  poolId: wire.poolId,
  orgId: wire.orgId,
  data: wire.data,
  at: wire.timestampMs === 0 ? fromSeconds(wire.timestamp) : wire.timestampMs,
  bootId: wire.bootId,
  sequence: wire.sequence,
  previousSequence: wire.previousSequence,
});
