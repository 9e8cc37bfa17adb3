/** The messages of a client as an async iterable; the client is held back while some wait. */
import type { Call } from './call.js';

export interface Incoming {
  readonly messages: AsyncIterable<unknown>;
  push(message: unknown): void;
  /** There will be no more. */
  end(): void;
  /** The client has gone: who waits gets an error that `isAbortError` knows. */
  fail(): void;
  /** Nobody takes any more: what still comes is dropped. */
  stop(): void;
}

/** The client has gone: nobody did anything wrong. Known by its name (`isAbortError`). */
class CallCancelledError extends Error {
  override readonly name = 'AbortError';

  constructor() {
    super('the call was cancelled');
  }
}

export function createIncoming(call: Pick<Call, 'pause' | 'resume' | 'discard'>): Incoming {
  let waiting: unknown[] = [];
  let state: 'open' | 'ended' | 'failed' | 'stopped' = 'open';
  let wake: (() => void) | undefined;

  function change(next: typeof state): void {
    if (state === 'open' || next === 'stopped') state = next;
    wake?.();
  }

  async function* messages(): AsyncGenerator<unknown, void, undefined> {
    try {
      for (;;) {
        if (state === 'failed') throw new CallCancelledError();
        if (state === 'stopped') return;
        if (waiting.length > 0) {
          const message = waiting.shift();
          if (waiting.length === 0) call.resume();
          yield message;
        } else if (state === 'ended') {
          return;
        } else {
          await new Promise<void>((resolve) => (wake = resolve));
          wake = undefined;
        }
      }
    } finally {
      stop();
    }
  }

  function stop(): void {
    if (state === 'stopped') return;
    change('stopped');
    waiting = [];
    call.discard();
  }

  return {
    messages: messages(),
    push(message) {
      if (state !== 'open') return;
      waiting.push(message);
      // At most what one window holds comes before the client is still.
      call.pause();
      wake?.();
    },
    end: () => change('ended'),
    fail: () => change('failed'),
    stop,
  };
}
