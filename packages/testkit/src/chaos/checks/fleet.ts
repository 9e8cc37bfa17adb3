/** What was promised of VMs and their runners. */
import { violations, type Evidence, type Violation } from '../evidence.js';

type FleetEvidence = Pick<Evidence, 'vms' | 'sightings' | 'runners'>;

/** How things stand at rest: every VM is in service, over one stream, with one runner at GitHub. */
export interface Standing {
  /** Streams of each VM that reach the controller. */
  readonly streams: ReadonlyMap<string, number>;
  /** Runner processes of each VM. */
  readonly listeners: ReadonlyMap<string, number>;
}

export function checkFleet({ vms, sightings, runners }: FleetEvidence, standing: Standing): Violation[] {
  const known = new Set(
    vms.flatMap(({ runner }) => (runner?.configured === true ? [runner.runner_name] : [])),
  );
  const ghosts = runners
    .filter(({ name }) => !known.has(name))
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
