/**
 * Loads the configuration of a process: flags > environment > file > defaults.
 *
 * One zod schema says what is allowed. The names in the environment follow from it: PREFIX_ and the path of the key in
 * capitals, `grpc.port` of the controller is CONTROLLER_GRPC_PORT. All faults are reported at once, each with the place
 * it came from (file, line, key or variable), the value and what is allowed, before anything is opened.
 */
import { readFileSync } from 'node:fs';
import { LineCounter, isNode, parse, parseDocument, type Document } from 'yaml';
import * as z from 'zod';
import { MigError, errorMessage, printable } from '../errors.js';

/** The configuration is wrong; `faults` has one line for each fault. */
export class ConfigError extends MigError {
  constructor(readonly faults: readonly string[]) {
    super('bad-config', faults.join('\n'));
  }
}

export interface ConfigSources {
  /** `MIGLET`, `CONTROLLER`. */
  readonly envPrefix: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A YAML file. A file that is named must exist. */
  readonly file?: string;
  /** Values by path (`grpc.port`), as text or of the right type; they win. */
  readonly flags?: Readonly<Record<string, unknown>>;
  /** How the flag of a path is called, where it is not the path: `http.port` -> `http-port`. */
  readonly flagNames?: Readonly<Record<string, string>>;
}

export interface LoadedConfig<T> {
  readonly config: T;
  /** Variables that begin with the prefix and name no key: worth a warning, for they may be typos. */
  readonly unknownVariables: readonly string[];
}

type Path = readonly string[];

/** @throws ConfigError */
export function loadConfig<S extends z.ZodObject>(
  schema: S,
  sources: ConfigSources,
): LoadedConfig<z.infer<S>> {
  const file = readConfigFile(sources.file);
  const values = fillSections(schema, file.values);
  const origins = new Map<string, string>();
  const faults: string[] = [];

  const names = new Map(leaves(schema).map((leaf) => [variableName(sources.envPrefix, leaf.path), leaf]));
  const byKey = new Map([...names.values()].map((leaf) => [leaf.path.join('.'), leaf]));
  for (const [name, leaf] of names) {
    const text = sources.env[name];
    if (text === undefined) continue;
    assign(values, leaf.path, fromText(leaf.schema, text));
    origins.set(leaf.path.join('.'), name);
  }
  for (const [key, value] of Object.entries(sources.flags ?? {})) {
    if (value === undefined) continue;
    const leaf = byKey.get(key);
    assign(values, key.split('.'), typeof value === 'string' && leaf ? fromText(leaf.schema, value) : value);
    origins.set(key, `--${sources.flagNames?.[key] ?? key}`);
  }

  const parsed = schema.safeParse(values);
  if (!parsed.success) {
    for (const issue of parsed.error.issues)
      faults.push(...describeIssue(issue, values, schema, origins, file));
  }
  if (faults.length > 0 || !parsed.success) throw new ConfigError(faults);
  const unknownVariables = Object.keys(sources.env).filter(
    (name) => name.startsWith(`${sources.envPrefix}_`) && !names.has(name),
  );
  return { config: parsed.data, unknownVariables };
}

/** A section whose keys are all left out (`http:` and nothing below) has their defaults. */
function fillSections(
  schema: z.ZodObject,
  values: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const filled: Record<string, unknown> = { ...values };
  const shape: Record<string, z.ZodType> = schema.shape;
  for (const [key, inner] of Object.entries(shape)) {
    const section = unwrap(inner);
    if (!(section instanceof z.ZodObject) || !Object.hasOwn(filled, key)) continue;
    const value = filled[key];
    if (value === null) filled[key] = {};
    else if (typeof value === 'object' && !Array.isArray(value)) {
      filled[key] = fillSections(section, value as Record<string, unknown>);
    }
  }
  return filled;
}

/** Every key of a schema with the schema of its value, in order. */
export function leaves(schema: z.ZodObject, path: Path = []): { path: Path; schema: z.ZodType }[] {
  return Object.entries(schema.shape as Record<string, z.ZodType>).flatMap(([key, value]) => {
    const inner = unwrap(value);
    return inner instanceof z.ZodObject
      ? leaves(inner, [...path, key])
      : [{ path: [...path, key], schema: value }];
  });
}

export const variableName = (prefix: string, path: Path): string =>
  [prefix, ...path].map((part) => part.toUpperCase()).join('_');

function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return unwrap(schema.unwrap() as z.ZodType);
  }
  return schema;
}

/** A variable is text; a key may want a number, a boolean or a list. The text itself is tried first. */
function fromText(schema: z.ZodType, text: string): unknown {
  if (schema.safeParse(text).success) return text;
  if (unwrap(schema) instanceof z.ZodArray && !text.trim().startsWith('[')) {
    return text
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '');
  }
  try {
    return parse(text) as unknown;
  } catch {
    return text;
  }
}

