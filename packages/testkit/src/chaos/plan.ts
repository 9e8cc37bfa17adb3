/**
 * The schedule of a run: all that is decided by chance, as data, before anything is started. It depends on the seed and the
 * size of the fleet alone, and a longer run begins like a shorter one. What happens when is up to the machine; what is done,
 * to whom, and how long after the beginning of its round, is here.
 *
 * A round is a storm, in which everything is broken and asked for, and a calm, in which everything must come to rest.
 */
import { planFaults } from './plan-faults.js';
import { planLoad } from './plan-load.js';
import type { PlanOptions, Step } from './steps.js';

/** A round as it is counted against the minutes of a run: its storm, and a calm as long as it usually takes. */
const ROUND_MS = 30_000;

/** Steps by their time; round by round. */
export function createPlan(options: PlanOptions): Step[][] {
  const rounds = Math.max(1, Math.round((options.minutes * 60_000) / ROUND_MS));
  return Array.from({ length: rounds }, (_, index) => {
    const round = index + 1;
    return [...planFaults(options, round), ...planLoad(options, round)].sort((a, b) => a.atMs - b.atMs);
  });
}
