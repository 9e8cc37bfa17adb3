import { closeSync, fdatasyncSync, openSync, renameSync, writeSync } from 'node:fs';

/** Puts the content in the file's place, at once or not at all; readable by this user only. */
export function writeFileDurably(file: string, content: string): void {
  const temporary = `${file}.tmp`;
  const descriptor = openSync(temporary, 'w', 0o600);
  try {
    writeSync(descriptor, content);
    fdatasyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, file);
}