function assign(values: Record<string, unknown>, path: Path, value: unknown): void {
  const [head, ...rest] = path;
  if (head === undefined) return;
  if (rest.length === 0) {
    values[head] = value;
    return;
  }
  const inner = values[head];
  const next = typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? { ...inner } : {};
  values[head] = next;
  assign(next, rest, value);
}

interface ConfigFile {
  readonly name: string | undefined;
  readonly values: Record<string, unknown>;
  /** `file:line:column` of a key; of its nearest parent if the key is not there. */
  position(path: Path): string;
}

function readConfigFile(name: string | undefined): ConfigFile {
  if (name === undefined) return { name, values: {}, position: () => '' };
  let text: string;
  try {
    text = readFileSync(name, 'utf8');
  } catch (error) {
    throw new ConfigError([`${name}: cannot be read (${errorMessage(error)})`]);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const syntaxFaults = document.errors.map((error) => {
    const at = lines.linePos(error.pos[0]);
    return `${name}:${at.line}:${at.col} ${error.message.split('\n', 1)[0] ?? ''}`;
  });
  if (syntaxFaults.length > 0) throw new ConfigError(syntaxFaults);
  const values = toValues(document, name);
  if (values !== null && (typeof values !== 'object' || Array.isArray(values))) {
    throw new ConfigError([
      `${name}:1:1 expected keys and values, got ${Array.isArray(values) ? 'a list' : typeof values}`,
    ]);
  }
  return {
    name,
    values: (values ?? {}) as Record<string, unknown>,
    position: (path) => `${name}:${positionOf(document, lines, path)}`,
  };
}

/** Aliases are followed here: one that leads nowhere, or a bomb of them, is a fault of the file. */
function toValues(document: Document, name: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 }) as unknown;
  } catch (error) {
    throw new ConfigError([`${name}:1:1 ${errorMessage(error)}`]);
  }
}

function positionOf(document: Document, lines: LineCounter, path: Path): string {
  for (let length = path.length; length > 0; length -= 1) {
    const pair = findPair(document, path.slice(0, length));
    if (pair !== undefined) {
      const at = lines.linePos(pair);
      return `${at.line}:${at.col}`;
    }
  }
  return '1:1';
}

/** Where the key of this path stands. */
function findPair(document: Document, path: Path): number | undefined {
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (typeof parent !== 'object' || parent === null || !('items' in parent)) return undefined;
  const last = path.at(-1);
  for (const item of parent.items as readonly { key?: unknown }[]) {
    if (isNode(item.key) && String(item.key) === last) return item.key.range?.[0];
  }
  const node = document.getIn(path, true);
  return isNode(node) ? node.range?.[0] : undefined;
}

function describeIssue(
  issue: z.core.$ZodIssue,
  values: Record<string, unknown>,
  schema: z.ZodObject,
  origins: ReadonlyMap<string, string>,
  file: ConfigFile,
): string[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(objectAt(schema, path)?.shape ?? {});
    return issue.keys.map(
      (key) =>
        `${where([...path, key], origins, file)}unknown key; allowed here: ${known.join(', ') || 'none'}`,
    );
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.map(
      (inner) =>
        `${where(path, origins, file)}${inner.message}, got the key ${printable(JSON.stringify(path.at(-1)), 80)}`,
    );
  }
  const value = valueAt(values, path);
  const got = value === undefined ? 'nothing' : printable(JSON.stringify(value), 80);
  return [`${where(path, origins, file)}${issue.message}, got ${got}`];
}

function where(path: Path, origins: ReadonlyMap<string, string>, file: ConfigFile): string {
  const key = path.join('.');
  // A list or a record comes from its source as a whole.
  const set = path
    .map((_, index) => path.slice(0, path.length - index).join('.'))
    .find((parent) => origins.has(parent));
  const origin = set === undefined ? undefined : origins.get(set);
  if (origin !== undefined) return origin.startsWith('--') ? `${origin}: ` : `${origin} (${key}): `;
  return file.name === undefined ? `${key}: ` : `${file.position(path)} ${key}: `;
}

function objectAt(schema: z.ZodObject, path: Path): z.ZodObject | undefined {
  let current: z.ZodType | undefined = schema;
  for (const key of path) {
    if (current instanceof z.ZodRecord) current = current.valueType as z.ZodType;
    else current = current instanceof z.ZodObject ? (current.shape[key] as z.ZodType | undefined) : undefined;
    if (current) current = unwrap(current);
  }
  return current instanceof z.ZodObject ? current : undefined;
}

const valueAt = (values: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined,
    values,
  );
