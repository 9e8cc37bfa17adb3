import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Metadata } from 'nice-grpc';
import { addMetadata, encodeMessage, isGrpcContentType, metadataOf, parseTimeout } from './headers.js';

describe('metadata', () => {
  it('survives the headers: texts and bytes, one or more of a name', () => {
    const before = Metadata({ a: 'x', b: ['1', '2'], 'c-bin': [Buffer.from([0, 255]), Buffer.from('y')] });
    const headers: Record<string, string[]> = {};
    addMetadata(headers, before);
    expect(headers).toEqual({ a: ['x'], b: ['1, 2'], 'c-bin': ['AP8', 'eQ'] });
    const raw = Object.entries(headers).flatMap(([name, values]) => values.flatMap((value) => [name, value]));
    expect([...metadataOf(raw)]).toEqual([...before]);
  });

  it('has several binary values also where they come joined', () => {
    expect(metadataOf(['x-bin', 'AP8=,eQ']).getAll('x-bin')).toEqual([
      Buffer.from([0, 255]),
      Buffer.from('y'),
    ]);
  });

  it('leaves out what is of the transport, and what gRPC does not allow', () => {
    const raw = [
      ':path',
      '/x',
      'te',
      'trailers',
      'content-type',
      'application/grpc',
      'grpc-timeout',
      '1S',
      'é',
      'x',
      'ok',
      '1',
    ];
    expect([...metadataOf(raw)]).toEqual([['ok', ['1']]]);
    const headers = {};
    addMetadata(headers, Metadata({ 'grpc-status': '0', 'content-type': 'text/html', ok: '1' }));
    expect(headers).toEqual({ ok: ['1'] });
  });
});

describe('the text of a status', () => {
  it('is printable ASCII in its header, whatever it is, and can be read again', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
        const encoded = encodeMessage(text);
        expect(encoded).toMatch(/^[ -~]*$/);
        expect(decodeURIComponent(encoded)).toBe(Buffer.from(text).toString());
      }),
      { seed: 5 },
    );
  });

  it('is left as it is where that is allowed, and cut where it is too long', () => {
    expect(encodeMessage('it is "this" or 100 %, é')).toBe('it is "this" or 100 %25, %C3%A9');
    expect(encodeMessage('plain "text"')).toBe('plain "text"');
    expect(decodeURIComponent(encodeMessage('x'.repeat(9_000)))).toBe(`${'x'.repeat(2_047)}…`);
  });
});

describe('a deadline', () => {
  it.each([
    ['1S', 1_000],
    ['20m', 20],
    ['1500u', 2],
    ['1n', 1],
    ['2M', 120_000],
    ['99999999H', 99_999_999 * 3_600_000],
  ])('%s is %d ms', (text, ms) => expect(parseTimeout(text)).toBe(ms));

  it.each(['', '1', 'S', '1s', '-1S', '123456789S', '1.5S', ' 1S'])('%j is none', (text) =>
    expect(parseTimeout(text)).toBeUndefined(),
  );
});

it.each([
  ['application/grpc', true],
  ['application/grpc+proto', true],
  ['application/grpc;charset=utf-8', true],
  ['application/grpc-web', false],
  ['application/json', false],
  [undefined, false],
])('%s as a content type: gRPC is %s', (type, is) => expect(isGrpcContentType(type)).toBe(is));
