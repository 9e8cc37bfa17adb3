/** What was promised of VMs and their runners. */
import type { RunnerResource } from '../../github/runner-resource.js';
import { violations, type Evidence, type Violation } from '../evidence.js';
import { isOfBoot, parseRunnerName } from '../../system/runner-name.js';
import type { VmHistory } from '../vm-history.js';

type FleetEvidence = Pick<Evidence, 'vms' | 'sightings' | 'runners' | 'histories'>;

/** How things stand at rest: every VM is in service, over one stream, with one runner at GitHub. */
export interface Standing {
  /** Streams of each VM that reach the controller. */
  readonly streams: ReadonlyMap<string, number>;
  /** Runner processes of each VM. */
  readonly listeners: ReadonlyMap<string, number>;
}

export function checkFleet(
  { vms, sightings, runners, histories }: FleetEvidence,
  standing: Standing,
): Violation[] {
  const known = new Set(
    vms.flatMap(({ runner }) => (runner?.configured === true ? [runner.runner_name] : [])),
  );
  const ghosts = runners
    .filter((runner) => !known.has(runner.name) && !isLeftBehind(runner, histories))
    .map(({ name, status }) => `${name} (${status}) is registered, and no VM has it`);
  const unregistered = [...standing.listeners.keys()]
    .map((vmId) => vms.find((vm) => vm.vm_id === vmId))
    .filter((vm) => vm !== undefined)
    .filter((vm) => !runners.some(({ name }) => name === vm.runner?.runner_name))
    .map((vm) => `${vm.vm_id} is ${vm.state}, and GitHub has no runner ${vm.runner?.runner_name ?? ''}`);
  return [
    ...violations('the record of a VM moves along its table', sightings.illegalVms),
    ...violations('a VM has one stream', unlike(standing.streams, 'streams')),
    ...violations('a VM has one runner process', unlike(standing.listeners, 'runner processes')),
    ...violations('no registration is left of a VM that has ended', ghosts),
    ...violations('a VM that is ready has a runner at GitHub', unregistered),
  ];
}

const unlike = (counts: ReadonlyMap<string, number>, what: string): string[] =>
  [...counts].filter(([, count]) => count !== 1).map(([vmId, count]) => `${vmId} has ${count} ${what}`);

/**
 * A registration of a boot that has ended, that nobody was there to delete: GitHub or the controller was away when the VM asked
 * for it, or the MIGlet died while it registered. Only a reconciliation of GitHub's list with ours can delete it later.
 */
export function isLeftBehind({ name, status }: RunnerResource, histories: readonly VmHistory[]): boolean {
  const runner = parseRunnerName(name);
  if (runner === undefined || status !== 'offline') return false;
  return histories.some(({ vmId, lives }) => {
    const [current] = lives.slice(-1);
    return (
      vmId === runner.vmId &&
      lives.some(
        (life) =>
          (life.askedInVain || life.registers) &&
          isOfBoot(runner, life.bootId) &&
          (current?.bootId !== life.bootId || current.events.at(-1)?.type === 'vm_shutting_down'),
      )
    );
  });
}
