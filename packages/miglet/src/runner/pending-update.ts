/**
 * The runner updates itself: it ended for that, and a script of its own moves its folders about and then writes `update.finished`
 * (actions/runner, run-helper.sh.template). Nothing may be installed, configured or started there meanwhile.
 *
 * That it goes on is noted in the state folder (`update-pending`), so that the next process of the MIGlet knows it, too. How long
 * it may take is counted by the monotonic clock of whoever waits, from when it first saw the note: a MIGlet that was killed
 * waits for its whole time again, and a clock that is set does not matter.
 */
import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import { ok, retryable, type Outcome } from '@mig/common/outcome';
import { isSystemError } from '../host/system-error.js';
import { writeFileDurably } from '../host/write-file.js';

export interface PendingUpdate {
  /** The runner ended to be updated. */
  begin(): void;
  /** Has it ended, or may it take no longer? Then it is forgotten, and so is the file that said so. True if there is none. */
  isOver(): boolean;
  /** Nobody carries it out any more. */
  forget(): void;
  /** Before the runner is started: a file of an earlier update must not be taken for the end of its next. */
  discardFinished(): void;
  /** Resolves when it is over; `retryable` if it is given up before. */
  wait(signal: AbortSignal): Promise<Outcome<void>>;
}

export interface PendingUpdateDeps {
  /** `runner.dir`. */
  readonly directory: string;
  readonly stateDirectory: string;
  /** `runner.update_timeout`. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

const FINISHED = 'update.finished';
const NOTE = 'update-pending';
const LOOK_MS = 500;

export function createPendingUpdate(deps: PendingUpdateDeps): PendingUpdate {
  const { clock, logger, timeoutMs } = deps;
  const note = path.join(deps.stateDirectory, NOTE);
  const finished = path.join(deps.directory, FINISHED);
  /** By the monotonic clock; undefined = this process has not seen it. */
  let sinceMs: number | undefined;

  function remove(file: string): void {
    try {
      // A job may have made a folder of that name.
      rmSync(file, { recursive: true, force: true });
    } catch (error) {
      if (!isSystemError(error)) throw error;
      logger.warn({ file, reason: error.message }, 'a file that says how an update goes cannot be removed');
    }
  }

  function forget(): void {
    sinceMs = undefined;
    remove(note);
  }

  function isOver(): boolean {
    if (sinceMs === undefined && !existsSync(note)) return true;
    sinceMs ??= clock.monotonicMs();
    const done = existsSync(finished);
    if (!done && clock.monotonicMs() - sinceMs < timeoutMs) return false;
    if (done) remove(finished);
    else
      logger.error(
        { event: 'update_timeout', reason: `no ${finished}` },
        'the update of the runner did not end in time: the runner is used as it is',
      );
    forget();
    return true;
  }

  return {
    begin() {
      sinceMs = clock.monotonicMs();
      try {
        writeFileDurably(note, '');
      } catch (error) {
        if (!isSystemError(error)) throw error;
        logger.error(
          { event: 'note_refused', file: note, reason: error.message },
          'that the runner is being updated was not noted: a MIGlet that is started meanwhile does not wait for it',
        );
      }
    },
    isOver,
    forget,
    discardFinished: () => remove(finished),
    async wait(signal) {
      if (isOver()) return ok(undefined);
      logger.warn({ event: 'update_pending' }, 'the runner is being updated: its end is waited for');
      while (!isOver()) {
        try {
          await pause(LOOK_MS, undefined, { signal });
        } catch {
          return retryable('the runner is being updated, and its end was not waited for any more');
        }
      }
      return ok(undefined);
    },
  };
}
