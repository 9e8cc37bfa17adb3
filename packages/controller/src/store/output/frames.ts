/**
 * Output on disk: frames, one after the other.
 *
 *   1 byte   stream: 1 standard output, 2 standard error
 *   4 bytes  length of the data, big-endian
 *   6 bytes  number of the agent's message that brought it, big-endian; 0 if it was not counted
 *   data
 */
import type { OutputStreamName } from '@mig/common/domain/task-messages';

export const HEAD_BYTES = 11;
/** Longer data is no frame of ours: the file is damaged. It is more than one message brings. */
export const MAX_DATA_BYTES = 2 * 2 ** 20;

export interface Frame {
  readonly stream: OutputStreamName;
  readonly sequence: number;
  readonly data: Buffer;
}

export function encodeFrame(stream: OutputStreamName, sequence: number, data: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEAD_BYTES + data.length);
  frame[0] = stream === 'stdout' ? 1 : 2;
  frame.writeUInt32BE(data.length, 1);
  frame.writeUIntBE(sequence, 5, 6);
  frame.set(data, HEAD_BYTES);
  return frame;
}

export interface FrameHead {
  readonly stream: OutputStreamName;
  readonly length: number;
  readonly sequence: number;
}

/** Undefined if the bytes at `at` are no head of a frame. */
export function readHead(bytes: Buffer, at: number): FrameHead | undefined {
  if (at + HEAD_BYTES > bytes.length) return undefined;
  const kind = bytes[at];
  const length = bytes.readUInt32BE(at + 1);
  if ((kind !== 1 && kind !== 2) || length > MAX_DATA_BYTES) return undefined;
  return { stream: kind === 1 ? 'stdout' : 'stderr', length, sequence: bytes.readUIntBE(at + 5, 6) };
}
