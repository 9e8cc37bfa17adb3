/**
 * Who runs where: the controller alone on one processor, those who load it on another, the attacker after those who measure. So
 * what is measured is what the attack costs the controller, not how the machine shares itself out among the load, nor what else
 * runs there.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';

export interface Processors {
  readonly controller: string;
  readonly load: string;
}

/** The first two that this process may use; undefined = there is but one, or no taskset. */
export function findProcessors(): Processors | undefined {
  if (spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status !== 0) return undefined;
  const said = /^Cpus_allowed_list:\s*(\S+)$/m.exec(read('/proc/self/status'))?.[1] ?? '';
  const [controller, load] = said.split(',').flatMap(expand);
  return controller === undefined || load === undefined ? undefined : { controller, load };
}

/** All threads of the process that are there, and those that they start. */
export function pin(pid: number, processor: string | undefined): void {
  if (processor !== undefined) spawnSync('taskset', ['-a', '-c', '-p', processor, String(pid)]);
}

/** Gives way to everybody. */
export const giveWay = (pid: number): void => void setNice(pid, os.constants.priority.PRIORITY_LOW);

/** Goes before other programs of the machine. False if this user may not say so: it stays as it is. */
export const goBefore = (pid: number): boolean => setNice(pid, os.constants.priority.PRIORITY_HIGH);

function setNice(pid: number, nice: number): boolean {
  try {
    os.setPriority(pid, nice);
    // Each of these processes has a session of its own, and with autogroups (sched(7)) only the group's counts between them.
    writeFileSync(`/proc/${pid}/autogroup`, String(nice));
    return true;
  } catch {
    // Not allowed, no such kernel, or it has ended: what it had to wait for is told with the result.
    return false;
  }
}

/** Seconds of processor time that the process has had, by /proc (proc(5)). */
export function processorSeconds(pid: number): number {
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND;
}

/** Seconds that the main thread of the process was ready to run and had to wait: what others take of the machine, by /proc. */
export const waitedSeconds = (pid: number): number =>
  Number(read(`/proc/${pid}/schedstat`).split(' ')[1] ?? 0) / 1e9;

/** Of every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

function expand(range: string): string[] {
  const [first = 0, last = first] = range.split('-').map(Number);
  return Array.from({ length: last - first + 1 }, (_, index) => String(first + index));
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // no Linux, or it has ended
  }
}
