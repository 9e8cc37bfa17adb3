/**
 * Is a VM missed? By its heartbeats and its stream alone (invariant I7), counted by the monotonic clock.
 *
 *   suspect  its stream is dead, or three of its intervals passed in silence
 *   lost     its TTL passed in silence: `heartbeat.lost_after`, which grows as its interval is longer than the configured one
 *   alive    neither
 *
 * Silence is counted at most from the start of the controller, so that a restart gives every VM a grace period: one that has
 * not been heard since is `alive` until it has missed three intervals from the start, whether or not its stream is back.
 *
 * A VM that has ended by its own word is missed by nobody: it is `alive`, whatever its silence, and never lost. That it is
 * gone is what its state says (`shutdown.done`).
 */
import type { Liveness } from '@mig/common/domain/vm';

export interface LivenessOptions {
  /** The configured time between two heartbeats. */
  readonly intervalMs: number;
  /** A VM with the configured interval is lost when it was silent for this long. */
  readonly lostAfterMs: number;
}

/** What was perceived of one VM. */
export interface Signs {
  /** Since it was last heard; if it was not heard since the start of the controller, since that. */
  readonly silentMs: number;
  /** Its stream ended, and nothing has come another way since. */
  readonly streamDead: boolean;
  /** By the word of its last heartbeat, until its next one; 0 = not said. */
  readonly saidIntervalMs: number;
  /** The shortest interval that the controller asked of it; 0 = none. */
  readonly askedIntervalMs: number;
  /** By its own word. */
  readonly ended: boolean;
}

/** Heartbeats that may be missed before a VM is `suspect`. */
const MISSED_BEATS = 3;
/** A VM that says a longer interval is expected after this all the same: 1 hour. */
const MAX_SAID_MS = 60 * 60_000;

export function livenessOf(signs: Signs, options: LivenessOptions): Liveness {
  if (signs.ended) return 'alive';
  const intervalMs = intervalOf(signs, options);
  const missedMs = MISSED_BEATS * intervalMs;
  const ttlMs = Math.max(missedMs, (options.lostAfterMs * intervalMs) / options.intervalMs);
  if (signs.silentMs >= ttlMs) return 'lost';
  return signs.streamDead || signs.silentMs >= missedMs ? 'suspect' : 'alive';
}

/** The interval that the VM's heartbeats are expected in. Never less than the configured one. */
const intervalOf = ({ saidIntervalMs, askedIntervalMs }: Signs, { intervalMs }: LivenessOptions): number =>
  Math.max(intervalMs, Math.min(saidIntervalMs, MAX_SAID_MS), askedIntervalMs);
