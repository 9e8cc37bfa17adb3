/** A file of JSON lines for what somebody saw: whole lines survive `kill -9` of the writer, a torn last one is passed over. */
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';

export interface JsonLines<T> {
  /** Handed to the kernel when it returns: a killed writer loses nothing (a machine that fails may). */
  write(entry: T): void;
  close(): void;
}

/** Makes the folder if it is missing; what is in the file stays. */
export function openJsonLines<T>(file: string): JsonLines<T> {
  mkdirSync(path.dirname(file), { recursive: true });
  const descriptor = openSync(file, 'a', 0o600);
  // A line that an earlier writer was killed in ends here.
  writeSync(descriptor, '\n');
  return {
    write: (entry) => void writeSync(descriptor, `${JSON.stringify(entry)}\n`),
    close: () => closeSync(descriptor),
  };
}

/** What is in the file, in order; nothing if there is none. */
export function readJsonLines<T>(file: string): T[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const entries: T[] = [];
  for (const line of text.split('\n')) {
    try {
      if (line !== '') entries.push(JSON.parse(line) as T);
    } catch {
      // Its writer was killed in the middle of it.
    }
  }
  return entries;
}
