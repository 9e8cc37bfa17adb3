import { readFileSync, readdirSync } from 'node:fs';

/** Sends a signal; a process that has ended meanwhile is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Ends every process of the group that the process leads. */
export const killGroup = (leaderPid: number): void => signal(-leaderPid, 'SIGKILL');

/** The process that runs this program, by its command line (/proc); the lowest number if there are several. */
export function findProcess(program: string): number | undefined {
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return undefined;
  }
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number);
  return pids.sort((a, b) => a - b).find((pid) => argumentsOf(pid).includes(program));
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
