/** What GitHub saw of each VM's runners, by their names. */
import type { StandInEvent } from '../github/events.js';
import { vmOfRunner } from '../system/runner-name.js';

export class RunnerCounts {
  readonly registered = new Map<string, number>();
  readonly completed = new Map<string, number>();
  /** Runners that were online once, by their numbers: a VM had them. */
  readonly used = new Set<number>();
  /** Of all VMs, by why. */
  readonly removed = new Map<string, number>();

  note(event: StandInEvent): void {
    if (event.event === 'runner_registered') add(this.registered, vmOfRunner(event.runner_name));
    if (event.event === 'runner_online') this.used.add(event.runner_id);
    if (event.event === 'job_completed') add(this.completed, vmOfRunner(event.runner_name ?? ''));
    if (event.event === 'runner_removed') add(this.removed, event.reason);
  }
}

function add(counts: Map<string, number>, key: string | undefined): void {
  if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1);
}
