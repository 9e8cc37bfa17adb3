import { createLogger, type Logger } from '@mig/common/logger';

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

export interface MemoryLog {
  readonly logger: Logger;
  lines(): string[];
  /** Lines of a higher level than this. */
  linesAbove(level: string): string[];
}

/** A log that a test can read. */
export function createMemoryLog(): MemoryLog {
  const lines: string[] = [];
  const levelOf = (line: string): number => LEVELS.indexOf((JSON.parse(line) as { level: string }).level);
  return {
    logger: createLogger({
      name: 'test',
      level: 'info',
      destination: { write: (line) => void lines.push(line) },
    }),
    lines: () => lines,
    linesAbove: (level) => lines.filter((line) => levelOf(line) > LEVELS.indexOf(level)),
  };
}
