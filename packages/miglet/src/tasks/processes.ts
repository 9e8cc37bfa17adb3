/**
 * The processes of a task: its group, its session, those that carry its mark in their environment, and what they started.
 *
 * A process may leave the group (`setsid`), and its parent may end before it; its environment still names the task, as long as
 * it did not empty that too. Read from /proc; on a system without it, the group alone is known.
 */
import { readFileSync, readdirSync } from 'node:fs';

/** The variable that marks the processes of a task. */
export const MARK = 'MIG_TASK';
/** The variable that says whose tasks they are: the state folder of the MIGlet. */
export const OWNER_MARK = 'MIG_TASK_OWNER';

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
}

/** The living processes of the task; a zombie is none. @param leader the first process, which leads its group and session */
export function processesOfTask(leader: number, mark: string): number[] {
  const all = livingProcesses();
  if (all === undefined) return isGroupAlive(leader) ? [leader] : [];
  const found = new Set<number>();
  for (const { pid, group, session } of all) {
    if (group === leader || session === leader || hasVariable(pid, MARK, mark)) found.add(pid);
  }
  // Children of children: until no more are found.
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  found.delete(process.pid);
  return [...found];
}

/** Processes of tasks of a MIGlet that was killed, on the same state folder. */
export function orphansOf(owner: string): number[] {
  return (livingProcesses() ?? [])
    .filter(({ pid }) => pid !== process.pid && hasVariable(pid, OWNER_MARK, owner))
    .map(({ pid }) => pid);
}

/** A process that has ended meanwhile, or that is another user's, is no error. */
export function signalAll(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // ESRCH: it has ended. EPERM: it became another user's (sudo), and only that user can end it.
    }
  }
}

function livingProcesses(): Process[] | undefined {
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return undefined;
  }
  const processes: Process[] = [];
  for (const name of names) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      // The name of the program, in brackets, may hold anything.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const [state = '', parent, group, session] = fields;
      if (state === 'Z' || state === 'X') continue;
      const pid = Number(name);
      processes.push({ pid, parent: Number(parent), group: Number(group), session: Number(session) });
    } catch {
      // It has ended meanwhile.
    }
  }
  return processes;
}

function hasVariable(pid: number, name: string, value: string): boolean {
  try {
    return `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}`.includes(
      `\0${name}=${Buffer.from(value).toString('latin1')}\0`,
    );
  } catch {
    return false;
  }
}

function isGroupAlive(leader: number): boolean {
  try {
    process.kill(-leader, 0);
    return true;
  } catch {
    return false;
  }
}
