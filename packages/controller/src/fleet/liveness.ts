import type { Liveness } from '@mig/common/domain/vm';

export interface LivenessOptions {
  /** What the VM's heartbeats come in. */
  readonly intervalMs: number;
  /** Silent for this long, a VM is `lost`. */
  readonly lostAfterMs: number;
}

/** Heartbeats that may be missed before a VM is `suspect`. */
const MISSED_BEATS = 3;

/**
 * What heartbeats and stream say of a VM, and they alone (invariant I7).
 *
 * @param silentMs how long nothing was heard of it, counted at most from the start of the controller, so that a restart
 *   gives every VM a grace period
 */
export function livenessOf(silentMs: number, connected: boolean, options: LivenessOptions): Liveness {
  if (silentMs >= Math.max(options.lostAfterMs, MISSED_BEATS * options.intervalMs)) return 'lost';
  if (!connected || silentMs >= MISSED_BEATS * options.intervalMs) return 'suspect';
  return 'alive';
}
