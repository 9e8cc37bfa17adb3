import { closeSync, openSync, readSync } from 'node:fs';

/** Longer ones are read in several pieces. */
const PIECE_BYTES = 4_096;
const piece = Buffer.allocUnsafe(PIECE_BYTES);

/**
 * A file of /proc, whole. They are read every second, and have no size: readFileSync would make room for 64 KiB each time.
 *
 * @returns each byte as a character (latin1) @throws the file system's error
 */
export function readProcFile(file: string): string {
  const descriptor = openSync(file, 'r');
  try {
    let text = '';
    for (let count = -1; count !== 0;) {
      count = readSync(descriptor, piece, 0, PIECE_BYTES, null);
      text += piece.toString('latin1', 0, count);
    }
    return text;
  } finally {
    closeSync(descriptor);
  }
}
