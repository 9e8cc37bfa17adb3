import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { hasMoreValues } from './json-values.js';

describe('values of a JSON text', () => {
  it('are its lists, objects and what follows in them, but nothing within a text', () => {
    expect(hasMoreValues('[[],[],{}]', 5)).toBe(true);
    expect(hasMoreValues('[[],[],{}]', 6)).toBe(false);
    expect(hasMoreValues(JSON.stringify({ log: ',[{'.repeat(1_000) }), 1)).toBe(false);
    expect(hasMoreValues('{"a":"\\"[[[","b":"\\\\"}', 2)).toBe(false);
  });

  it('of any text are no more than its characters, however its strings end', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string({ unit: fc.constantFrom(...'"\\,[{}]x') })), (text) => {
        expect(hasMoreValues(text, text.length)).toBe(false);
      }),
      { seed: 3 },
    );
  });
});
