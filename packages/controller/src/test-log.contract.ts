/** A logger that keeps what it was told, for tests that look at it. */
import { createLogger, type Logger } from '@mig/common/logger';

export interface TestLog {
  readonly logger: Logger;
  /** The lines so far, parsed. */
  lines(): Record<string, unknown>[];
  /** The lines so far, as they were written. */
  text(): string;
}

export function createTestLog(): TestLog {
  const written: string[] = [];
  return {
    logger: createLogger({
      name: 'controller',
      level: 'trace',
      destination: { write: (line) => void written.push(line) },
    }),
    lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>),
    text: () => written.join(''),
  };
}
