import { describe, expect, it } from '@jest/globals';
import { hasMoreFields } from './field-count.js';

/** A field of two bytes: number 1, a varint. */
const fields = (count: number): Buffer => Buffer.from('0801'.repeat(count), 'hex');

/** As field 2 of a message, length-delimited. */
function nested(inner: Buffer): Buffer {
  const length: number[] = [];
  let left = inner.length;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) length.push((left % 0x80) | 0x80);
  return Buffer.concat([Buffer.from([0x12, ...length, left]), inner]);
}

describe('a message', () => {
  it('of so many fields has no more than that', () => {
    expect(hasMoreFields(fields(1_000), 1_000)).toBe(false);
    expect(hasMoreFields(fields(1_001), 1_000)).toBe(true);
  });

  it('that holds them in a field has them too', () => {
    expect(hasMoreFields(nested(fields(1_001)), 1_000)).toBe(true);
    expect(hasMoreFields(nested(fields(100)), 1_000)).toBe(false);
  });

  it('that is none, at random, is looked through without an error', () => {
    for (let seed = 0; seed < 256; seed += 1) {
      const bytes = Buffer.from(Array.from({ length: 64 }, (_, at) => (seed * 31 + at * at * 7) % 256));
      expect(hasMoreFields(bytes, 1_000)).toBe(false);
    }
  });

  it('of ten thousand bytes in one text has one field', () => {
    expect(hasMoreFields(nested(Buffer.alloc(10_000, 0xff)), 1_000)).toBe(false);
  });
});
