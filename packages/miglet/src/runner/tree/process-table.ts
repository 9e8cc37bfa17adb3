/** Every process of this machine, as /proc says (proc(5)); nothing where there is no /proc. */
import { readdirSync } from 'node:fs';
import type { ProcessIdentity } from '@mig/common/process-identity';
import { readProcFile } from '../../host/proc-file.js';

export interface ProcessEntry extends ProcessIdentity {
  readonly parentPid: number;
  readonly groupId: number;
  /** A person may sit there. */
  readonly hasTerminal: boolean;
  /**
   * Where its memory holds the environment it was started with: another program in its place has it elsewhere. Empty = it may not
   * be read, or there is none. Undefined = the kernel does not say (Linux before 3.5).
   */
  readonly environmentAt: string | undefined;
}

/** By number. Processes that have ended and are not collected yet are not in it: nothing of them runs. */
export type ProcessTable = ReadonlyMap<number, ProcessEntry>;

export function readProcessTable(): ProcessTable {
  const table = new Map<number, ProcessEntry>();
  for (const pid of processNumbers()) {
    const entry = readEntry(pid);
    if (entry !== undefined) table.set(pid, entry);
  }
  return table;
}

/** The value of a variable that it was started with; undefined if it was not, or if that may not be read. */
export function variableOf(pid: number, name: string): string | undefined {
  const prefix = `${name}=`;
  return environmentOf(pid)
    .find((entry) => entry.startsWith(prefix))
    ?.slice(prefix.length);
}

function environmentOf(pid: number): string[] {
  try {
    return readProcFile(`/proc/${pid}/environ`).split('\0');
  } catch {
    return [];
  }
}

function processNumbers(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

function readEntry(pid: number): ProcessEntry | undefined {
  try {
    const text = readProcFile(`/proc/${pid}/stat`);
    // The name in parentheses may hold anything: the fields that follow are counted from its last parenthesis.
    const [state = '', parentPid, groupId, , terminal, ...rest] = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ');
    if (state === 'Z' || state === 'X') return undefined;
    return {
      pid,
      parentPid: Number(parentPid),
      groupId: Number(groupId),
      hasTerminal: terminal !== '0',
      startedAt: rest[14] ?? '',
      environmentAt: placeOf(rest[42], rest[43]),
    };
  } catch {
    return undefined;
  }
}

/** `env_start` and `env_end` of proc(5): 0 for who may not read the environment either, and for what has none. */
function placeOf(start: string | undefined, end: string | undefined): string | undefined {
  if (start === undefined || end === undefined) return undefined;
  return end === '0' ? '' : `${start} ${end}`;
}
