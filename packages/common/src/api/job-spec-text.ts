/** A job's specification as a file: every fault with its path and its line. YAML; JSON is YAML too. */
import { LineCounter, isNode, isPair, parseDocument, type Document } from 'yaml';
import type * as z from 'zod';
import { errorMessage } from '../errors.js';
import { jobSpecSchema, type JobSpecResource } from './job-spec.js';

export interface SpecFault {
  /** `tasks[0].config.command`; empty for the whole. */
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

export type ReadSpec =
  | { readonly kind: 'ok'; readonly spec: JobSpecResource; readonly value: unknown }
  | { readonly kind: 'faulty'; readonly faults: readonly SpecFault[] };

export function readJobSpec(text: string): ReadSpec {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0) {
    const faults = document.errors.map((error) => ({
      path: '',
      line: lines.linePos(error.pos[0]).line,
      message: error.message.split('\n', 1)[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? '',
    }));
    return { kind: 'faulty', faults };
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    // Aliases that would make much of little.
    return { kind: 'faulty', faults: [{ path: '', line: 1, message: errorMessage(error) }] };
  }
  if (value === null || value === undefined)
    return { kind: 'faulty', faults: [{ path: '', line: 1, message: 'it is empty' }] };
  const parsed = jobSpecSchema.safeParse(value);
  if (parsed.success) return { kind: 'ok', spec: parsed.data, value };
  const faults = parsed.error.issues.flatMap((issue) => toFaults(issue, document, lines));
  return { kind: 'faulty', faults: [...faults].sort((a, b) => a.line - b.line) };
}

function toFaults(issue: z.core.$ZodIssue, document: Document, lines: LineCounter): SpecFault[] {
  const path = issue.path.filter((key) => typeof key !== 'symbol');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: formatPath([...path, key]),
      line: lineOf(document, [...path, key], lines),
      message: 'there is no such field',
    }));
  }
  return [{ path: formatPath(path), line: lineOf(document, path, lines), message: messageOf(issue) }];
}

function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type' && issue.input === undefined) return `it is missing (${issue.message})`;
  return issue.message;
}

export const formatPath = (path: readonly (string | number)[]): string =>
  path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? key : `${text}.${key}`),
    '',
  );

/** The line of the value, or of the nearest thing around it that is there. */
function lineOf(document: Document, path: readonly (string | number)[], lines: LineCounter): number {
  for (let length = path.length; length >= 0; length -= 1) {
    const part = path.slice(0, length);
    const key = part.at(-1);
    const parent: unknown = length === 0 ? undefined : document.getIn(part.slice(0, -1), true);
    // A key has a line of its own, also where its value is on the next.
    if (typeof key === 'string' && typeof parent === 'object' && parent !== null && 'items' in parent) {
      const pair = (parent.items as unknown[]).find(
        (item) => isPair(item) && isNode(item.key) && String(item.key) === key,
      );
      if (isPair(pair) && isNode(pair.key) && pair.key.range) return lines.linePos(pair.key.range[0]).line;
      continue;
    }
    const node: unknown = length === 0 ? document.contents : document.getIn(part, true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}
