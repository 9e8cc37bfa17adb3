/**
 * What the runner's hooks say of a job: lines of JSON that a hook appends to a file when a job starts and when its
 * steps are done. Hints: any job can write this file, or keep its hook from running (github-facts 1.9), so what it says is
 * checked, describes a job that is known by other means, and decides nothing.
 */
import { statSync, truncateSync } from 'node:fs';
import * as z from 'zod';
import { isSystemError } from '../host/system-error.js';
import { tailFile, type Tail } from './tail.js';

/** A longer file says nothing that a hook would: it is emptied, unread. */
const MAX_BYTES = 2 ** 20;
/** Longest line that is read: the fields have bounds of their own, at GitHub. */
const MAX_LENGTH = 8 * 1024;

const text = (maxLength: number) => z.string().max(maxLength).catch('');
const digits = z
  .union([z.string(), z.number()])
  .transform(String)
  .pipe(z.string().regex(/^\d{1,20}$/))
  .catch('');
const HINT = z.object({
  hook: z.enum(['started', 'completed']),
  /** Milliseconds since 1970, or RFC 3339; 0 = not said. */
  at: z
    .union([z.number(), z.string()])
    .transform((value) => (typeof value === 'number' ? value : Date.parse(value)))
    .pipe(z.number())
    .catch(0),
  repository: z
    .string()
    .max(256)
    .regex(/^[\w.-]+\/[\w.-]+$/)
    .catch(''),
  run_id: digits,
  run_attempt: digits,
  sha: z
    .string()
    .regex(/^[0-9a-f]{40,64}$/)
    .catch(''),
  ref_name: text(512),
  runner_name: text(256),
});

export interface JobHint {
  readonly hook: 'started' | 'completed';
  /** By the VM's clock, milliseconds since 1970; 0 = not said. */
  readonly at: number;
  /** What the hook knew: empty where it knew nothing, or nothing that can be. */
  readonly facts: JobFacts;
  readonly runnerName: string;
}

export interface JobFacts {
  readonly repository: string;
  readonly runId: string;
  readonly runAttempt: string;
  readonly commit: string;
  readonly branch: string;
}

/** @returns undefined for a line that is no hint */
export function parseJobHint(line: string): JobHint | undefined {
  if (line.length > MAX_LENGTH) return undefined;
  let said: unknown;
  try {
    said = JSON.parse(line);
  } catch {
    return undefined;
  }
  const { data } = HINT.safeParse(said);
  if (data === undefined) return undefined;
  return {
    hook: data.hook,
    at: data.at,
    facts: {
      repository: data.repository,
      runId: data.run_id,
      runAttempt: data.run_attempt,
      commit: data.sha,
      branch: data.ref_name,
    },
    runnerName: data.runner_name,
  };
}

export interface HintTail {
  /** Reads what has come. */
  read(): void;
  stop(): void;
}

/**
 * Follows the hooks' file. It is read when it is asked for, and only then. Any job may have put anything in its place: what
 * cannot be read says nothing more.
 */
export function tailHints(file: string, onHint: (hint: JobHint) => void): HintTail {
  let tail: Tail | undefined;
  const attempt = (deed: () => void): void => {
    try {
      deed();
    } catch (error) {
      if (!isSystemError(error)) throw error;
      tail?.stop();
      tail = undefined;
    }
  };
  attempt(() => {
    tail = tailFile(
      file,
      (line) => {
        const hint = parseJobHint(line);
        if (hint !== undefined) onHint(hint);
      },
      { manual: true },
    );
  });
  return {
    read: () =>
      attempt(() => {
        if (tail === undefined) return;
        if (statSync(file).size > MAX_BYTES) tail.discard();
        else tail.read();
      }),
    stop: () => tail?.stop(),
  };
}

/** What is there was said of earlier runners. A file that is not there stays so. */
export function discardHints(file: string): void {
  try {
    truncateSync(file);
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
}
