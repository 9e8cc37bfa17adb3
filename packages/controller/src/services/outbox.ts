/**
 * What waits to be written onto one stream: an async iterable with a bound (I12).
 *
 * nice-grpc takes the next message when the transport has room, so a peer that does not read fills this queue; at the
 * bound `push` says no, and the stream is ended.
 */
export interface Outbox<T> extends AsyncIterable<T> {
  /** False if it is closed or full. */
  push(message: T): boolean;
  /**
   * Lets what waits go out, then ends the iteration. With an error, drops what waits and ends it with that; `flush` lets what
   * waits go out before the error. Only the first call counts.
   */
  close(error?: Error, flush?: 'flush'): void;
}

export function createOutbox<T>(limit: number): Outbox<T> {
  const waiting: T[] = [];
  let closed = false;
  let failure: Error | undefined;
  let wake: (() => void) | undefined;

  return {
    push(message) {
      if (closed || waiting.length >= limit) return false;
      waiting.push(message);
      wake?.();
      return true;
    },
    close(error, flush) {
      if (closed) return;
      closed = true;
      failure = error;
      if (error !== undefined && flush === undefined) waiting.length = 0;
      wake?.();
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        const message = waiting.shift();
        if (message !== undefined) {
          yield message;
        } else if (closed) {
          if (failure !== undefined) throw failure;
          return;
        } else {
          await new Promise<void>((resolve) => (wake = resolve));
          wake = undefined;
        }
      }
    },
  };
}
