/** Files that were made or written anew since a time. */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';

/** @param since milliseconds since 1970. A file that went away meanwhile does not count; a folder that is not there has none */
export function writtenSince(folder: string, since: number): number {
  let count = 0;
  for (const entry of entriesOf(folder)) {
    const name = path.join(folder, entry.name);
    if (entry.isDirectory()) count += writtenSince(name, since);
    else if ((statSync(name, { throwIfNoEntry: false })?.mtimeMs ?? 0) >= since) count += 1;
  }
  return count;
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}
