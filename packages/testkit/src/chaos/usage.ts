/** What a process takes of the machine, by /proc (Linux). */
import { readFileSync, readdirSync } from 'node:fs';

export interface Usage {
  /** Memory that is in use, shared with others or not. */
  readonly residentBytes: number;
  /** Files, sockets and pipes. */
  readonly openFiles: number;
}

/** Undefined if the process has ended, or where there is no /proc. */
export function readUsage(pid: number): Usage | undefined {
  try {
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return {
      residentBytes: Number(kilobytes ?? 0) * 1_024,
      openFiles: readdirSync(`/proc/${pid}/fd`).length,
    };
  } catch {
    return undefined;
  }
}
