/** A log file that is kept in memory, so that a test sees its lines and can lose the last. */
import type { LogFile } from './log-file.js';

export interface MemoryLog extends LogFile<unknown> {
  /** What a process that opens the log next reads. */
  lines(): unknown[];
  readonly replacedCount: number;
}

export function createMemoryLog(): MemoryLog {
  let lines: string[] = [];
  let replaced = 0;
  return {
    append: (entry) => void lines.push(JSON.stringify(entry)),
    replace(entries) {
      lines = entries.map((entry) => JSON.stringify(entry));
      replaced += 1;
    },
    get length() {
      return lines.length;
    },
    get replacedCount() {
      return replaced;
    },
    close: () => undefined,
    lines: () => lines.map((line) => JSON.parse(line) as unknown),
  };
}
