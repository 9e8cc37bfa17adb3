/**
 * What a container writes, as the engine sends it: frames of 8 bytes of head (1: stdin, stdout or stderr; 4 to 7: length) and
 * content (Engine API, "Attach to a container", "Stream format"). A container with a terminal has no frames: all is stdout.
 */
import type { OutputChunk } from '@mig/common/domain/task-messages';

const HEAD_BYTES = 8;

/** Yields parts of frames as they come, so that a large frame is never held whole. */
export async function* readFrames(body: AsyncIterable<Uint8Array>): AsyncGenerator<OutputChunk> {
  let head = Buffer.alloc(0);
  let left = 0;
  let stream: OutputChunk['stream'] = 'stdout';
  for await (const part of body) {
    let bytes = Buffer.from(part.buffer, part.byteOffset, part.byteLength);
    while (bytes.length > 0) {
      if (left === 0) {
        const needed = HEAD_BYTES - head.length;
        head = Buffer.concat([head, bytes.subarray(0, needed)]);
        bytes = bytes.subarray(needed);
        if (head.length < HEAD_BYTES) break;
        stream = head[0] === 2 ? 'stderr' : 'stdout';
        left = head.readUInt32BE(4);
        head = Buffer.alloc(0);
        continue;
      }
      const data = bytes.subarray(0, left);
      bytes = bytes.subarray(data.length);
      left -= data.length;
      yield { stream, data };
    }
  }
}

export async function* readPlain(body: AsyncIterable<Uint8Array>): AsyncGenerator<OutputChunk> {
  for await (const data of body) yield { stream: 'stdout', data };
}
