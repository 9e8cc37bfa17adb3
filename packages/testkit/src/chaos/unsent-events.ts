/** What the journal of a MIGlet still holds for the controller: events that are written down and not acknowledged. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

interface Entry {
  readonly kind: string;
  readonly sequence?: number;
  readonly sequences?: readonly number[];
  readonly event?: { readonly sequence: number };
}

/** How many events of all boots are not acknowledged yet. */
export function unsentEvents(stateDirectory: string): number {
  const pending = new Set<string>();
  for (const name of namesIn(stateDirectory)) {
    if (!/^events-.+\.jsonl$/.test(name)) continue;
    for (const entry of entriesOf(path.join(stateDirectory, name))) {
      if (entry.event !== undefined) pending.add(`${name} ${entry.event.sequence}`);
      for (const sequence of entry.sequences ?? []) pending.delete(`${name} ${sequence}`);
      if (entry.kind !== 'acknowledged') continue;
      for (const key of pending)
        if (key.startsWith(name) && Number(key.split(' ')[1]) <= (entry.sequence ?? 0)) pending.delete(key);
    }
  }
  return pending.size;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // its MIGlet has not begun
  }
}

function entriesOf(file: string): Entry[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return []; // its boot has ended meanwhile
  }
  return text.split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as Entry];
    } catch {
      return []; // it is being written, or was torn by a crash
    }
  });
}
