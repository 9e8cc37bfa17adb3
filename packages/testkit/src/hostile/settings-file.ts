/** What a process of this measurement is told. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Ground } from '../reliability/ground.js';
import type { AttackerSettings } from './attacker/attacker-main.js';
import type { HonestSettings } from './honest/honest-main.js';

/** Settings hold tokens: nobody else may read them. */
export function writeSettings(
  ground: Ground,
  name: string,
  settings: HonestSettings | AttackerSettings,
): string {
  const file = path.join(ground.folder, `${name}.json`);
  writeFileSync(file, JSON.stringify(settings), { mode: 0o600 });
  return file;
}
