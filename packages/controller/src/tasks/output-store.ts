/** What the tasks and jobs need of a place for output. Offsets count what is stored; they only grow, and name a place to resume at. */
import type { OutputStreamName } from '@mig/common/domain/task-messages';

export interface StoredChunk {
  readonly stream: OutputStreamName;
  readonly data: Buffer;
  /** Where the next begins. */
  readonly end: number;
}

export interface OutputPage {
  readonly chunks: readonly StoredChunk[];
  /** Bytes of output that are missing before the first chunk: their place was cut out. */
  readonly cutBytes: number;
  /** Where to read on. */
  readonly next: number;
}

export interface OutputLog {
  /** Where the next chunk will begin. */
  readonly end: number;
  /** All that was written, bytes of output. */
  readonly bytes: number;
  /** Of these, so many are gone: cut out of the middle. */
  readonly cutBytes: number;
  /** The highest number of a message that brought output. */
  readonly lastSequence: number;
  /** Resolves when it can be read. Calls are carried out in their order. What cannot be written is cut, and counted so. */
  append(stream: OutputStreamName, data: Uint8Array, sequence: number): Promise<void>;
  /**
   * What follows `from`, at most about 256 KiB; nothing at the end.
   *
   * @param from 0, or the `end` of a chunk; what follows any other place is not said
   */
  read(from: number): Promise<OutputPage>;
  /** No more is written. */
  finish(): Promise<void>;
}

export interface OutputStore {
  /** The output of the task or job, begun or read back. Resolves to the same one as long as it is open. */
  open(id: string): Promise<OutputLog>;
  remove(id: string): Promise<void>;
  /** Ids that have output. */
  list(): Promise<string[]>;
}
