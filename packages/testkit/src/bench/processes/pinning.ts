/** Which process may use which core: the server one, everything else another, where the system has a way to say so. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Pinning {
  /** Undefined: nothing is pinned. */
  readonly serverCore: number | undefined;
  readonly loadCore: number | undefined;
  /** Why nothing is, in words; empty if it is. */
  readonly why: string;
}

export function findPinning(): Pinning {
  const none = (why: string): Pinning => ({ serverCore: undefined, loadCore: undefined, why });
  if (spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status !== 0)
    return none('there is no taskset');
  const [serverCore, loadCore] = allowedCores();
  if (serverCore === undefined || loadCore === undefined) return none('there is only one core');
  return { serverCore, loadCore, why: '' };
}

/** The command that runs the program on that core alone; the program itself, if nothing is pinned. */
export const pinned = (
  core: number | undefined,
  command: readonly [string, ...string[]],
): [string, ...string[]] => (core === undefined ? [...command] : ['taskset', '-c', String(core), ...command]);

function allowedCores(): number[] {
  try {
    const [, list = ''] =
      /^Cpus_allowed_list:\s+(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return parseCores(list);
  } catch {
    return [];
  }
}

/** `0-2,5` as the kernel writes it. */
export const parseCores = (list: string): number[] =>
  list
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
