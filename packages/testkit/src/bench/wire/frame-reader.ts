/** Cuts what a connection brings into frames, and what a stream brings into messages of gRPC, without copying what is whole. */
import { FLAG, FRAME_HEADER_BYTES } from './http2-frames.js';

/** Called with the bytes of one thing; they are only valid during the call. */
export type FrameHandler = (type: number, flags: number, bytes: Buffer, start: number, end: number) => void;
export type MessageHandler = (bytes: Buffer, start: number, end: number) => void;

const MESSAGE_PREFIX_BYTES = 5;

/** Takes pieces as they come. The streams are not told apart: there is one. */
export function createFrameReader(handle: FrameHandler): (chunk: Buffer, length: number) => void {
  return inPieces(
    FRAME_HEADER_BYTES,
    (bytes, at) => bytes.readUIntBE(at, 3),
    (bytes, start, end) =>
      handle(bytes[start + 3] ?? 0, bytes[start + 4] ?? 0, bytes, start + FRAME_HEADER_BYTES, end),
  );
}

/** Takes the payloads of DATA frames. */
export function createMessageReader(
  handle: MessageHandler,
): (chunk: Buffer, start: number, end: number) => void {
  const take = inPieces(
    MESSAGE_PREFIX_BYTES,
    (bytes, at) => bytes.readUInt32BE(at + 1),
    (bytes, start, end) => handle(bytes, start + MESSAGE_PREFIX_BYTES, end),
  );
  return (chunk, start, end) => take(chunk, end, start);
}

/** Where the data of a DATA frame begins and ends, without its padding. */
export function dataRange(
  flags: number,
  bytes: Buffer,
  start: number,
  end: number,
): readonly [number, number] {
  return (flags & FLAG.padded) === 0 ? [start, end] : [start + 1, end - (bytes[start] ?? 0)];
}

function inPieces(
  headBytes: number,
  lengthAt: (bytes: Buffer, at: number) => number,
  handle: (bytes: Buffer, start: number, end: number) => void,
): (chunk: Buffer, length: number, start?: number) => void {
  /** The beginning of one that is not whole yet. */
  let rest: Buffer | undefined;
  return (chunk, length, start = 0) => {
    let bytes = chunk;
    let at = start;
    let end = length;
    if (rest !== undefined) {
      bytes = Buffer.concat([rest, chunk.subarray(start, length)]);
      at = 0;
      end = bytes.length;
      rest = undefined;
    }
    while (end - at >= headBytes) {
      const next = at + headBytes + lengthAt(bytes, at);
      if (next > end) break;
      handle(bytes, at, next);
      at = next;
    }
    // A copy: the reader's own memory is filled again by the next read.
    if (at < end) rest = Buffer.from(bytes.subarray(at, end));
  };
}
