/** What a process has used, by /proc (Linux). Every function gives undefined where there is no /proc, or the process has ended. */
import { readFileSync } from 'node:fs';

/** USER_HZ: 100 on every architecture that Node runs on (man 5 proc). */
const TICKS_PER_SECOND = 100;

/** Time on a core since its start, of all its threads, milliseconds; to the nearest 10. */
export function cpuMs(pid: number): number | undefined {
  const text = read(`/proc/${pid}/stat`);
  // The name in parentheses may hold blanks: what follows it does not.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields === undefined
    ? undefined
    : ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_PER_SECOND;
}

/** Memory that is in use, shared with others or not. */
export function residentBytes(pid: number): number | undefined {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? '') ?? [];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1_024;
}

/** Bytes that it had sent to a disk. Zero on a file system in memory. */
export function diskBytes(pid: number): number | undefined {
  const [, bytes] = /^write_bytes: (\d+)$/m.exec(read(`/proc/${pid}/io`) ?? '') ?? [];
  return bytes === undefined ? undefined : Number(bytes);
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
