/**
 * A line of the write-ahead log: the checksum of what follows it, a space, the entry as JSON, a newline.
 *
 *   4f1c0d6e5a7b8c9d {"path":"vm-1/vm.json","json":{…}}
 *   51c2e97b3d80a6f4 {"path":"vm-1/notes.txt","content":"…"}
 *   0a1b2c3d4e5f6071 {"path":"vm-1/commands/cmd-1.json","removed":"file"}
 *   9e8d7c6b5a493827 {"path":"vm-1","removed":"tree"}
 */
import { hash } from 'node:crypto';
import { toJson } from './to-json.js';

/** What a file is to hold: a text; or a record, as JSON without spaces: a text within JSON is half as long again. */
export type FileContent = string | { readonly json: string };

/** The text that the file holds. */
export const textOf = (content: FileContent): string =>
  typeof content === 'string' ? content : toJson(JSON.parse(content.json));

export type LogEntry =
  | { readonly path: string; readonly content: FileContent; readonly removed?: undefined }
  /** `tree`: a directory with all that is in it. */
  | { readonly path: string; readonly removed: 'file' | 'tree' };

/** 64 bits: a line that was half written, or whose sectors are of different times, passes once in 2^64. */
const CHECKSUM_LENGTH = 16;

const checksum = (text: string): string => hash('sha256', text, 'hex').slice(0, CHECKSUM_LENGTH);

export function toLine(entry: LogEntry): string {
  const json = toText(entry);
  return `${checksum(json)} ${json}\n`;
}

function toText(entry: LogEntry): string {
  if (entry.removed !== undefined || typeof entry.content === 'string') return JSON.stringify(entry);
  return `{"path":${JSON.stringify(entry.path)},"json":${entry.content.json}}`;
}

/** The entry of a line without its newline, or undefined if the line is torn or foreign. */
export function parseLine(line: string): LogEntry | undefined {
  const json = line.slice(CHECKSUM_LENGTH + 1);
  if (line[CHECKSUM_LENGTH] !== ' ' || line.slice(0, CHECKSUM_LENGTH) !== checksum(json)) return undefined;
  let entry: unknown;
  try {
    entry = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (!isEntry(entry)) return undefined;
  return 'json' in entry ? { path: entry.path, content: { json: JSON.stringify(entry.json) } } : entry;
}

function isEntry(value: unknown): value is LogEntry | { readonly path: string; readonly json: unknown } {
  if (typeof value !== 'object' || value === null) return false;
  const { path, content, removed } = value as Record<string, unknown>;
  if (typeof path !== 'string' || !isInside(path)) return false;
  if ('json' in value) return content === undefined && removed === undefined;
  return removed === undefined ? typeof content === 'string' : removed === 'file' || removed === 'tree';
}

/** Names below the data directory, never out of it (I10). */
const isInside = (path: string): boolean =>
  path.split('/').every((part) => part !== '' && part !== '.' && part !== '..') && !path.includes('\0');
