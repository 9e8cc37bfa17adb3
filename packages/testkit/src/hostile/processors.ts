/**
 * Who runs where: the controller alone on one processor, those who load it on another, the attacker last in every queue. So
 * what is measured is what the attack costs the controller, not how the machine shares itself out among the load.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
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
export function giveWay(pid: number): void {
  os.setPriority(pid, os.constants.priority.PRIORITY_LOW);
}

/** Seconds of processor time that the process has had, by /proc (proc(5)). */
export function processorSeconds(pid: number): number {
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND;
}

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
