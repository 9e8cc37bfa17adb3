/**
 * The calm after a storm: nothing is broken any more and nothing new is asked, so everything must come to rest. Commands and
 * drains have ended, jobs too, every event is stored, and every VM is in service again, over one stream, with one runner.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { VmResource } from '@mig/common/api/vm-resource';
import { isFinal } from '@mig/common/domain/command-state';
import { errorMessage } from '@mig/common/errors';
import type { OperatorApi } from '../system/operator-api.js';
import { processesOf } from '../system/processes-of.js';
import type { Caller } from './caller.js';
import type { Standing } from './checks/fleet.js';
import { readDrains } from './gather.js';
import { unsentEvents } from './unsent-events.js';
import type { World } from './world.js';

export interface RestDeps {
  readonly world: World;
  /** An operator who gives up after so long. */
  readonly askFor: (deadlineMs: number) => OperatorApi;
  readonly caller: Caller;
  /** All VMs that there must be. */
  readonly vmIds: readonly string[];
  readonly signal: AbortSignal;
}

/** What is not at rest after this has no hope: it is longer than every time that our parts wait for each other. */
export const REST_DEADLINE_MS = 120_000;
const LOOK_MS = 300;
/** A VM that is still out of service is brought back again after this. */
const REVIVE_AGAIN_MS = 5_000;

/** @returns what is still not at rest at the deadline, in words; empty if all is well */
export async function comeToRest(deps: RestDeps): Promise<string[]> {
  const { signal } = deps;
  const api = deps.askFor(REST_DEADLINE_MS);
  const deadlineMs = performance.now() + REST_DEADLINE_MS;
  const revivedAtMs = new Map<string, number>();
  let quietLooks = 0;
  for (;;) {
    const unrest = await whatIsNotAtRest(deps, api, revivedAtMs).catch((error: unknown) => {
      signal.throwIfAborted();
      return [`the controller does not answer: ${errorMessage(error)}`];
    });
    quietLooks = unrest.length === 0 ? quietLooks + 1 : 0;
    if (quietLooks === 2) return [];
    if (performance.now() > deadlineMs) return unrest;
    await pause(LOOK_MS, undefined, { signal });
  }
}

async function whatIsNotAtRest(
  deps: RestDeps,
  api: OperatorApi,
  revivedAtMs: Map<string, number>,
): Promise<string[]> {
  const { world, caller, signal } = deps;
  const unrest: string[] = [];
  if (!caller.isIdle) unrest.push('a caller waits for an answer');
  const open: string[] = [];
  for (const state of ['queued', 'sent', 'received'] as const)
    for (const command of await api.commands({ state }))
      if (!isFinal(command.state))
        open.push(`${command.type} ${command.id} of ${command.vm_id} is ${command.state}`);
  unrest.push(...open);
  for (const drain of await readDrains(world.directUrl, signal))
    if (drain.finished_at === undefined) unrest.push(`drain ${drain.id} is ${drain.state}`);
  for (const job of world.github.jobs())
    if (job.status !== 'completed')
      unrest.push(`${job.name} is ${job.status} on ${job.runner_name ?? 'no runner'}`);

  const vms = new Map((await api.vms()).map((vm) => [vm.vm_id, vm]));
  for (const vmId of deps.vmIds) {
    const vm = vms.get(vmId);
    if (vm === undefined) unrest.push(`${vmId} is not known to the controller`);
    else if (!isInService(vm)) {
      unrest.push(`${vmId} is ${vm.state}, ${vm.link}, ${vm.liveness}`);
      if (open.length === 0 && vm.drain_id === undefined) revive(vm);
    }
  }
  for (const { vmId, stateDirectory } of world.vms) {
    const count = unsentEvents(stateDirectory);
    if (count > 0) unrest.push(`${count} events of ${vmId} are not acknowledged`);
  }
  const { streams, listeners } = standingOf(world);
  for (const [vmId, count] of streams) if (count !== 1) unrest.push(`${vmId} has ${count} streams`);
  for (const [vmId, count] of listeners)
    if (count !== 1) unrest.push(`${vmId} has ${count} runner processes`);
  return unrest;

  function revive({ vm_id: vmId, state, link }: VmResource): void {
    const nowMs = performance.now();
    if (state !== 'draining.drained' || link !== 'connected') return;
    if (nowMs - (revivedAtMs.get(vmId) ?? -Infinity) < REVIVE_AGAIN_MS) return;
    revivedAtMs.set(vmId, nowMs);
    void caller.submit({ vmId, type: 'undrain', parameters: { reason: 'the storm is over' } });
  }
}

const isInService = (vm: VmResource): boolean =>
  vm.state === 'ready.idle' && vm.link === 'connected' && vm.liveness === 'alive';

/** By the proxies and the processes of this machine. */
export const standingOf = (world: World): Standing => ({
  streams: new Map(world.vms.map(({ vmId, grpc }) => [vmId, grpc.openCount])),
  listeners: new Map(
    world.vms.map(({ vmId, runnerDirectory }) => [
      vmId,
      processesOf(runnerDirectory, 'Runner.Listener').length,
    ]),
  ),
});
