/** A log file that is kept in memory, so that a test sees its lines, can lose the last, and can fill its disk. */
import type { LogFile } from './log-file.js';

export interface MemoryLog extends LogFile<unknown> {
  /** What a process that opens the log next reads. */
  lines(): unknown[];
  readonly replacedCount: number;
  /** How often it was written to, with or without success. */
  readonly writeCount: number;
  /** Lines that the disk still takes; default: any number. */
  space: number;
}

export function createMemoryLog(): MemoryLog {
  let lines: string[] = [];
  let replaced = 0;
  let written = 0;
  const log: MemoryLog = {
    space: Infinity,
    append(entry) {
      written += 1;
      takeSpace(1);
      lines.push(JSON.stringify(entry));
    },
    replace(entries) {
      written += 1;
      takeSpace(entries.length);
      lines = entries.map((entry) => JSON.stringify(entry));
      replaced += 1;
    },
    get length() {
      return lines.length;
    },
    get replacedCount() {
      return replaced;
    },
    get writeCount() {
      return written;
    },
    close: () => undefined,
    lines: () => lines.map((line) => JSON.parse(line) as unknown),
  };
  function takeSpace(count: number): void {
    if (log.space < count)
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), {
        code: 'ENOSPC',
        syscall: 'write',
      });
    log.space -= count;
  }
  return log;
}
