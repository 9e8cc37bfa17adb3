/** What was promised of secrets (I8): none is in a file, but for the one place that is made for it. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { violations, type Violation } from '../evidence.js';

export interface SecretSearch {
  /** Folders that are searched, whole. */
  readonly folders: readonly string[];
  /** Files and folders where secrets belong. */
  readonly except: readonly string[];
  /** Each with what it is. */
  readonly secrets: ReadonlyMap<string, string>;
}

export function checkSecrets({ folders, except, secrets }: SecretSearch): Violation[] {
  const found: string[] = [];
  for (const file of folders.flatMap((folder) => filesBelow(folder, new Set(except)))) {
    const text = readFileSync(file, 'latin1');
    for (const [secret, what] of secrets) if (text.includes(secret)) found.push(`${file} holds a ${what}`);
  }
  return violations('no secret is in a log, a record or an event', found);
}

export function filesBelow(folder: string, except: ReadonlySet<string>): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    if (except.has(file)) return [];
    if (entry.isDirectory()) return filesBelow(file, except);
    return entry.isFile() ? [file] : [];
  });
}
