/** Everything that is known when a check is made: what was asked, what was told, what was done, what is stored. */
import type { CommandResource } from '@mig/common/api/command-resource';
import type { DrainResource } from '@mig/common/api/drain-resource';
import type { EventResource } from '@mig/common/api/history-resource';
import type { VmResource } from '@mig/common/api/vm-resource';
import type { Job } from '../github/job.js';
import type { RunnerResource } from '../github/runner-resource.js';
import type { QueuedJob, ToldCommand, ToldDrain } from './caller.js';
import type { Injected } from './faults.js';
import type { Sightings } from './sampler.js';
import type { Life } from './service.js';
import type { VmHistory } from './vm-history.js';

export interface Evidence {
  readonly toldCommands: readonly ToldCommand[];
  readonly toldDrains: readonly ToldDrain[];
  readonly queuedJobs: readonly QueuedJob[];
  /** What went wrong in asking. */
  readonly complaints: readonly string[];
  /** By the API: commands in the order of submission. */
  readonly commands: readonly CommandResource[];
  readonly drains: readonly DrainResource[];
  readonly vms: readonly VmResource[];
  /** In the order of storing. */
  readonly events: ReadonlyMap<string, readonly EventResource[]>;
  /** What the VMs with a process of their own did. */
  readonly histories: readonly VmHistory[];
  /** Commands that simulated VMs took, in their order, by VM. */
  readonly simulatedTaken: ReadonlyMap<string, readonly string[]>;
  readonly jobs: readonly Job[];
  readonly runners: readonly RunnerResource[];
  readonly sightings: Sightings;
  /** Of the controller and the MIGlets, by name. */
  readonly lives: ReadonlyMap<string, readonly Life[]>;
  readonly injected: readonly Injected[];
  /** Errors in the controller's log, and what is no log line. */
  readonly controllerTroubles: readonly { readonly at: number; readonly text: string }[];
}

/** A promise that was broken. */
export interface Violation {
  readonly invariant: string;
  /** What shows it, each with its names; the first few. */
  readonly evidence: readonly string[];
}

const MAX_EVIDENCE = 8;

/** No violation if there is no fault. */
export function violations(invariant: string, faults: readonly string[]): Violation[] {
  if (faults.length === 0) return [];
  const shown =
    faults.length <= MAX_EVIDENCE
      ? faults
      : [...faults.slice(0, MAX_EVIDENCE), `… and ${faults.length - MAX_EVIDENCE} more`];
  return [{ invariant, evidence: shown }];
}
