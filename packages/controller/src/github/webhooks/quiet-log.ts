/** Warnings that anybody on the network can bring about: so many in a minute are logged, and the others counted. */
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';

const WINDOW_MS = 60_000;

export interface QuietLog {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** @param perMinute above it nothing is logged; the first line after it says in `suppressed` how many were left out */
export function createQuietLog(
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  perMinute: number,
): QuietLog {
  let windowStartMs = clock.monotonicMs();
  let count = 0;
  let suppressed = 0;
  return {
    warn(fields, message) {
      if (clock.monotonicMs() - windowStartMs >= WINDOW_MS) {
        windowStartMs = clock.monotonicMs();
        count = 0;
      }
      count += 1;
      if (count > perMinute) {
        suppressed += 1;
        return;
      }
      logger.warn({ ...fields, ...(suppressed === 0 ? {} : { suppressed }) }, message);
      suppressed = 0;
    },
  };
}
