/**
 * Whether anything can be stored now. A write that fails is told as `StoreUnavailableError`; from then until one succeeds,
 * or a probe does, the store has a problem: streams live on, and the controller is not ready.
 */
import type { Clock } from '@mig/common/clock';
import { errorMessage } from '@mig/common/errors';
import type { Logger } from '@mig/common/logger';
import { StoreUnavailableError } from '../store.js';

/** While there is a problem, a probe is written this often, so that it ends by itself though nobody writes. */
const PROBE_MS = 2_000;

export interface WriteGuard {
  /**
   * Rejects with StoreUnavailableError if the operation fails, and after `close`.
   *
   * @param what names it, if it fails: of what is done thousands of times a second most does not
   * @param undo called if it fails, before that is told
   */
  run<T>(what: () => string, operation: () => Promise<T>, undo?: () => void): Promise<T>;
  problem(): string | undefined;
  /** From now on nothing is written. */
  close(): void;
}

export interface WriteGuardDeps {
  readonly probe: () => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createWriteGuard({ probe, clock, logger }: WriteGuardDeps): WriteGuard {
  /** Why the last write failed; undefined after one that did not. */
  let problem: string | undefined;
  let failures = 0;
  let probeTimer: unknown;
  let closed = false;

  function failed(message: string): void {
    failures += 1;
    if (problem === undefined) logger.error({ reason: message }, 'nothing can be stored');
    problem = message;
    if (probeTimer === undefined && !closed) probeTimer = clock.setTimer(() => void tryAgain(), PROBE_MS);
  }

  function succeeded(): void {
    if (problem !== undefined) logger.info({}, 'it can be stored again');
    problem = undefined;
  }

  async function tryAgain(): Promise<void> {
    const before = failures;
    try {
      if (problem !== undefined) await probe();
      probeTimer = undefined;
      // A write that failed while the probe was on its way knows better.
      if (failures === before) succeeded();
      else failed(problem ?? '');
    } catch (error) {
      probeTimer = undefined;
      failed(problem ?? errorMessage(error));
    }
  }

  function toUnavailable(what: string, error: unknown): StoreUnavailableError {
    const unavailable = new StoreUnavailableError(what, error);
    failed(unavailable.message);
    return unavailable;
  }

  const closedError = (what: string): StoreUnavailableError =>
    new StoreUnavailableError(what, new Error('the store is closed'));

  return {
    run(what, operation, undo) {
      if (closed) {
        undo?.();
        return Promise.reject(closedError(what()));
      }
      return operation().then(
        (result) => {
          succeeded();
          return result;
        },
        (error: unknown) => {
          undo?.();
          throw toUnavailable(what(), error);
        },
      );
    },

    problem: () => problem,

    close() {
      closed = true;
      clock.clearTimer(probeTimer);
    },
  };
}
