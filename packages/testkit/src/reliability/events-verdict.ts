/** Is every event that a VM journaled in the store, once, in its order? By the API, and by the files. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { EventResource } from '@mig/common/api/history-resource';
import type { Control } from './ground.js';
import { verdict, type Figure, type Verdict } from './part.js';
import { eventKey, type WitnessLog } from './witness-log.js';

/** What the controller has of the events of each VM. */
export type StoredEvents = ReadonlyMap<string, readonly EventResource[]>;

export async function readStoredEvents(control: Control, vmIds: readonly string[]): Promise<StoredEvents> {
  const stored = new Map<string, readonly EventResource[]>();
  for (const vmId of vmIds) {
    const events = await control.api.events(vmId);
    stored.set(
      vmId,
      events.filter((event) => event.via !== 'controller'),
    );
  }
  return stored;
}

/** Events that were journaled and are not stored, in words. */
export function missingEvents(logs: readonly WitnessLog[], stored: StoredEvents): string[] {
  return logs.flatMap(({ vmId, events }) => {
    const there = new Set((stored.get(vmId) ?? []).map((event) => eventKey(event.boot_id, event.sequence)));
    return [...events]
      .filter(([key]) => !there.has(key))
      .map(([key, type]) => `${vmId}: ${type} (boot ${key}) is not stored`);
  });
}

/** @param dataDirectory of a controller that has ended in order: what is in its files is compared too */
export function judgeEvents(
  logs: readonly WitnessLog[],
  stored: StoredEvents,
  dataDirectory: string,
): { readonly figures: readonly Figure[]; readonly verdicts: readonly Verdict[] } {
  const doubled: string[] = [];
  const disordered: string[] = [];
  const files: string[] = [];
  for (const { vmId } of logs) {
    const events = stored.get(vmId) ?? [];
    const seen = new Set<string>();
    const lastOfBoot = new Map<string, number>();
    for (const { boot_id: bootId, sequence, type } of events) {
      const key = eventKey(bootId, sequence);
      if (seen.has(key)) doubled.push(`${vmId}: ${type} (boot ${key}) is stored twice`);
      if (sequence < (lastOfBoot.get(bootId) ?? 0))
        disordered.push(`${vmId}: ${type} (boot ${key}) is stored too late`);
      seen.add(key);
      lastOfBoot.set(bootId, sequence);
    }
    files.push(...differences(vmId, seen, readEventFiles(path.join(dataDirectory, vmId))));
  }
  const journaled = logs.reduce((sum, log) => sum + log.events.size, 0);
  const missing = missingEvents(logs, stored);
  return {
    figures: [
      { name: 'events journaled by the VMs', value: journaled },
      { name: 'events lost', value: missing.length },
      { name: 'events stored twice', value: doubled.length },
    ],
    verdicts: [
      verdict('every event of a VM is stored', missing),
      verdict('no event is stored twice', doubled),
      verdict('events are stored in the order of their boot', disordered),
      verdict('the files of the events say the same as the API', files),
    ],
  };
}

function readEventFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => /^(grpc-)?event-.+\.json$/.test(name))
    .map((name) => JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as EventResource)
    .filter((event) => event.via !== 'controller')
    .map((event) => eventKey(event.boot_id, event.sequence));
}

function differences(vmId: string, api: ReadonlySet<string>, files: readonly string[]): string[] {
  const inFiles = new Set(files);
  return [
    ...(files.length === inFiles.size
      ? []
      : [`${vmId}: ${files.length - inFiles.size} events have two files`]),
    ...[...api].filter((key) => !inFiles.has(key)).map((key) => `${vmId}: event ${key} has no file`),
    ...files
      .filter((key) => !api.has(key))
      .map((key) => `${vmId}: event ${key} has a file and is not in the API`),
  ];
}
