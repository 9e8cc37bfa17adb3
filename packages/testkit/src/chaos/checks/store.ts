/** What the files say when the controller has ended in order: the same that its API said last. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { CommandResource } from '@mig/common/api/command-resource';
import type { EventResource } from '@mig/common/api/history-resource';
import { violations, type Violation } from '../evidence.js';

export interface StoreEvidence {
  /** The data directory of a controller that has ended. */
  readonly directory: string;
  /** By its API, before its end. */
  readonly commands: readonly CommandResource[];
  readonly events: ReadonlyMap<string, readonly EventResource[]>;
}

export function checkStore({ directory, commands, events }: StoreEvidence): Violation[] {
  const wrong: string[] = [];
  const keys = new Map<string, string>();
  for (const command of commands) {
    const file = path.join(directory, command.vm_id, 'commands', `${command.id}.json`);
    const stored = readJson(file);
    if (stored?.['state'] !== command.state)
      wrong.push(`${file} says ${text(stored?.['state'])}; the API said ${command.state}`);
    const key = `${command.vm_id} ${text(stored?.['idempotency_key'])}`;
    const other = keys.get(key);
    if (stored?.['idempotency_key'] !== undefined && other !== undefined)
      wrong.push(`${command.id} and ${other} have one key, ${key}`);
    keys.set(key, command.id);
  }
  const missing: string[] = [];
  for (const [vmId, told] of events) {
    const ids = new Set(
      readdirSync(path.join(directory, vmId)).flatMap(
        (name) => /-(\d{8}T\d{6}\.\d{6}Z)\.json$/.exec(name)?.[1] ?? [],
      ),
    );
    for (const event of told)
      if (!ids.has(event.id)) missing.push(`${vmId}: ${event.type} ${event.id} was shown, and has no file`);
  }
  return [
    ...violations('a command is in its file as it was told', wrong),
    ...violations('an event that was shown has a file', missing),
  ];
}

const text = (value: unknown): string => (typeof value === 'string' ? value : 'nothing');

function readJson(file: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
