/**
 * A log that may be refused by its disk (full, or failing): what must not be lost is kept in memory, in its order, and written
 * when there is space again. Nothing is ever written before what came before it.
 */
import { isSystemError } from '../host/system-error.js';
import type { LogFile } from './log-file.js';

/** @typeParam T what is written; `W`: those of them that may wait */
export interface PatientLog<T, W extends T> {
  /** @returns true = on disk, with all that waited before it; false = refused by the disk, and forgotten */
  offer(entry: T): boolean;
  /** @returns true = on disk; false = it waits */
  keep(entry: W): boolean;
  /** Tries to write what waits. @returns true = nothing waits any more */
  retry(): boolean;
  /** Gives up what waits, if this says so. */
  giveUp(which: (entry: W) => boolean): void;
  /** What is refused, oldest first. */
  readonly waiting: readonly W[];
  /** Why the disk refused the last time; undefined = nothing waits and nothing was refused since. */
  readonly refusal: string | undefined;
  /**
   * Puts `entries` in place of everything, if the log has more than `maxLength` lines. If the disk has no space for that, the
   * log stays as it is, and it is tried again when it has grown by a tenth.
   */
  compact(maxLength: number, entries: () => readonly T[]): void;
}

/** @param log undefined keeps nothing, and refuses nothing */
export function createPatientLog<T, W extends T = T>(log: LogFile<unknown> | undefined): PatientLog<T, W> {
  let waiting: W[] = [];
  let refusal: string | undefined;
  let compactAgainAt = 0;

  function write(entry: T): boolean {
    try {
      log?.append(entry);
      return true;
    } catch (error) {
      refusal = diskFault(error);
      return false;
    }
  }

  function retry(): boolean {
    let written = 0;
    for (const entry of waiting) {
      if (!write(entry)) break;
      written += 1;
    }
    if (written > 0) waiting = waiting.slice(written);
    if (waiting.length === 0) refusal = undefined;
    return waiting.length === 0;
  }

  const offer = (entry: T): boolean => retry() && write(entry);

  return {
    offer,
    keep(entry) {
      if (offer(entry)) return true;
      waiting.push(entry);
      return false;
    },
    retry,
    giveUp(which) {
      waiting = waiting.filter((entry) => !which(entry));
    },
    get waiting() {
      return waiting;
    },
    get refusal() {
      return refusal;
    },
    compact(maxLength, entries) {
      if (log === undefined || log.length <= Math.max(maxLength, compactAgainAt) || waiting.length > 0)
        return;
      try {
        log.replace(entries());
        compactAgainAt = 0;
      } catch (error) {
        diskFault(error);
        compactAgainAt = Math.ceil(log.length * 1.1);
      }
    },
  };
}

/**
 * What the system says of a disk that does not take a write.
 * @throws the error, if it is no fault of the system
 */
function diskFault(error: unknown): string {
  if (isSystemError(error)) return error.message;
  throw error;
}
