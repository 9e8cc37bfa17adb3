import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';

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

/** What runs a program that is a script: its first argument is the program. */
const INTERPRETER =
  /^(?:node|nodejs|bun|deno|dotnet|mono|(?:ba|da|k|z|a)?sh|busybox|perl|ruby|python|pypy)[\d.]*$/;

/**
 * The process that runs this program with `argument` as its first one, and was started with the variable `mark` in its
 * environment (/proc, proc(5)); the lowest number if there are several. One that only has the program among its arguments is
 * none. Where the environment may not be read, because it is another user's, its command line is enough.
 */
export function findProcess(program: string, argument: string, mark: string): number | undefined {
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return undefined;
  }
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number);
  return pids.sort((a, b) => a - b).find((pid) => runs(pid, program, argument) && mayHaveMark(pid, mark));
}

function runs(pid: number, program: string, argument: string): boolean {
  const [first, second, third] = argumentsOf(pid);
  if (first === program && second === argument) return true;
  return (
    second === program && third === argument && INTERPRETER.test(programOf(pid) ?? path.basename(first ?? ''))
  );
}

function mayHaveMark(pid: number, mark: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1')
      .split('\0')
      .some((entry) => entry.startsWith(`${mark}=`));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES';
  }
}

/** The file name of what it executes; undefined if that may not be read. */
function programOf(pid: number): string | undefined {
  try {
    return path.basename(readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, ''));
  } catch {
    return undefined;
  }
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
