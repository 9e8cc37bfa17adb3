/**
 * Timestamps that name files: `20261121T021105.123456Z`. They sort as text, and are unique within a VM, because each is
 * later than the one before by a microsecond at least, also when the clock stands still or is set back.
 */
import type { Clock } from '@mig/common/clock';

const STAMP = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})\.(\d{6})Z$/;

export const isStamp = (text: string): boolean => STAMP.test(text);

/** Microseconds since 1970 of a stamp. */
function toMicros(stamp: string): number {
  const match = STAMP.exec(stamp);
  if (match === null) return 0;
  const [, year, month, day, hour, minute, second, micros] = match.map(Number);
  return Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second) * 1000 + (micros ?? 0);
}

function fromMicros(micros: number): string {
  const iso = new Date(Math.floor(micros / 1000)).toISOString();
  return `${iso.slice(0, 19).replace(/[-:]/g, '')}.${iso.slice(20, 23)}${String(micros % 1000).padStart(3, '0')}Z`;
}

/** When the stamp was made, milliseconds since 1970. */
export const stampTime = (stamp: string): number => Math.floor(toMicros(stamp) / 1000);

/** Makes the stamps of one VM. `last` is the newest that is already on disk. */
export function createStamper(clock: Clock, last: string | undefined): () => string {
  let lastMicros = last === undefined ? 0 : toMicros(last);
  return () => {
    lastMicros = Math.max(clock.now() * 1000, lastMicros + 1);
    return fromMicros(lastMicros);
  };
}
