/** How busy this process is, for those who can put off what is not urgent, or do much of it at once. */
import { performance } from 'node:perf_hooks';

/** Says whether the event loop is busy just now. */
export type IsBusy = () => boolean;

/** What is looked at lies between one and two of these back. */
const WINDOW_MS = 25;
/** Of the time; more is busy. */
const BUSY_SHARE = 0.6;

export function createIsBusy(): IsBusy {
  const look = () => ({ atMs: performance.now(), use: performance.eventLoopUtilization() });
  let before = look();
  let last = before;
  return () => {
    const now = look();
    if (now.atMs - last.atMs >= WINDOW_MS) {
      before = last;
      last = now;
    }
    return performance.eventLoopUtilization(now.use, before.use).utilization > BUSY_SHARE;
  };
}

export const neverBusy: IsBusy = () => false;
