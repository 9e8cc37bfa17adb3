/** What became of a task, as an exit code and in words. */
import type { TaskResource } from '@mig/common/api/task-resource';
import { EXIT } from '../errors.js';

/** Its time ran out, as `timeout` says it. */
const TIMED_OUT = 124;
/** It did not run, or nobody knows how it ended, as `ssh` says it. */
const NOT_KNOWN = 255;

/** The exit code of the command where it has one; 128 and its number if a signal ended it. */
export function exitCodeOf({ state, exit_code: code }: TaskResource): number {
  switch (state) {
    case 'completed':
      return code ?? EXIT.done;
    case 'timeout':
      return TIMED_OUT;
    case 'cancelled':
      return EXIT.interrupted;
    case 'failed':
      return code === undefined || code === 0 ? NOT_KNOWN : code;
    case 'created':
    case 'sent':
    case 'in_progress':
      return NOT_KNOWN;
  }
}

/** `exit code 3`, `SIGKILL`, `timeout: its time had run out`; for a task that completed, `ok`. */
export function outcomeText({ state, exit_code: code, signal, message }: TaskResource): string {
  const why = message === undefined || message === state ? '' : `: ${message}`;
  if (state === 'completed') return 'ok';
  if (state !== 'failed') return `${state}${why}`;
  if (signal !== undefined) return `ended by ${signal}${why}`;
  return code === undefined || code === 0 ? `failed${why}` : `exit code ${code}${why}`;
}
