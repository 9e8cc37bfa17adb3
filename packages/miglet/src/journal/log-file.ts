/** An append-only file of JSON lines. A line that a crash tore off is dropped when the file is read again. */
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';

export interface LogFile<T> {
  /** On disk when it returns. */
  append(entry: T): void;
  /** Puts these entries in place of all others, at once or not at all. */
  replace(entries: readonly T[]): void;
  /** Entries in the file, since it was opened or replaced. */
  readonly length: number;
  close(): void;
}

/** @returns the file, and the entries that were in it */
export function openLogFile<T>(file: string): { readonly log: LogFile<T>; readonly entries: readonly T[] } {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const entries = readEntries<T>(file);
  let descriptor = rewrite(file, entries);
  let length = entries.length;
  return {
    entries,
    log: {
      append(entry) {
        writeSync(descriptor, `${JSON.stringify(entry)}\n`);
        fdatasyncSync(descriptor);
        length += 1;
      },
      replace(next) {
        const before = descriptor;
        descriptor = rewrite(file, next);
        closeSync(before);
        length = next.length;
      },
      get length() {
        return length;
      },
      close: () => closeSync(descriptor),
    },
  };
}

function readEntries<T>(file: string): T[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const entries: T[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    try {
      entries.push(JSON.parse(line) as T);
    } catch {
      // Torn by a crash in the middle of a write: it was never acted upon.
      break;
    }
  }
  return entries;
}

/** Writes a new file beside the old one and puts it in its place. @returns it, open for appending */
function rewrite(file: string, entries: readonly unknown[]): number {
  const temporary = `${file}.tmp`;
  const descriptor = openSync(temporary, 'w', 0o600);
  writeSync(descriptor, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
  fdatasyncSync(descriptor);
  renameSync(temporary, file);
  const directory = openSync(path.dirname(file), 'r');
  fsyncSync(directory);
  closeSync(directory);
  return descriptor;
}
