/**
 * The output of one open task or job, from its agent to its readers.
 *
 * All goes through the log on disk; the readers read there, each at its own pace. Output that is held does not run ahead of the
 * slowest reader: whoever appends waits, and with it the agent and the process that writes. It waits for the first reader too,
 * and for one to come back, but not for ever (I12).
 */
import type { Clock } from '@mig/common/clock';
import type { OutputStreamName } from '@mig/common/domain/task-messages';
import type { OutputLog, OutputPage } from './output-store.js';

export interface OutputFlow {
  readonly log: OutputLog;
  /** Resolves when it is stored. */
  append(stream: OutputStreamName, data: Uint8Array, sequence: number): Promise<void>;
  /** Resolves when the readers have room for more; at once if nothing is held. */
  room(): Promise<void>;
  /** Nothing is held any more. */
  release(): void;
  /** No more comes. */
  finish(): Promise<void>;
  read(from: number): OutputReader;
}

export interface OutputReader {
  /**
   * What comes next, as soon as something does; undefined when all was read and no more comes, or after `close`.
   *
   * @param wait false: undefined also when there is no more just now; default true
   */
  next(wait?: boolean): Promise<OutputPage | undefined>;
  close(): void;
}

/** Held output runs ahead of its slowest reader by at most so much on disk: 2 MiB. */
const HOLD_BYTES = 2 * 2 ** 20;
/** How long held output waits for a reader when there is none: 30 s. */
const HOLD_MS = 30_000;

export function createOutputFlow(log: OutputLog, held: boolean, clock: Clock): OutputFlow {
  const readers = new Set<{ position: number }>();
  const listeners = new Set<() => void>();
  let holds = held;
  let finished = false;
  /** Where the last reader was when it left. */
  let leftAt = 0;
  let waitUntilMs = clock.monotonicMs() + HOLD_MS;

  const wake = (): void => {
    for (const listener of [...listeners]) listener();
  };
  const changed = (withinMs?: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = withinMs === undefined ? undefined : clock.setTimer(() => done(), withinMs);
      const done = (): void => {
        clock.clearTimer(timer);
        listeners.delete(done);
        resolve();
      };
      listeners.add(done);
    });

  function slowest(): number {
    if (readers.size === 0) return leftAt;
    return Math.min(...[...readers].map(({ position }) => position));
  }

  return {
    log,
    async append(stream, data, sequence) {
      await log.append(stream, data, sequence);
      wake();
    },

    async room() {
      while (holds && log.end - slowest() > HOLD_BYTES) {
        const leftMs = waitUntilMs - clock.monotonicMs();
        if (readers.size === 0 && leftMs <= 0) return;
        await changed(readers.size === 0 ? leftMs : undefined);
      }
    },

    release() {
      holds = false;
      wake();
    },

    async finish() {
      await log.finish();
      finished = true;
      wake();
    },

    read(from) {
      const reader = { position: from };
      let next = from;
      let closed = false;
      readers.add(reader);
      return {
        async next(wait = true) {
          // What was handed out before has been taken: whoever asks for more has room.
          reader.position = next;
          wake();
          while (!closed) {
            const isLast = finished;
            const page = await log.read(next);
            const moved = page.next !== next;
            next = page.next;
            if (page.chunks.length > 0 || page.cutBytes > 0) return page;
            if (moved) continue;
            if (isLast || !wait) return undefined;
            if (!finished && !closed && log.end <= next) await changed();
          }
          return undefined;
        },
        close() {
          if (closed) return;
          closed = true;
          readers.delete(reader);
          leftAt = reader.position;
          waitUntilMs = clock.monotonicMs() + HOLD_MS;
          wake();
        },
      };
    },
  };
}
