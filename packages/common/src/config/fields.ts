/** The kinds of value that the configuration of a process is made of. Each says in its error what is allowed. */
import * as z from 'zod';
import { ID_PATTERN } from '../domain/ids.js';
import { formatDuration, parseDuration } from './duration.js';

/** A duration, written `30s`; milliseconds inside. */
export function duration(defaultText: string, minMs: number, maxMs: number): z.ZodType<number> {
  const allowed = `expected a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}, such as ${defaultText}`;
  return z.preprocess(
    (value) => (value === undefined ? defaultText : value),
    z.union([z.string(), z.literal(0)], { error: allowed }).transform((value, context) => {
      const durationMs = parseDuration(String(value));
      if (durationMs === undefined || durationMs < minMs || durationMs > maxMs) {
        context.addIssue({ code: 'custom', message: allowed });
        return z.NEVER;
      }
      return durationMs;
    }),
  );
}

/** A TCP port; 0 = any free one. */
export const port = (defaultPort: number): z.ZodDefault<z.ZodInt> =>
  z
    .int('expected a port from 0 to 65535')
    .min(0, 'expected a port from 0 to 65535')
    .max(65_535, 'expected a port from 0 to 65535')
    .default(defaultPort);

export const integer = (defaultValue: number, min: number, max: number): z.ZodDefault<z.ZodInt> => {
  const allowed = `expected a whole number from ${min} to ${max}`;
  return z.int(allowed).min(min, allowed).max(max, allowed).default(defaultValue);
};

/** An id by the rule of domain/ids.ts. */
export const id = (): z.ZodString =>
  z
    .string('expected a text')
    .regex(ID_PATTERN, 'expected 1 to 63 of a-z A-Z 0-9 . _ - beginning with a letter or a digit');
