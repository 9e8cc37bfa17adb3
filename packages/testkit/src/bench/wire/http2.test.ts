import { describe, expect, it } from '@jest/globals';
import { createFrameReader, createMessageReader, dataRange } from './frame-reader.js';
import { headerBlock, integer } from './header-block.js';
import { FLAG, FRAME, frame, messageFrame, opening, windowUpdates } from './http2-frames.js';

/** Everything that is in the bytes, read in pieces of this size. */
function read(bytes: Buffer, pieceBytes: number): string[] {
  const seen: string[] = [];
  const messages = createMessageReader((all, start, end) => seen.push(all.toString('latin1', start, end)));
  const frames = createFrameReader((type, flags, all, start, end) => {
    if (type !== FRAME.data) seen.push(`type ${type}`);
    else messages(all, ...dataRange(flags, all, start, end));
  });
  // One memory for every piece, as the sockets have.
  const memory = Buffer.alloc(pieceBytes);
  for (let at = 0; at < bytes.length; at += pieceBytes) frames(memory, bytes.copy(memory, 0, at));
  return seen;
}

describe('frames', () => {
  it('that are cut anywhere are read whole, and so are the messages in them', () => {
    const bytes = Buffer.concat([
      frame(FRAME.settings, 0, 0, Buffer.alloc(6)),
      messageFrame(Buffer.from('one')),
      messageFrame(Buffer.alloc(0)),
      frame(FRAME.ping, 0, 0, Buffer.alloc(8)),
      messageFrame(Buffer.from('the third')),
    ]);
    for (let pieceBytes = 1; pieceBytes <= bytes.length; pieceBytes += 1)
      expect(read(bytes, pieceBytes)).toEqual(['type 4', 'one', '', 'type 6', 'the third']);
  });

  it('a message may go on in the next frame', () => {
    const message = messageFrame(Buffer.from('hello')).subarray(9);
    const bytes = Buffer.concat([
      frame(FRAME.data, 0, 1, message.subarray(0, 3)),
      frame(FRAME.data, 0, 1, message.subarray(3, 7)),
      frame(FRAME.data, 0, 1, message.subarray(7)),
    ]);
    expect(read(bytes, 1_000)).toEqual(['hello']);
  });

  it('padding is no part of a message', () => {
    const message = messageFrame(Buffer.from('hi')).subarray(9);
    const padded = Buffer.concat([Buffer.of(4), message, Buffer.alloc(4, 'x')]);
    expect(read(frame(FRAME.data, FLAG.padded, 1, padded), 1_000)).toEqual(['hi']);
  });

  it('the opening is the preface, settings and headers; the window is paid back twice, for connection and stream', () => {
    expect(opening(Buffer.of(1, 2)).toString('latin1', 0, 24)).toBe('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    expect(opening(Buffer.of(1, 2)).subarray(24).toString('hex')).toBe(
      '000000040000000000' + '0000020104000000010102',
    );
    expect(windowUpdates(258).toString('hex')).toBe(
      '00000408000000000000000102' + '00000408000000000100000102',
    );
  });
});

describe('a header block', () => {
  // RFC 7541, C.1
  it.each([
    [10, 5, '0a'],
    [1337, 5, '1f9a0a'],
    [42, 8, '2a'],
    [31, 5, '1f00'],
  ])('has %i behind %i bits as %s', (value, bits, hex) => {
    expect(integer(value, bits, 0).toString('hex')).toBe(hex);
  });

  it('has the credential if there is one, and is never kept by the server', () => {
    const head = { scheme: 'http', authority: 'a:1', path: '/s/m' } as const;
    expect(headerBlock(head).includes('Bearer')).toBe(false);
    const block = headerBlock({ ...head, token: 't' });
    expect(block.subarray(block.indexOf('Bearer') - 3).toString('hex')).toBe(
      '1f0808' + Buffer.from('Bearer t').toString('hex'),
    );
  });
});
