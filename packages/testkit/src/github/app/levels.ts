import type { Level } from '../exchange.js';

const RANK: Readonly<Record<Level, number>> = { read: 1, write: 2, admin: 3 };

/** Whether what was granted is enough; nothing granted never is. */
export const isEnough = (granted: Level | undefined, wanted: Level): boolean =>
  granted !== undefined && RANK[granted] >= RANK[wanted];
