/**
 * How far a test has put the wall clock of this process forward (or back, less than 0), to see what a jump does.
 *
 * Like test points (test-points.ts), production has none of it. A bundle with test points reads the milliseconds from the file
 * that MIG_TEST_CLOCK_FILE names, again after `REREAD_MS`; a file that is missing or says no number puts nothing forward.
 */
import { readFileSync } from 'node:fs';

/** Put in by the bundler. */
declare const MIG_TEST_POINTS: boolean | undefined;

const REREAD_MS = 100;

export function testClockOffsetMs(): number {
  return typeof MIG_TEST_POINTS !== 'undefined' && MIG_TEST_POINTS ? currentOffset() : 0;
}

let offset: (() => number) | undefined;

function currentOffset(): number {
  const file = process.env['MIG_TEST_CLOCK_FILE'];
  if (file === undefined) return 0;
  offset ??= createOffset(
    () => readFileSync(file, 'utf8'),
    () => performance.now(),
  );
  return offset();
}

/** @param read the text of the file; throws if there is none */
export function createOffset(read: () => string, monotonicMs: () => number): () => number {
  let value = 0;
  let readAtMs = -Infinity;
  return () => {
    const nowMs = monotonicMs();
    if (nowMs - readAtMs < REREAD_MS) return value;
    readAtMs = nowMs;
    try {
      const number = Number(read());
      value = Number.isFinite(number) ? number : 0;
    } catch {
      value = 0;
    }
    return value;
  };
}
