import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { InvalidIdError } from '../errors.js';
import { isValidEventType } from './event.js';
import { assertId, isValidId, newId } from './ids.js';

const BAD = [
  '',
  '.',
  '..',
  '-a',
  '_a',
  '.hidden',
  'a/b',
  'a\\b',
  '../etc',
  'a b',
  'a\n',
  'ä',
  'a\0',
  'x'.repeat(64),
];
const GOOD = ['a', '0', 'demo-vm-1', 'A.b_c-9', 'x'.repeat(63), 'a..b'];

describe('the rule for ids (I10)', () => {
  it.each(GOOD)('takes %j', (value) => {
    expect(isValidId(value)).toBe(true);
    expect(isValidEventType(value)).toBe(true);
  });

  it.each(BAD)('refuses %j, naming the field, the value and what is allowed', (value) => {
    expect(isValidId(value)).toBe(false);
    expect(() => assertId('vm_id', value)).toThrow(InvalidIdError);
    expect(() => assertId('vm_id', value)).toThrow(
      /^vm_id ".*" is not valid: use 1 to 63 of a-z A-Z 0-9 \. _ - /,
    );
  });

  it('never takes a text that could leave its folder, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        if (isValidId(text)) expect(text).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]*$/);
      }),
      { seed: 1 },
    );
  });

  it('shows control characters of a refused value as text, and cuts it', () => {
    const error = new InvalidIdError('vm_id', `\u001b[31m${'x'.repeat(1_000)}`);
    expect(error.message).toContain('\\\\x1b');
    expect(error.message.length).toBeLessThan(400);
    expect(error).toMatchObject({ code: 'invalid-id', field: 'vm_id', name: 'InvalidIdError' });
  });
});

describe('new ids', () => {
  it('are valid, begin with their prefix, and have 20 characters of base 32', () => {
    expect(newId('cmd', Date.UTC(2026, 10, 21))).toMatch(/^cmd-[0-9a-v]{20}$/);
  });

  it('sort by the time of their making, whatever chance gives', () => {
    const time = fc.integer({ min: 0, max: 32_503_680_000_000 });
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(time, time, random, random, (a, b, x, y) => {
        fc.pre(a < b);
        const [first, second] = [newId('cmd', a, () => x), newId('cmd', b, () => y)];
        expect(isValidId(first)).toBe(true);
        expect(first < second).toBe(true);
      }),
      { seed: 2 },
    );
  });
});
