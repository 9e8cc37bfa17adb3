/**
 * Looks at the system from outside all the time, as an operator would: what the API says of commands, drains and VMs, and what
 * the controller takes of the machine. What must never be seen, not even for a moment, is noted when it is.
 */
import type { CommandResource } from '@mig/common/api/command-resource';
import type { DrainResource } from '@mig/common/api/drain-resource';
import type { VmResource } from '@mig/common/api/vm-resource';
import { COMMAND_TRANSITIONS, isFinal, type CommandState } from '@mig/common/domain/command-state';
import { isDrainVmFinal } from '@mig/common/domain/drain';
import { phaseOf, VM_TRANSITIONS } from '@mig/common/domain/vm-state';
import { readUsage, type Usage } from './usage.js';

export interface Sightings {
  /** States that were seen after others that they cannot follow. */
  readonly illegalCommands: readonly string[];
  readonly illegalVms: readonly string[];
  /** Drains that were seen with more VMs under way than they may have. */
  readonly overDrained: readonly string[];
  /** Most VMs that were seen connected at a time. */
  readonly maxConnected: number;
  /** How often all was looked at. */
  readonly count: number;
  /** The largest that the controller was seen. */
  readonly peak: Usage;
}

export interface Sampler {
  readonly sightings: Sightings;
  /** These are the commands as they are now, all of them. */
  see(commands: readonly CommandResource[]): void;
  /** VMs that are connected, as of the last look; undefined while the controller does not answer. */
  readonly connected: number | undefined;
  stop(): void;
}

const LOOK_MS = 250;
const TIMEOUT_MS = 1_000;
const OPEN_STATES: readonly CommandState[] = ['queued', 'sent', 'received'];

export function createSampler(url: string, controllerPid: () => number | undefined): Sampler {
  const sightings = {
    illegalCommands: [] as string[],
    illegalVms: [] as string[],
    overDrained: [] as string[],
    maxConnected: 0,
    count: 0,
    peak: { residentBytes: 0, openFiles: 0 },
  };
  const commandStates = new Map<string, { readonly state: CommandState; readonly pid: number | undefined }>();
  /** The state of a VM, and the controller that said so. */
  const vmStates = new Map<
    string,
    { readonly bootId: string; readonly state: string; readonly pid: number | undefined }
  >();
  const stopping = new AbortController();
  let connected: number | undefined;

  function seeCommand({ id, state, type, vm_id: vmId }: CommandResource): void {
    const before = commandStates.get(id);
    const pid = controllerPid();
    commandStates.set(id, { state, pid });
    if (before === undefined || canFollow(before.state, state)) return;
    // A controller shows what it has learned a moment before that is on disk: the next one may learn it again.
    if (pid !== before.pid && !isFinal(before.state)) return;
    sightings.illegalCommands.push(
      `${now()} ${type} ${id} of ${vmId} was seen ${state} after it was ${before.state}`,
    );
  }

  function seeVm(vm: VmResource): void {
    const before = vmStates.get(vm.vm_id);
    const pid = controllerPid();
    vmStates.set(vm.vm_id, { bootId: vm.boot_id, state: vm.state, pid });
    // A state is shown as it is heard, and is on disk a moment later: a controller that is killed in between leaves the older
    // one to the next, which hears it again from the VM.
    if (before?.bootId !== vm.boot_id || before.pid !== pid) return;
    const [from, to] = [phaseOf(before.state), phaseOf(vm.state)];
    if (from !== undefined && to !== undefined && VM_TRANSITIONS[from].includes(to)) return;
    sightings.illegalVms.push(
      `${now()} ${vm.vm_id} was seen ${vm.state} after it was ${before.state}, in one boot`,
    );
  }

  function seeDrain(drain: DrainResource): void {
    const underWay = drain.vms.filter(({ state }) => state !== 'waiting' && !isDrainVmFinal(state));
    if (underWay.length <= (drain.max_unavailable ?? Infinity)) return;
    const names = underWay.map((vm) => `${vm.vm_id} ${vm.state}`).join(', ');
    sightings.overDrained.push(
      `${now()} ${drain.id} allows ${drain.max_unavailable ?? 0}, and was seen with ${underWay.length}: ${names}`,
    );
  }

  async function get<T>(route: string): Promise<T> {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const response = await fetch(`${url}${route}`, { signal });
    if (!response.ok) throw new Error(`${route}: ${response.status}`);
    return (await response.json()) as T;
  }

  async function look(): Promise<void> {
    const pid = controllerPid();
    const usage = pid === undefined ? undefined : readUsage(pid);
    if (usage !== undefined) {
      sightings.peak.residentBytes = Math.max(sightings.peak.residentBytes, usage.residentBytes);
      sightings.peak.openFiles = Math.max(sightings.peak.openFiles, usage.openFiles);
    }
    try {
      const { drains } = await get<{ drains: DrainResource[] }>('/api/v1/drains?state=active');
      drains.forEach(seeDrain);
      const { vms } = await get<{ vms: VmResource[] }>('/api/v1/vms?limit=10000');
      vms.forEach(seeVm);
      connected = vms.filter(({ link }) => link === 'connected').length;
      sightings.maxConnected = Math.max(sightings.maxConnected, connected);
      for (const state of OPEN_STATES) {
        const route = `/api/v1/commands?state=${state}&limit=10000`;
        const { commands } = await get<{ commands: CommandResource[] }>(route);
        commands.forEach(seeCommand);
      }
      sightings.count += 1;
    } catch {
      connected = undefined; // it is dead, frozen or starting
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await look();
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
  void run();

  return {
    sightings,
    see: (commands) => commands.forEach(seeCommand),
    get connected() {
      return connected;
    },
    stop: () => stopping.abort(),
  };
}

/** Between two looks there may have been others. */
export function canFollow(from: CommandState, to: CommandState): boolean {
  if (from === to) return true;
  if (isFinal(from)) return false;
  const reached = new Set<CommandState>([from]);
  for (const state of reached) for (const next of COMMAND_TRANSITIONS[state]) reached.add(next);
  return reached.has(to);
}

const now = (): string => new Date().toISOString().slice(11, 23);
