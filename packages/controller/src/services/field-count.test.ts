import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { hasMoreFields } from './field-count.js';

const field = (bytes: readonly number[]): number[] => [0x0a, bytes.length, ...bytes];

describe('fields of a message', () => {
  it('are counted, also those of what it directly holds', () => {
    const flat = Uint8Array.from(Array.from({ length: 20 }, () => [0x08, 0x01]).flat());
    expect(hasMoreFields(flat, 19)).toBe(true);
    expect(hasMoreFields(flat, 20)).toBe(false);
    const nested = Uint8Array.from(field(Array.from({ length: 20 }, () => [0x08, 0x01]).flat()));
    expect(hasMoreFields(nested, 20)).toBe(true);
    expect(hasMoreFields(nested, 21)).toBe(false);
  });

  it('of any bytes are counted without an end of its own', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        expect(hasMoreFields(bytes, 2_000)).toBe(false);
      }),
      { seed: 3 },
    );
  });
});
