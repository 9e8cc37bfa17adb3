/**
 * The messages in the DATA of a call: a byte that says whether it is compressed, four bytes of length, the message ("gRPC over
 * HTTP2", Length-Prefixed-Message).
 *
 * A message that lies whole in one chunk is handed over where it is, without a copy. What is kept of one that has begun is what has
 * come of it, never what its length announces (I12).
 */

export interface MessageSink {
  /**
   * One message: `bytes` from `start` to `end`, valid only during the call.
   * @returns false = no more for now; what follows is kept until `resume`
   */
  onFrame(compressed: boolean, bytes: Buffer, start: number, end: number): boolean;
  /** A message is announced that is larger than may be. Nothing is read after it. */
  onOversized(length: number): void;
}

const PREFIX_BYTES = 5;
const NOTHING = Buffer.alloc(0);

export class MessageReader {
  /** What has come of a message that is not whole, or what waits for `resume`: the first `#keptBytes` of it. */
  #kept: Buffer = NOTHING;
  #keptBytes = 0;
  #stopped = false;
  /** A message was announced that is not taken: where the next one begins is not known. */
  #lost = false;
  readonly #maxBytes: number;

  /** @param maxBytes of one message */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Has a message begun that is not whole, or is something kept for `resume`? */
  get hasRest(): boolean {
    return this.#keptBytes > 0;
  }

  read(chunk: Buffer, sink: MessageSink): void {
    if (this.#lost) return;
    if (this.#keptBytes === 0 && !this.#stopped) {
      const taken = this.#take(chunk, chunk.length, sink);
      if (taken < chunk.length) this.#keep(chunk, taken);
      return;
    }
    this.#keep(chunk, 0);
    if (!this.#stopped && this.#isWhole()) this.#readKept(sink);
  }

  /** Goes on with what was kept. */
  resume(sink: MessageSink): void {
    this.#stopped = false;
    if (this.#keptBytes > 0) this.#readKept(sink);
  }

  #isWhole(): boolean {
    if (this.#keptBytes < PREFIX_BYTES) return false;
    const length = this.#kept.readUInt32BE(1);
    return length > this.#maxBytes || this.#keptBytes >= PREFIX_BYTES + length;
  }

  #readKept(sink: MessageSink): void {
    const kept = this.#kept;
    const byteCount = this.#keptBytes;
    this.#kept = NOTHING;
    this.#keptBytes = 0;
    const taken = this.#take(kept, byteCount, sink);
    if (taken < byteCount) this.#keep(kept.subarray(0, byteCount), taken);
  }

  /** @returns how many bytes of the chunk are done with */
  #take(chunk: Buffer, byteCount: number, sink: MessageSink): number {
    let at = 0;
    while (byteCount - at >= PREFIX_BYTES) {
      const length = chunk.readUInt32BE(at + 1);
      const start = at + PREFIX_BYTES;
      if (length > this.#maxBytes) {
        this.#lost = true;
        sink.onOversized(length);
        return byteCount;
      }
      if (start + length > byteCount) break;
      at = start + length;
      if (!sink.onFrame(chunk[start - PREFIX_BYTES] !== 0, chunk, start, at)) {
        this.#stopped = true;
        break;
      }
    }
    return at;
  }

  /** A copy: the chunk is a part of a larger piece of memory, which it would keep. */
  #keep(chunk: Buffer, from: number): void {
    const more = chunk.length - from;
    const needed = this.#keptBytes + more;
    if (needed > this.#kept.length) {
      const larger = Buffer.allocUnsafeSlow(
        this.#keptBytes === 0 ? more : Math.max(needed, 2 * this.#kept.length),
      );
      this.#kept.copy(larger, 0, 0, this.#keptBytes);
      this.#kept = larger;
    }
    chunk.copy(this.#kept, this.#keptBytes, from);
    this.#keptBytes = needed;
  }
}

/** A message as it goes out. */
export function toFrame(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}
