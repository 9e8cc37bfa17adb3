/** Every process of this machine, as /proc says (proc(5)); nothing where there is no /proc. */
import { closeSync, openSync, readFileSync, readSync, readdirSync } from 'node:fs';
import type { ProcessIdentity } from '@mig/common/process-identity';

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
  const buffer = Buffer.allocUnsafe(STAT_BYTES);
  for (const pid of processNumbers()) {
    const entry = readEntry(pid, buffer);
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
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
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

/** More than the 52 fields can take. */
const STAT_BYTES = 2_048;

function readEntry(pid: number, buffer: Buffer): ProcessEntry | undefined {
  try {
    const text = readOnce(`/proc/${pid}/stat`, buffer);
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

/** What the kernel makes up at once: readFileSync would ask for its size, and whether there is more. */
function readOnce(file: string, buffer: Buffer): string {
  const descriptor = openSync(file, 'r');
  try {
    return buffer.toString('latin1', 0, readSync(descriptor, buffer, 0, buffer.length, 0));
  } finally {
    closeSync(descriptor);
  }
}
