/** Collects what is known at a moment of rest. */
import path from 'node:path';
import type { DrainResource } from '@mig/common/api/drain-resource';
import type { EventResource } from '@mig/common/api/history-resource';
import type { WitnessedFact } from '../fleet/witness.js';
import { readJsonLines } from '../system/json-lines.js';
import type { OperatorApi } from '../system/operator-api.js';
import type { Caller } from './caller.js';
import type { Evidence } from './evidence.js';
import type { Faults } from './faults.js';
import type { ControllerHistory } from './controller-history.js';
import { simulatedVmIds } from './steps.js';
import type { Sampler } from './sampler.js';
import type { VmHistoryReader } from './vm-history.js';
import type { World } from './world.js';

export interface GatherDeps {
  readonly world: World;
  readonly askFor: (deadlineMs: number) => OperatorApi;
  readonly caller: Caller;
  readonly faults: Faults;
  readonly sampler: Sampler;
  readonly histories: readonly VmHistoryReader[];
  readonly controller: { read(): ControllerHistory };
  readonly simulatedCount: number;
  readonly signal: AbortSignal;
}

const DEADLINE_MS = 60_000;

export async function gather(deps: GatherDeps): Promise<Evidence> {
  const { world, caller, faults, sampler, simulatedCount, signal } = deps;
  const api = deps.askFor(DEADLINE_MS);
  const commands = await api.commands();
  sampler.see(commands);
  const vms = await api.vms();
  const events = new Map<string, EventResource[]>();
  for (const { vm_id: vmId } of vms) events.set(vmId, await api.events(vmId));
  return {
    toldCommands: caller.commands,
    toldDrains: caller.drains,
    queuedJobs: caller.jobs,
    complaints: caller.complaints,
    commands,
    drains: await readDrains(world.directUrl, signal),
    vms,
    events,
    histories: deps.histories.map((reader) => reader.read()),
    simulatedTaken: new Map(
      simulatedVmIds(simulatedCount).map((vmId) => [vmId, takenBy(world.witnessDirectory, vmId)]),
    ),
    jobs: world.github.jobs(),
    runners: world.github.runners(),
    sightings: sampler.sightings,
    lives: new Map(
      [
        world.controller,
        ...world.vms.map(({ service }) => service),
        ...(world.fleet ? [world.fleet] : []),
      ].map(({ name, lives }) => [name, lives]),
    ),
    injected: faults.injected,
    controllerTroubles: deps.controller.read().troubles,
  };
}

export async function readDrains(url: string, signal: AbortSignal): Promise<DrainResource[]> {
  const response = await fetch(`${url}/api/v1/drains?limit=10000`, { signal });
  return ((await response.json()) as { drains: DrainResource[] }).drains;
}

function takenBy(directory: string, vmId: string): string[] {
  return readJsonLines<WitnessedFact>(path.join(directory, `${vmId}.jsonl`)).flatMap((fact) =>
    fact.kind === 'taken' ? [fact.id] : [],
  );
}
