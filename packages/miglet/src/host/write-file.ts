import { closeSync, fdatasyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';

/**
 * Puts the content in the file's place, at once or not at all; readable by this user only.
 *
 * @throws the file system's error; the file is then as it was, and nothing is left beside it
 */
export function writeFileDurably(file: string, content: string): void {
  const temporary = `${file}.tmp`;
  const bytes = Buffer.from(content);
  const descriptor = openSync(temporary, 'w', 0o600);
  try {
    for (let written = 0; written < bytes.length;)
      written += writeSync(descriptor, bytes, written, bytes.length - written, written);
    fdatasyncSync(descriptor);
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
}
