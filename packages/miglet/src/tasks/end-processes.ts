/** Ends all processes of a task: SIGTERM, time to end by themselves, SIGKILL until none is left. */
import { setTimeout as sleep } from 'node:timers/promises';
import { processesOfTask, signalAll } from './processes.js';

const POLL_MS = 50;
/** A process that the kernel does not end in this time waits for a broken disk or network; nothing ends it. */
const KILL_PATIENCE_MS = 5_000;

/** @returns how many are left: none, but for those of another user and those that the kernel cannot end */
export async function endProcesses(leader: number, mark: string, graceMs: number): Promise<number> {
  const living = (): number[] => processesOfTask(leader, mark);
  let pids = living();
  signalAll(pids, 'SIGTERM');
  // A process that is stopped takes its SIGTERM when it goes on.
  signalAll(pids, 'SIGCONT');
  const graceEndsAt = performance.now() + graceMs;
  while (pids.length > 0 && performance.now() < graceEndsAt) {
    await sleep(Math.min(POLL_MS, graceMs));
    pids = living();
  }
  const killEndsAt = performance.now() + KILL_PATIENCE_MS;
  while (pids.length > 0 && performance.now() < killEndsAt) {
    signalAll(pids, 'SIGKILL');
    await sleep(POLL_MS / 2);
    pids = living();
  }
  return pids.length;
}
