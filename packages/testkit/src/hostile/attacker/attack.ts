/** What every attack is given, and what it keeps count of. */

export interface Target {
  readonly http: { readonly host: string; readonly port: number };
  readonly grpc: { readonly host: string; readonly port: number };
  /** The VM that the attacker is. */
  readonly vmId: string;
  readonly poolId: string;
  /** Its genuine session. */
  readonly session: string;
}

/** How often something happened, by its name. */
export interface Tally {
  add(what: string, count?: number): void;
  counts(): Readonly<Record<string, number>>;
}

/** Begins at once, and goes on until its process ends. */
export type Attack = (target: Target, tally: Tally) => void;

export function createTally(): Tally {
  const counts: Record<string, number> = {};
  return {
    add(what, count = 1) {
      counts[what] = (counts[what] ?? 0) + count;
    },
    counts: () => counts,
  };
}

const TICK_MS = 5;

/** Calls the task so often in a second, several times in a tick; what a slow machine leaves undone is not caught up with. */
export function atRate(perSecond: number, task: () => void): void {
  let last = performance.now();
  let due = 0;
  setInterval(() => {
    const now = performance.now();
    due = Math.min(due + ((now - last) / 1_000) * perSecond, perSecond / 10);
    last = now;
    for (; due >= 1; due -= 1) task();
  }, TICK_MS);
}
