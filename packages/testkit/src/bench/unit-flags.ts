/** The flags of Node that a program is brought out with: those of its systemd unit, so that what is measured is what runs. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** @throws Error if the unit starts no such program with Node */
export function unitFlags(program: 'controller' | 'miglet'): string[] {
  const file = fileURLToPath(new URL(`../../../../config/${program}.service`, import.meta.url));
  return parseUnit(readFileSync(file, 'utf8'), `${program}.mjs`);
}

/** What is between `node` and the program in `ExecStart`. */
export function parseUnit(unit: string, program: string): string[] {
  const words = /^ExecStart=(.*)$/m.exec(unit)?.[1]?.split(/\s+/) ?? [];
  const programAt = words.findIndex((word) => word.endsWith(`/${program}`));
  if (programAt < 1 || words[0]?.endsWith('/node') !== true)
    throw new Error(`the unit has no ExecStart that runs ${program} with node`);
  return words.slice(1, programAt);
}
