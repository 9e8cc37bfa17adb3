/** How long, and how often, each part of a run measures. */

export interface Timing {
  /** Before something is measured, after something has changed. */
  readonly settleMs: number;
  /** After all are connected, before their memory is read. */
  readonly idleMs: number;
  /** Commands, each for a fleet at rest and for one under load. */
  readonly roundTrips: number;
  /** Time between two heartbeats of a VM, where the pace is the fleet's own. */
  readonly intervalMs: number;
  readonly steadyMs: number;
  /** Heartbeats of one VM that are under way at saturation, and VMs of which some are. */
  readonly window: number;
  readonly atOnce: number;
  readonly warmUpMs: number;
  readonly measuredMs: number;
}

export const FULL: Timing = {
  settleMs: 1_000,
  idleMs: 3_000,
  roundTrips: 500,
  intervalMs: 15_000,
  steadyMs: 15_000,
  window: 32,
  atOnce: 500,
  warmUpMs: 2_000,
  measuredMs: 5_000,
};

/** For a first look: the figures are rough. */
export const QUICK: Timing = {
  ...FULL,
  settleMs: 300,
  idleMs: 1_000,
  roundTrips: 100,
  steadyMs: 5_000,
  warmUpMs: 1_000,
  measuredMs: 2_000,
};
