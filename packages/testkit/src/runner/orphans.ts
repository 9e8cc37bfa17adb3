import { readdirSync, readFileSync } from 'node:fs';

/**
 * Kills every process whose environment has this RUNNER_TRACKING_ID, and tells their ids (actions/runner
 * src/Runner.Worker/JobExtension.cs). A process that changed the variable is spared, as it is by the real runner. Where
 * there is no `/proc` nothing is found.
 */
export function killOrphans(trackingId: string): number[] {
  const killed: number[] = [];
  for (const pid of processIds()) {
    if (pid === process.pid || !environmentOf(pid).includes(`RUNNER_TRACKING_ID=${trackingId}\0`)) continue;
    try {
      process.kill(pid, 'SIGKILL');
      killed.push(pid);
    } catch {
      continue; // it ended by itself
    }
  }
  return killed;
}

function processIds(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    return ''; // it ended, or is not ours
  }
}
