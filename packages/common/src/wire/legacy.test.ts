/** A peer that knows only the field numbers of the original contract: its bytes, written by hand. */
import { describe, expect, it } from '@jest/globals';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { decodeControllerMessage, encodeControllerMessage } from './controller-message.js';
import { decodeMigletMessage, encodeMigletMessage } from './miglet-message.js';

type Write = (writer: BinaryWriter) => BinaryWriter;

const string =
  (field: number, value: string): Write =>
  (writer) =>
    writer.tag(field, WireType.LengthDelimited).string(value);
const int64 =
  (field: number, value: number): Write =>
  (writer) =>
    writer.tag(field, WireType.Varint).int64(value);
const inner =
  (field: number, ...fields: Write[]): Write =>
  (writer) => {
    writer.tag(field, WireType.LengthDelimited).fork();
    for (const write of fields) write(writer);
    return writer.join();
  };
const bytesOf = (...fields: Write[]): Uint8Array => {
  const writer = new BinaryWriter();
  for (const write of fields) write(writer);
  return writer.finish();
};

/** The numbers of the fields of a message, and of the one inside it. */
function fieldNumbers(bytes: Uint8Array): { outer: number; inner: number[] } {
  const reader = new BinaryReader(bytes);
  const [outer] = reader.tag();
  const content = new BinaryReader(reader.bytes());
  const numbers: number[] = [];
  while (content.pos < content.len) {
    const [number, type] = content.tag();
    numbers.push(number);
    content.skip(type);
  }
  return { outer, inner: numbers };
}

describe('a legacy MIGlet', () => {
  it('its connect has no boot and no state: it is known as legacy by the empty boot', () => {
    const bytes = bytesOf(
      inner(1, string(1, 'vm-1'), string(2, 'pool'), string(3, 'acme'), string(4, '1.0')),
    );
    expect(decodeMigletMessage(bytes)).toEqual({
      kind: 'connect',
      request: {
        vmId: 'vm-1',
        poolId: 'pool',
        orgId: 'acme',
        version: '1.0',
        bootId: '',
        state: '',
        labels: [],
      },
    });
  });

  it('its one ack is the result', () => {
    const bytes = bytesOf(inner(2, string(1, 'cmd-1'), int64(2, 1), string(3, 'done')));
    expect(decodeMigletMessage(bytes)).toEqual({
      kind: 'ack',
      ack: { commandId: 'cmd-1', phase: 'completed', success: true, message: 'done', result: {} },
    });
  });

  it('its events are not counted, and their time is in seconds', () => {
    const bytes = bytesOf(inner(3, string(1, 'job_started'), string(2, 'vm-1'), int64(6, 1_795_000_000)));
    expect(decodeMigletMessage(bytes)).toMatchObject({
      kind: 'event',
      event: { type: 'job_started', vmId: 'vm-1', at: 1_795_000_000_000, bootId: '', sequence: 0, data: {} },
    });
  });

  it('its heartbeat with one word for a state, no health and an empty job', () => {
    const bytes = bytesOf(inner(4, string(1, 'vm-1'), inner(6), int64(7, 60), string(8, 'idle')));
    expect(decodeMigletMessage(bytes)).toMatchObject({
      kind: 'heartbeat',
      heartbeat: {
        vmId: 'vm-1',
        bootId: '',
        at: 60_000,
        report: { state: 'idle', health: undefined, currentJob: undefined },
      },
    });
  });

  it('words that we do not know are read as the safe ones: an unknown runner state is offline, a job runs', () => {
    const bytes = bytesOf(
      inner(4, inner(5, string(1, 'sleeping')), inner(6, string(1, '7'), string(6, 'queued'))),
    );
    expect(decodeMigletMessage(bytes)).toMatchObject({
      heartbeat: { report: { runner: { state: 'offline' }, currentJob: { jobId: '7', status: 'running' } } },
    });
  });

  it('a load that is no number becomes 0, for JSON has no word for it', () => {
    const nan =
      (field: number): Write =>
      (writer) =>
        writer.tag(field, WireType.Bit64).double(Number.NaN);
    const bytes = bytesOf(inner(4, inner(4, nan(1), nan(2))));
    expect(decodeMigletMessage(bytes)).toMatchObject({
      heartbeat: { report: { health: { cpuUsagePercent: 0, memoryUsagePercent: 0 } } },
    });
  });
});

describe('a legacy controller', () => {
  it('its ConnectAck names no session', () => {
    const bytes = bytesOf(inner(1, int64(1, 1), string(2, 'hi'), string(3, '1.0')));
    expect(decodeControllerMessage(bytes)).toEqual({
      kind: 'connectAck',
      ack: {
        accepted: true,
        message: 'hi',
        serverVersion: '1.0',
        sessionId: '',
        lastEventSequence: 0,
        heartbeatIntervalMs: 0,
        announceAgain: false,
        reconnectWindowMs: 0,
      },
    });
  });

  it('its command has no limit to start, and its unnamed list is the labels', () => {
    const entry = (field: number, name: string, value: Write) => inner(field, string(1, name), value);
    const bytes = bytesOf(
      inner(
        2,
        string(1, 'cmd-1'),
        string(2, 'drain'),
        entry(3, 'reason', string(2, 'x')),
        entry(4, 'deadline_ms', int64(2, -5)),
        entry(5, 'force', int64(2, 1)),
        string(6, 'a'),
        string(6, 'b'),
        int64(7, 60),
      ),
    );
    expect(decodeControllerMessage(bytes)).toEqual({
      kind: 'command',
      command: {
        id: 'cmd-1',
        type: 'drain',
        parameters: { reason: 'x', deadline_ms: -5, force: true, labels: ['a', 'b'] },
        createdAt: 60_000,
        startWithinMs: 0,
        attempt: 0,
      },
    });
  });

  it('a name that comes in two maps keeps the more specific value', () => {
    const bytes = bytesOf(
      inner(2, inner(3, string(1, 'force'), string(2, 'yes')), inner(5, string(1, 'force'), int64(2, 1))),
    );
    expect(decodeControllerMessage(bytes)).toMatchObject({ command: { parameters: { force: true } } });
  });
});

describe('what we add to a message that the original has', () => {
  it('has the numbers from 20 up', () => {
    const connect = encodeMigletMessage({
      kind: 'connect',
      request: { vmId: 'v', poolId: 'p', orgId: 'o', version: '1', bootId: 'b', state: 's', labels: ['l'] },
    });
    expect(fieldNumbers(connect)).toEqual({ outer: 1, inner: [1, 2, 3, 4, 20, 21, 22] });
    const command = encodeControllerMessage({
      kind: 'command',
      command: { id: 'c', type: 't', parameters: {}, createdAt: 1_000, startWithinMs: 5, attempt: 1 },
    });
    expect(fieldNumbers(command)).toEqual({ outer: 2, inner: [1, 2, 7, 20, 21] });
  });

  it('a kind of message of ours alone is one that a legacy peer does not know', () => {
    const ack = encodeControllerMessage({ kind: 'eventAck', bootId: 'b', sequence: 1 });
    expect(fieldNumbers(ack).outer).toBe(20);
  });

  it('an outcome from the future is read as "could not be asked"', () => {
    const bytes = bytesOf(inner(21, string(1, 'r'), int64(2, 77)));
    expect(decodeControllerMessage(bytes)).toMatchObject({
      result: { requestId: 'r', outcome: 'unavailable' },
    });
  });
});
