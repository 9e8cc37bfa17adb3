import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MessageReader, toFrame, type MessageSink } from './message-reader.js';

interface Taken extends MessageSink {
  readonly messages: string[];
  oversized: number | undefined;
  /** After how many messages it wants no more. */
  stopAfter: number;
}

function createSink(stopAfter = Infinity): Taken {
  const sink: Taken = {
    messages: [],
    oversized: undefined,
    stopAfter,
    onFrame(compressed, bytes, start, end) {
      sink.messages.push((compressed ? '*' : '') + bytes.toString('latin1', start, end));
      return sink.messages.length < sink.stopAfter;
    },
    onOversized: (length) => void (sink.oversized = length),
  };
  return sink;
}

const frames = (...messages: string[]): Buffer =>
  Buffer.concat(messages.map((text) => toFrame(Buffer.from(text, 'latin1'))));

describe('the messages in the data of a call', () => {
  it('are the same, however the data is cut', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ maxLength: 40 }).map((text) => Buffer.from(text).toString('latin1')),
          { maxLength: 8 },
        ),
        fc.array(fc.nat(400), { maxLength: 12 }),
        (messages, cuts) => {
          const data = frames(...messages);
          const sink = createSink();
          const reader = new MessageReader(1_000);
          const places = [
            0,
            ...cuts.map((cut) => Math.min(cut, data.length)).sort((a, b) => a - b),
            data.length,
          ];
          places.slice(1).forEach((end, index) => reader.read(data.subarray(places[index], end), sink));
          expect(sink.messages).toEqual(messages);
          expect(reader.hasRest).toBe(false);
        },
      ),
      { seed: 4, numRuns: 500 },
    );
  });

  it('wait when whoever takes them wants no more, and go on in their order', () => {
    const sink = createSink(1);
    const reader = new MessageReader(1_000);
    reader.read(frames('a', 'b'), sink);
    reader.read(frames('c'), sink);
    expect(sink.messages).toEqual(['a']);
    sink.stopAfter = 2;
    reader.resume(sink);
    expect(sink.messages).toEqual(['a', 'b']);
    sink.stopAfter = Infinity;
    reader.resume(sink);
    reader.read(frames('d'), sink);
    expect(sink.messages).toEqual(['a', 'b', 'c', 'd']);
  });

  it('are announced with their length: one that is too large is refused before it comes (I12)', () => {
    for (const cut of [3, 5, 9]) {
      const sink = createSink();
      const reader = new MessageReader(4);
      const data = frames('1234', '12345');
      reader.read(data.subarray(0, 9 + cut), sink);
      reader.read(data.subarray(9 + cut), sink);
      expect(sink.messages).toEqual(['1234']);
      expect(sink.oversized).toBe(5);
    }
  });

  it('say whether they are compressed', () => {
    const sink = createSink();
    const data = frames('x');
    data[0] = 1;
    new MessageReader(10).read(data, sink);
    expect(sink.messages).toEqual(['*x']);
  });
});
