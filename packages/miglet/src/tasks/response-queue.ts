/**
 * What the tasks have to say and the stream has not yet taken.
 *
 * Each task has a channel of its own, and the stream takes from them in turn, so that one that writes much does not keep the
 * others. A channel takes no more than its window beyond what the controller acknowledged (I12): then its task waits, and with
 * it the process that writes. Without acknowledgements the stream itself is the window.
 */
import type { TaskResponse } from '@mig/common/domain/task-messages';

/** A response but for its number. */
export type ResponseDraft = Omit<TaskResponse, 'sequence'>;

export interface TaskChannel {
  /** Resolves when there is room for the next; at once after `close`. Responses go out in the order of the calls. */
  send(draft: ResponseDraft): Promise<void>;
  /** The controller has all up to this number. */
  acknowledge(sequence: number): void;
  /** Resolves when all that was sent has been taken: acknowledged, or given to the stream where nothing is acknowledged. */
  settled(): Promise<void>;
  /** Nothing is kept any more, and nobody waits. */
  close(): void;
}

export interface ResponseQueue {
  /** @param windowBytes 0 = the controller acknowledges nothing */
  open(windowBytes: number): TaskChannel;
  /** The next for the stream, or undefined if there is none now. */
  take(): TaskResponse | undefined;
  /** A new stream: what was not acknowledged goes out again. */
  rewind(): void;
  /** Called when there is something to take. */
  onReady(listener: () => void): void;
}

/** A response without output counts as so many bytes. */
const BASE_BYTES = 64;

interface Waiting {
  readonly response: TaskResponse;
  readonly bytes: number;
}

interface Channel {
  readonly waiting: Waiting[];
  readonly windowBytes: number;
  /** Of `waiting`, so many have been given to the stream. */
  given: number;
  bytes: number;
  wake: () => void;
}

export function createResponseQueue(): ResponseQueue {
  const channels: Channel[] = [];
  let ready = (): void => undefined;
  let turn = 0;

  function drop(channel: Channel, count: number): void {
    for (const { bytes } of channel.waiting.splice(0, count)) channel.bytes -= bytes;
    channel.given = Math.max(0, channel.given - count);
    channel.wake();
  }

  return {
    open(windowBytes) {
      let sequence = 0;
      let closed = false;
      const listeners = new Set<() => void>();
      const channel: Channel = {
        waiting: [],
        windowBytes,
        given: 0,
        bytes: 0,
        wake: () => {
          for (const listener of [...listeners]) listener();
        },
      };
      channels.push(channel);
      const until = (holds: () => boolean): Promise<void> =>
        new Promise((resolve) => {
          const check = (): void => {
            if (!closed && !holds()) return;
            listeners.delete(check);
            resolve();
          };
          listeners.add(check);
          check();
        });
      return {
        async send(draft) {
          if (closed) return;
          sequence += 1;
          const bytes = draft.chunks.reduce((sum, { data }) => sum + data.length, BASE_BYTES);
          channel.waiting.push({ response: { ...draft, sequence }, bytes });
          channel.bytes += bytes;
          ready();
          await until(() =>
            windowBytes === 0 ? channel.waiting.length === 0 : channel.bytes <= windowBytes,
          );
        },
        acknowledge(upTo) {
          const count = channel.waiting.findIndex(({ response }) => response.sequence > upTo);
          drop(channel, count === -1 ? channel.waiting.length : count);
        },
        settled: () => until(() => channel.waiting.length === 0),
        close() {
          closed = true;
          const at = channels.indexOf(channel);
          if (at !== -1) channels.splice(at, 1);
          channel.wake();
        },
      };
    },

    take() {
      for (let step = 0; step < channels.length; step += 1) {
        const at = (turn + step) % channels.length;
        const channel = channels[at];
        const next = channel?.waiting[channel.given];
        if (channel === undefined || next === undefined) continue;
        turn = at + 1;
        channel.given += 1;
        if (channel.windowBytes === 0) drop(channel, channel.given);
        return next.response;
      }
      return undefined;
    },

    rewind() {
      for (const channel of channels) channel.given = 0;
      ready();
    },

    onReady(listener) {
      ready = listener;
    },
  };
}
