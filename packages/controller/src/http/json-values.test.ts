import { describe, expect, it } from '@jest/globals';
import { hasMoreValues } from './json-values.js';

describe('a JSON text', () => {
  it.each([
    ['[1,2,3]', 3, false],
    ['[1,2,3]', 2, true],
    ['[[[[]]]]', 3, true],
    ['{"a":{"b":1}}', 2, false],
    ['"[[[[,,,,"', 0, false],
    [String.raw`["\"[[[","\\"]`, 2, false],
    ['"never ends [[[', 0, false],
  ])('%s has more than %i values: %s', (text, limit, more) => {
    expect(hasMoreValues(text, limit)).toBe(more);
  });
});
