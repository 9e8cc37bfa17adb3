/** Reads a log that grows: every call gives the whole lines that came since the last. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** A line that is a JSON object, or (`text`) one that is not. */
export type LogLine =
  | { readonly kind: 'entry'; readonly entry: Readonly<Record<string, unknown>> }
  | { readonly kind: 'text'; readonly text: string };

export interface LogTail {
  read(): LogLine[];
}

export function createLogTail(file: string): LogTail {
  let offset = 0;
  return {
    read() {
      const fresh = readFrom(file, offset);
      offset += fresh.length;
      const lines = fresh.toString('utf8').split('\n');
      return lines.filter((line) => line.trim() !== '').map(parseLine);
    },
  };
}

function readFrom(file: string, offset: number): Buffer {
  const descriptor = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(Math.max(0, fstatSync(descriptor).size - offset));
    const count = readSync(descriptor, buffer, 0, buffer.length, offset);
    // What follows the end of the last line is read again when it is whole.
    const end = buffer.subarray(0, count).lastIndexOf(0x0a) + 1;
    return buffer.subarray(0, end);
  } finally {
    closeSync(descriptor);
  }
}

function parseLine(line: string): LogLine {
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry === 'object' && entry !== null)
      return { kind: 'entry', entry: entry as Readonly<Record<string, unknown>> };
  } catch {
    // Not JSON: what a process says in its last moment.
  }
  return { kind: 'text', text: line };
}
