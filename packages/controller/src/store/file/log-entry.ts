/**
 * A line of the write-ahead log: the checksum of what follows it, a space, the entry as JSON, a newline.
 *
 *   4f1c0d6e5a7b8c9d {"path":"vm-1/vm.json","content":"{…}"}
 *   0a1b2c3d4e5f6071 {"path":"vm-1/commands/cmd-1.json","removed":"file"}
 *   9e8d7c6b5a493827 {"path":"vm-1","removed":"tree"}
 */
import { hash } from 'node:crypto';

export type LogEntry =
  | { readonly path: string; readonly content: string; readonly removed?: undefined }
  /** `tree`: a directory with all that is in it. */
  | { readonly path: string; readonly removed: 'file' | 'tree' };

/** 64 bits: a line that was half written, or whose sectors are of different times, passes once in 2^64. */
const CHECKSUM_LENGTH = 16;

const checksum = (text: string): string => hash('sha256', text, 'hex').slice(0, CHECKSUM_LENGTH);

export function toLine(entry: LogEntry): string {
  const json = JSON.stringify(entry);
  return `${checksum(json)} ${json}\n`;
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
  return isEntry(entry) ? entry : undefined;
}

function isEntry(value: unknown): value is LogEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { path, content, removed } = value as Record<string, unknown>;
  if (typeof path !== 'string' || !isInside(path)) return false;
  return removed === undefined ? typeof content === 'string' : removed === 'file' || removed === 'tree';
}

/** Names below the data directory, never out of it (I10). */
const isInside = (path: string): boolean =>
  path.split('/').every((part) => part !== '' && part !== '.' && part !== '..') && !path.includes('\0');
