/** Percentiles and peaks of what was timed. */

/** The value that this share of the values does not exceed (nearest rank). @param share 0 to 1 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

/** The most that happened within any window of this length that begins with one of them. @param times milliseconds */
export function peak(times: readonly number[], windowMs: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  let most = 0;
  let first = 0;
  for (const [index, time] of sorted.entries()) {
    while (time - (sorted[first] ?? 0) >= windowMs) first += 1;
    most = Math.max(most, index - first + 1);
  }
  return most;
}

/** Milliseconds since 1970; without an end it goes on. */
export interface Span {
  readonly beganAt: number;
  readonly endedAt: number | undefined;
}

/** How many of the spans there were at any one time, at most. */
export function mostAtOnce(spans: readonly Span[]): number {
  const steps = spans
    .flatMap(({ beganAt, endedAt }) => [
      { at: beganAt, change: 1 },
      { at: endedAt ?? Number.POSITIVE_INFINITY, change: -1 },
    ])
    // In the same millisecond an end comes first: the next one waited for it.
    .sort((a, b) => a.at - b.at || a.change - b.change);
  let now = 0;
  let most = 0;
  for (const { change } of steps) {
    now += change;
    most = Math.max(most, now);
  }
  return most;
}

/** Milliseconds as seconds, with one digit. */
export const inSeconds = (ms: number): string => (ms / 1_000).toFixed(1);
