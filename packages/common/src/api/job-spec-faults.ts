/** What is wrong with the specification of a job: everything, also where one fault keeps the schema from looking at another. */
import type * as z from 'zod';
import { crossFaults, jobSpecSchema, type JobSpecResource } from './job-spec.js';

export interface SpecFaultAt {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

export type CheckedSpec =
  | { readonly kind: 'ok'; readonly spec: JobSpecResource }
  | { readonly kind: 'faulty'; readonly faults: readonly SpecFaultAt[] };

/** @param value as it was read from JSON or YAML */
export function checkJobSpec(value: unknown): CheckedSpec {
  const parsed = jobSpecSchema.safeParse(value);
  if (parsed.success) return { kind: 'ok', spec: parsed.data };
  // The schema looks at what concerns several fields only when each is right by itself.
  const all = [...parsed.error.issues.flatMap((issue) => toFaults(issue, value)), ...crossFaults(value)];
  const byText = new Map(all.map((fault) => [JSON.stringify(fault), fault]));
  return { kind: 'faulty', faults: [...byText.values()] };
}

/** `tasks[0].config.command` */
export const formatPath = (path: readonly (string | number)[]): string =>
  path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? key : `${text}.${key}`),
    '',
  );

function toFaults(issue: z.core.$ZodIssue, value: unknown): SpecFaultAt[] {
  const path = issue.path.filter((key) => typeof key !== 'symbol');
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: [...path, key], message: 'there is no such field' }));
  return [{ path, message: messageOf(issue, valueAt(value, path)) }];
}

const TYPES: Readonly<Record<string, string>> = {
  array: 'a list',
  object: 'fields with values',
  record: 'fields with values',
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
};

function messageOf(issue: z.core.$ZodIssue, found: unknown): string {
  const expected =
    issue.code === 'invalid_type' && issue.message.startsWith('Invalid input')
      ? `expected ${TYPES[issue.expected] ?? issue.expected}`
      : issue.message;
  return found === undefined ? `it is missing (${expected})` : expected;
}

const valueAt = (value: unknown, path: readonly (string | number)[]): unknown =>
  path.reduce<unknown>(
    (part, key) =>
      typeof part === 'object' && part !== null && Object.hasOwn(part, key)
        ? (part as Record<string | number, unknown>)[key]
        : undefined,
    value,
  );
