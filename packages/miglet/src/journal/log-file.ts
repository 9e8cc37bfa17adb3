/**
 * An append-only file of JSON lines, one object each.
 *
 * A line is in the file whole or not at all: one that could not be written to its end, or not be made durable (a full disk),
 * is cut off again before the next is written; one that a crash tore off is cut off when the file is opened.
 */
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';

export interface LogFile<T> {
  /**
   * On disk when it returns.
   * @throws the file system's error, with its `code`; the log is then as it was
   */
  append(entry: T): void;
  /**
   * Puts these entries in place of all others, at once or not at all.
   * @throws the file system's error, with its `code`; the log is then as it was
   */
  replace(entries: readonly T[]): void;
  /** Entries in the file, since it was opened or replaced. */
  readonly length: number;
  close(): void;
}

/**
 * @returns the file, and the entries that were in it; what is no entry (a torn line, an alien one) is left out, and taken
 * out of the file
 * @throws the file system's error if it cannot be read or written
 */
export function openLogFile<T>(file: string): { readonly log: LogFile<T>; readonly entries: readonly T[] } {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const { entries, byteLength, clean } = readEntries<T>(file);
  let descriptor = clean ? openSync(file, 'r+') : rewrite(file, linesOf(entries));
  let goodBytes = clean ? byteLength : Buffer.byteLength(linesOf(entries));
  /** What lies behind `goodBytes` is not ours. */
  let torn = false;
  let length = entries.length;

  function append(entry: T): void {
    const line = Buffer.from(`${JSON.stringify(entry)}\n`);
    if (torn) cut();
    torn = true;
    try {
      for (let written = 0; written < line.length;)
        written += writeSync(descriptor, line, written, line.length - written, goodBytes + written);
      fdatasyncSync(descriptor);
    } catch (error) {
      try {
        cut();
      } catch {
        // It is cut before the next line is written.
      }
      throw error;
    }
    torn = false;
    goodBytes += line.length;
    length += 1;
  }

  function cut(): void {
    ftruncateSync(descriptor, goodBytes);
    torn = false;
  }

  return {
    entries,
    log: {
      append,
      replace(next) {
        const before = descriptor;
        const text = linesOf(next);
        descriptor = rewrite(file, text);
        closeSync(before);
        goodBytes = Buffer.byteLength(text);
        torn = false;
        length = next.length;
      },
      get length() {
        return length;
      },
      close: () => closeSync(descriptor),
    },
  };
}

const linesOf = (entries: readonly unknown[]): string =>
  entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');

/** @returns also whether the file holds these entries and nothing else */
function readEntries<T>(file: string): {
  readonly entries: T[];
  readonly byteLength: number;
  readonly clean: boolean;
} {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      return { entries: [], byteLength: 0, clean: false };
    throw error;
  }
  const lines = content.toString('utf8').split('\n');
  // What follows the last line end was never finished.
  let clean = lines.pop() === '';
  const entries: T[] = [];
  for (const line of lines) {
    const entry = parseEntry(line);
    if (entry === undefined) clean = false;
    else entries.push(entry as T);
  }
  return { entries, byteLength: content.length, clean };
}

function parseEntry(line: string): unknown {
  try {
    const entry = JSON.parse(line) as unknown;
    return typeof entry === 'object' && entry !== null ? entry : undefined;
  } catch {
    return undefined;
  }
}

/** Writes a new file beside the old one and puts it in its place. @returns it, open for writing */
function rewrite(file: string, text: string): number {
  const temporary = `${file}.tmp`;
  const directory = openSync(path.dirname(file), 'r');
  try {
    const descriptor = openSync(temporary, 'w', 0o600);
    try {
      const content = Buffer.from(text);
      for (let written = 0; written < content.length;)
        written += writeSync(descriptor, content, written, content.length - written, written);
      fdatasyncSync(descriptor);
      renameSync(temporary, file);
    } catch (error) {
      closeSync(descriptor);
      rmSync(temporary, { force: true });
      throw error;
    }
    syncName(directory);
    return descriptor;
  } finally {
    closeSync(directory);
  }
}

/** The file has its place already: that this could not be made durable is no reason to go on with the one that has not. */
function syncName(directory: number): void {
  try {
    fsyncSync(directory);
  } catch {
    // A power cut may bring the old file back, with every fact that it had.
  }
}
