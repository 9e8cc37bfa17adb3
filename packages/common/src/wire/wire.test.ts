import { describe, expect, it } from '@jest/globals';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import type { ControllerMessage, MigletMessage } from '../domain/messages.js';
import { ControllerMessage as Wire } from '../gen/commands.js';
import { controllerMessage, migletMessage } from './arbitraries.contract.js';
import { MAX_MESSAGE_BYTES, commandServiceDefinition, descriptorSet } from './command-service.js';
import { decodeControllerMessage, encodeControllerMessage, toWireCommand } from './controller-message.js';
import { decodeMigletMessage, encodeMigletMessage } from './miglet-message.js';

const decoders = [
  ['a MIGlet', decodeMigletMessage],
  ['a controller', decodeControllerMessage],
] as const;

/** An error has a time on the wire, which neither side sets or reads. */
const arrived = (message: MigletMessage | ControllerMessage): unknown =>
  message.kind === 'error' ? { ...message, error: { ...message.error, timestamp: 0 } } : message;

describe('round trips', () => {
  it('every message of a MIGlet survives the wire', () => {
    fc.assert(
      fc.property(migletMessage, (message) => {
        expect(decodeMigletMessage(encodeMigletMessage(message))).toEqual(arrived(message));
      }),
      { seed: 6, numRuns: 500 },
    );
  });

  it('every message of a controller survives the wire', () => {
    fc.assert(
      fc.property(controllerMessage, (message) => {
        expect(decodeControllerMessage(encodeControllerMessage(message))).toEqual(arrived(message));
      }),
      { seed: 7, numRuns: 500 },
    );
  });

  it('that a result is recorded is said in the bytes of the codec, whatever the id of its command', () => {
    const id = fc.oneof(fc.string({ maxLength: 300 }), fc.string({ unit: 'binary', maxLength: 40 }));
    fc.assert(
      fc.property(id, (commandId) => {
        const coded = Wire.encode({ message: { $case: 'resultAck', value: { commandId } } }).finish();
        const bytes = encodeControllerMessage({ kind: 'resultAck', commandId });
        expect(Buffer.from(bytes).toString('hex')).toBe(Buffer.from(coded).toString('hex'));
      }),
      { seed: 8, numRuns: 1_000 },
    );
  });

  it('a command is said in the bytes of the codec, plain or not, up to the longest', () => {
    const short = fc.string({ minLength: 1, maxLength: 20 });
    const long = fc.string({ minLength: 90, maxLength: 130, size: 'max' });
    const text = fc.oneof(short, fc.string({ maxLength: 300 }), fc.string({ unit: 'binary', maxLength: 9 }));
    const number = fc.oneof(fc.nat(300), fc.maxSafeInteger());
    const value = fc.oneof(text, number, fc.boolean(), fc.array(text, { maxLength: 3 }));
    const command = fc.record({
      id: fc.oneof({ weight: 9, arbitrary: short }, text),
      type: fc.oneof({ weight: 9, arbitrary: short }, text),
      parameters: fc.oneof(
        fc.dictionary(short, fc.oneof(short, fc.nat()), { maxKeys: 12 }),
        fc.dictionary(short, long, { minKeys: 1, maxKeys: 20, size: 'max' }),
        fc.dictionary(text, value, { maxKeys: 30 }),
      ),
      createdAt: number,
      startWithinMs: fc.oneof(number, fc.constantFrom(0, -1, 0.4)),
      attempt: fc.nat(0x7fff_ffff),
    });
    fc.assert(
      fc.property(command, (said) => {
        const bytes = encodeControllerMessage({ kind: 'command', command: said });
        const coded = Wire.encode({ message: { $case: 'command', value: toWireCommand(said) } }).finish();
        expect(Buffer.from(bytes).toString('hex')).toBe(Buffer.from(coded).toString('hex'));
      }),
      { seed: 9, numRuns: 3_000 },
    );
  });

  it('the definition of the service carries messages of the domain both ways', () => {
    const { streamCommands } = commandServiceDefinition;
    const hello = { kind: 'deregister', requestId: '1', runnerName: 'r' } as const;
    expect(streamCommands.requestDeserialize(streamCommands.requestSerialize(hello))).toEqual(hello);
    const answer = { kind: 'resultAck', commandId: 'cmd-1' } as const;
    expect(streamCommands.responseDeserialize(streamCommands.responseSerialize(answer))).toEqual(answer);
    expect(streamCommands.path).toBe('/miglet.commands.CommandService/StreamCommands');
    expect(MAX_MESSAGE_BYTES).toBe(1_048_576);
    expect(Buffer.from(descriptorSet()).includes('miglet.commands')).toBe(true);
  });

  it('what came off the wire as unknown or malformed is never sent on', () => {
    for (const message of [{ kind: 'unknown' }, { kind: 'malformed', reason: 'x' }] as const) {
      expect(() => encodeMigletMessage(message)).toThrow(`a message of kind ${message.kind} cannot be sent`);
      expect(() => encodeControllerMessage(message)).toThrow(
        `a message of kind ${message.kind} cannot be sent`,
      );
    }
  });
});

describe.each(decoders)('bytes from %s that are no message', (_, decode) => {
  it.each([
    ['a length that is longer than the rest', [0x0a, 0xff, 0x01]],
    ['a tag that is cut', [0xff]],
    ['a wire type that does not exist', [0x0f, 0x00]],
    ['a varint without an end', Array<number>(11).fill(0xff)],
  ])('%s is malformed, with a reason', (_name, bytes) => {
    const message = decode(Uint8Array.from(bytes));
    expect(message.kind).toBe('malformed');
    if (message.kind === 'malformed') expect(message.reason).not.toBe('');
  });

  it('an empty message is malformed', () => {
    expect(decode(new Uint8Array())).toEqual({ kind: 'malformed', reason: 'the message is empty' });
  });

  it('a field from the future is unknown, not malformed', () => {
    const bytes = new BinaryWriter()
      .uint32((99 << 3) | 2)
      .string('hello')
      .finish();
    expect(decode(bytes)).toEqual({ kind: 'unknown' });
  });

  it('any bytes at all are decoded to something, and never thrown at', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(decode(bytes).kind).toEqual(expect.any(String));
      }),
      { seed: 8, numRuns: 2_000 },
    );
  });
});

describe('damage', () => {
  it('a message with flipped bytes is decoded to something, and never thrown at', () => {
    const damaged = fc
      .tuple(migletMessage, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }))
      .map(([message, flips]) => {
        const bytes = encodeMigletMessage(message);
        for (const [at, value] of flips) bytes[at % bytes.length] = value;
        return bytes;
      });
    fc.assert(
      fc.property(damaged, (bytes) => {
        expect(decodeMigletMessage(bytes).kind).toEqual(expect.any(String));
      }),
      { seed: 9, numRuns: 1_000 },
    );
  });
});
