/** How busy this process is, for those who can put off what is not urgent, or do much of it at once. */
import { performance } from 'node:perf_hooks';

/** Says whether the process is busy just now. */
export type IsBusy = () => boolean;

/** What is looked at lies between one and two of these back. */
const WINDOW_MS = 25;
/** For so long what was seen is taken for so. */
const LOOK_MS = 5;
/** Of the time; more is busy. */
const BUSY_SHARE = 0.6;

/** Busy is an event loop that hardly waits, and a process that with all its threads uses most of a core. */
export function createIsBusy(): IsBusy {
  let last = look();
  let before = last;
  let lookedMs = last.atMs;
  let isBusy = false;
  return () => {
    if (performance.now() - lookedMs < LOOK_MS) return isBusy;
    const now = look();
    lookedMs = now.atMs;
    if (now.atMs - last.atMs >= WINDOW_MS) {
      before = last;
      last = now;
    }
    const elapsedMs = now.atMs - before.atMs;
    isBusy =
      now.cpuMs - before.cpuMs > elapsedMs * BUSY_SHARE ||
      performance.eventLoopUtilization(now.loop, before.loop).utilization > BUSY_SHARE;
    return isBusy;
  };
}

export const neverBusy: IsBusy = () => false;

function look() {
  const { user, system } = process.cpuUsage();
  return {
    atMs: performance.now(),
    cpuMs: (user + system) / 1_000,
    loop: performance.eventLoopUtilization(),
  };
}
