/** Where a task's output goes, and in what pieces. */
import type { DockerContainer } from '@mig/common/domain/task';
import type { OutputStreamName } from '@mig/common/domain/task-messages';

/** Takes what a task writes. */
export interface TaskOutput {
  /**
   * Resolves when there is room for more: whoever writes waits for it, and so does, by its full pipe, the process that wrote.
   *
   * @param data at most 32 KiB, no character of UTF-8 cut in two
   */
  write(stream: OutputStreamName, data: Uint8Array): Promise<void>;
}

/** How a task ended. */
export interface TaskResult {
  readonly success: boolean;
  /** 128 and its number if a signal ended the process. */
  readonly exitCode: number;
  /** `SIGKILL`; empty if none ended it. */
  readonly signal: string;
  /** Why it failed, where the exit code does not say it; else empty. */
  readonly message: string;
  readonly containerId?: string;
  readonly containers?: readonly DockerContainer[];
}

export const succeeded: TaskResult = { success: true, exitCode: 0, signal: '', message: '' };
export const failed = (message: string): TaskResult => ({ success: false, exitCode: 0, signal: '', message });

/** Largest piece of output, bytes: some of them fit into one message, and one is not long in the way of another task. */
const PIECE_BYTES = 32 * 1024;

export interface Splitter {
  /** The pieces that are complete now. */
  push(data: Uint8Array): Uint8Array[];
  /** What is left at the end: the beginning of a character that never came whole. */
  flush(): Uint8Array[];
}

/**
 * Cuts output into pieces that end where a character of UTF-8 ends. Bytes that are no UTF-8 pass as they are.
 *
 * @param raw false: U+FFFD takes the place of what is no UTF-8
 */
export function createSplitter(raw: boolean): Splitter {
  let rest: Buffer = Buffer.alloc(0);
  const clean = (piece: Buffer): Buffer => (raw ? piece : Buffer.from(piece.toString('utf8')));
  return {
    push(data) {
      let bytes = rest.length === 0 ? toBuffer(data) : Buffer.concat([rest, data]);
      const pieces: Buffer[] = [];
      while (bytes.length > 0) {
        const end = completeLength(bytes.subarray(0, PIECE_BYTES));
        if (end === 0) break;
        pieces.push(clean(bytes.subarray(0, end)));
        bytes = bytes.subarray(end);
      }
      rest = Buffer.from(bytes);
      return pieces;
    },
    flush() {
      const pieces = rest.length === 0 ? [] : [clean(rest)];
      rest = Buffer.alloc(0);
      return pieces;
    },
  };
}

const toBuffer = (data: Uint8Array): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

/** How many bytes come before a character that begins at the end and is not whole; all, if there is none. */
function completeLength(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0b1100_0000) === 0b1000_0000) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return byte < 0xf8 && needed > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
