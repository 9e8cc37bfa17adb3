/** Times for people. */
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/**
 * How long, in at most two units, as kubectl writes an age: `45s`, `5m30s`, `90m`, `3h20m`, `30h`, `3d4h`, `12d`.
 * Less than nothing (a clock that is ahead) is `0s`.
 */
export function formatAge(durationMs: number): string {
  const ms = Math.max(0, durationMs);
  if (ms < 2 * MINUTE_MS) return `${Math.floor(ms / SECOND_MS)}s`;
  if (ms < 10 * MINUTE_MS) return twoUnits(ms, MINUTE_MS, 'm', SECOND_MS, 's');
  if (ms < 3 * HOUR_MS) return `${Math.floor(ms / MINUTE_MS)}m`;
  if (ms < 8 * HOUR_MS) return twoUnits(ms, HOUR_MS, 'h', MINUTE_MS, 'm');
  if (ms < 2 * DAY_MS) return `${Math.floor(ms / HOUR_MS)}h`;
  if (ms < 8 * DAY_MS) return twoUnits(ms, DAY_MS, 'd', HOUR_MS, 'h');
  return `${Math.floor(ms / DAY_MS)}d`;
}

function twoUnits(ms: number, bigMs: number, big: string, smallMs: number, small: string): string {
  const rest = Math.floor((ms % bigMs) / smallMs);
  return `${Math.floor(ms / bigMs)}${big}${rest === 0 ? '' : `${rest}${small}`}`;
}

/** The age of a time of the API; `-` if there is none. */
export const ageOf = (time: string | null | undefined, nowMs: number): string =>
  time === null || time === undefined ? '-' : formatAge(nowMs - Date.parse(time));

/** `2026-11-21 02:11:05Z (3m ago)`. */
export const timeAndAge = (time: string, nowMs: number): string =>
  `${formatTime(time)} (${ageOf(time, nowMs)} ago)`;

/** A time of the API to the second, in UTC. */
export const formatTime = (time: string): string =>
  `${new Date(Date.parse(time)).toISOString().slice(0, 19).replace('T', ' ')}Z`;
