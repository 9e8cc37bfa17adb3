/** A job's specification as a file: every fault with its path and its line. YAML; JSON is YAML too. */
import { LineCounter, isNode, isPair, parseDocument, type Document } from 'yaml';
import { errorMessage } from '../errors.js';
import { checkJobSpec, formatPath } from './job-spec-faults.js';
import type { JobSpecResource } from './job-spec.js';

export interface SpecFault {
  /** `tasks[0].config.command`; empty for the whole. */
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

export type ReadSpec =
  | {
      readonly kind: 'ok';
      readonly spec: JobSpecResource;
      readonly value: unknown;
      /** Of a path as faults name it. */
      lineOf(path: string): number;
    }
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
  const line = (path: readonly (string | number)[]): number => lineOf(document, path, lines);
  const checked = checkJobSpec(value);
  if (checked.kind === 'ok')
    return { kind: 'ok', spec: checked.spec, value, lineOf: (path) => line(parsePath(path)) };
  const faults = checked.faults.map(({ path, message }) => ({
    path: formatPath(path),
    line: line(path),
    message,
  }));
  return { kind: 'faulty', faults: faults.sort((one, other) => one.line - other.line) };
}

/** The other way round of `formatPath`. */
const parsePath = (path: string): (string | number)[] =>
  [...path.matchAll(/\[(\d+)\]|[^.[\]]+/g)].map(([key, index]) =>
    index === undefined ? key : Number(index),
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
