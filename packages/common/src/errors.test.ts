import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { IllegalTransitionError, InvalidIdError, MigError, errorMessage, printable } from './errors.js';

describe('printable', () => {
  it('makes control characters visible', () => {
    expect(printable('a\u001b[2J\r\nb\u007f\u0085\0')).toBe('a\\x1b[2J\\x0d\\x0ab\\x7f\\x85\\x00');
  });

  it('leaves other text as it is, and cuts it at the length that it is told', () => {
    expect(printable('grün 日本')).toBe('grün 日本');
    expect(printable('x'.repeat(201))).toBe(`${'x'.repeat(200)}…`);
    expect(printable('abcdef', 3)).toBe('abc…');
  });

  it('never lets a line break or an escape through, whatever the text (I8: one log line stays one)', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 500 }), (text) => {
        const shown = printable(text);
        expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
        expect(shown.length).toBeLessThanOrEqual(201);
      }),
      { seed: 5 },
    );
  });

  it('makes visible what is not seen, breaks a line or turns the order of others round', () => {
    expect(printable('a\u202eb\u200bc\u2028d\ufeffe\u2066f\u061c\u{e0041}')).toBe(
      'a\\u{202e}b\\u{200b}c\\u{2028}d\\u{feff}e\\u{2066}f\\u{61c}\\u{e0041}',
    );
  });
});

describe('errorMessage', () => {
  it('is the message of an error, the text of anything else', () => {
    expect(errorMessage(new Error('broken'))).toBe('broken');
    expect(errorMessage('broken')).toBe('broken');
    expect(errorMessage(undefined)).toBe('undefined');
  });

  it('is every message of an aggregate that has none of its own (a refused connection over IPv4 and IPv6)', () => {
    expect(errorMessage(new AggregateError([new Error('a'), new Error('b')]))).toBe('a; b');
    expect(errorMessage(new AggregateError([new Error('a')], 'own'))).toBe('own');
  });
});

describe('errors of ours', () => {
  it('carry a stable code, their own name and their cause', () => {
    const cause = new Error('disk');
    expect(new MigError('some-code', 'text', { cause })).toMatchObject({
      code: 'some-code',
      name: 'MigError',
      cause,
    });
    expect(new InvalidIdError('vm_id', '!')).toMatchObject({
      code: 'invalid-id',
      name: 'InvalidIdError',
      value: '!',
    });
    const move = new IllegalTransitionError('VM a', 'x', 'y');
    expect(move).toMatchObject({ code: 'illegal-transition', thing: 'VM a', from: 'x', to: 'y' });
  });
});
