import { describe, expect, it } from '@jest/globals';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import type { HeartbeatMessage, MigletMessage } from '../domain/messages.js';
import { heartbeatMessage } from './arbitraries.contract.js';
import { HeartbeatReader } from './heartbeat-reader.js';
import { decodeMigletMessage, encodeMigletMessage } from './miglet-message.js';

const reader = new HeartbeatReader();
const encode = (heartbeat: HeartbeatMessage): Buffer =>
  Buffer.from(encodeMigletMessage({ kind: 'heartbeat', heartbeat }));

/** What the reader makes of the bytes, somewhere in a larger piece of memory; undefined = it leaves them to the other. */
function read(bytes: Uint8Array, last?: HeartbeatMessage): MigletMessage | undefined {
  const memory = Buffer.concat([Buffer.from([0x22, 0xff]), bytes, Buffer.from([0x0a, 0x01, 0x41])]);
  const speaker = last ?? { vmId: 'vm', poolId: 'pool', orgId: 'org', bootId: 'boot' };
  return reader.read(memory, 2, 2 + bytes.length, speaker, last?.report)
    ? { kind: 'heartbeat', heartbeat: reader.message }
    : undefined;
}

const field = (number: number, type: number) => (number << 3) | type;
const plain = encode({
  vmId: 'vm-1',
  poolId: 'pool-a',
  orgId: 'acme',
  bootId: 'boot-1',
  at: 1_000,
  intervalMs: 15_000,
  report: {
    state: 'ready.idle',
    stateReason: '',
    health: undefined,
    runner: { state: 'idle', configured: true, name: 'r', labels: ['a', 'b'] },
    currentJob: undefined,
  },
});

/** A heartbeat of these bytes. */
const wrapped = (body: Uint8Array): Uint8Array => new BinaryWriter().uint32(field(4, 2)).bytes(body).finish();

describe('a heartbeat that is read by hand', () => {
  it('is the one that the generated codec reads, whatever came before it', () => {
    fc.assert(
      fc.property(heartbeatMessage, fc.option(heartbeatMessage, { nil: undefined }), (message, last) => {
        const bytes = encode(message);
        expect(read(bytes, last)).toEqual(decodeMigletMessage(bytes));
      }),
      { seed: 1, numRuns: 1_000 },
    );
  });

  it('that says the same as the last one makes no new text, runner or job', () => {
    fc.assert(
      fc.property(heartbeatMessage, (message) => {
        const last = structuredClone(message);
        read(encode(message), last);
        expect(reader.message.report.runner).toBe(last.report.runner);
        expect(reader.message.report.currentJob).toBe(last.report.currentJob);
      }),
      { seed: 2, numRuns: 300 },
    );
  });

  it('with fields from the future is read, without them', () => {
    const future = new BinaryWriter()
      .uint32(field(9, 0))
      .uint64(2 ** 50)
      .uint32(field(10, 1))
      .double(1)
      .uint32(field(11, 5))
      .fixed32(1)
      .uint32(field(30, 2))
      .string('what?')
      .finish();
    const bytes = wrapped(Buffer.concat([plain.subarray(2), future]));
    expect(read(bytes)).toEqual(decodeMigletMessage(plain));
    expect(decodeMigletMessage(bytes)).toEqual(decodeMigletMessage(plain));
  });

  it.each<[string, Uint8Array]>([
    ['no message', new Uint8Array()],
    ['another message', encodeMigletMessage({ kind: 'deregister', requestId: 'a', runnerName: 'b' })],
    ['two messages', Buffer.concat([plain, plain])],
    ['a group', wrapped(Uint8Array.from([0x0b, 0x0c]))],
    ['the end of a group', wrapped(Uint8Array.from([0x0c]))],
    ['a tag of zero', wrapped(Uint8Array.from([0x00, 0x00]))],
    ['a length beyond its end', wrapped(Uint8Array.from([0x0a, 0x7f, 0x41]))],
    ['a part that is longer than the whole', wrapped(Uint8Array.from([0x22, 0x02, 0x20, 0x80, 0x01]))],
    ['a double that is cut', wrapped(Uint8Array.from([0x22, 0x03, 0x09, 0x00, 0x00]))],
    ['a number that is cut', wrapped(Uint8Array.from([0x38, 0x80]))],
    ['a number less than 0', wrapped(new BinaryWriter().uint32(field(7, 0)).int64(-1).finish())],
    [
      'a number beyond 2^53',
      wrapped(
        new BinaryWriter()
          .uint32(field(7, 0))
          .uint64(2n ** 60n)
          .finish(),
      ),
    ],
  ])('is not %s: that is left to the generated codec', (_, bytes) => {
    expect(read(bytes)).toBeUndefined();
  });

  it('is, of any bytes at all, what the generated codec reads, or left to it', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      fc.constantFrom(...[...plain.keys()].map((at) => plain.subarray(2 + (at % 20), 8 + at))),
    );
    const bodies = fc.array(piece, { maxLength: 6 }).map((pieces) => wrapped(Buffer.concat(pieces)));
    const damaged = fc
      .tuple(heartbeatMessage, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }))
      .map(([message, flips]) => {
        const bytes = encode(message);
        for (const [at, value] of flips) bytes[at % bytes.length] = value;
        return bytes;
      });
    let readHere = 0;
    fc.assert(
      fc.property(fc.oneof(bodies, damaged, fc.uint8Array({ maxLength: 60 })), (bytes) => {
        const message = read(bytes);
        if (message === undefined) return;
        readHere += 1;
        expect(message).toEqual(decodeMigletMessage(bytes));
      }),
      { seed: 3, numRuns: 5_000 },
    );
    expect(readHere).toBeGreaterThan(500);
  });
});
