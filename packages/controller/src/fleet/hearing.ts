/** When each VM was last heard, and how: by the monotonic clock, since the start of the controller, never stored (I7). */
import type { Clock } from '@mig/common/clock';

/** What was heard of one VM. */
export interface Heard {
  /** By the monotonic clock; undefined = not since the start of the controller. */
  readonly heardAtMs: number | undefined;
  /** Since then; if it was not heard, since the start. */
  readonly silentMs: number;
  /** Its stream ended, and nothing has come another way since. */
  readonly streamDead: boolean;
  /** Its last heartbeat's own word on when the next one comes; 0 = not said. */
  readonly saidIntervalMs: number;
}

export interface Hearing {
  of(vmId: string): Heard;
  /** Anything but a heartbeat or the opening of a stream. */
  heard(vmId: string): void;
  /** @param nowMs by the monotonic clock */
  heartbeat(vmId: string, saidIntervalMs: number, nowMs: number): void;
  /** What its old MIGlet said of its interval does not hold for the next one. */
  connected(vmId: string): void;
  streamEnded(vmId: string): void;
  forget(vmId: string): void;
}

interface Entry {
  atMs: number;
  streamDead: boolean;
  saidIntervalMs: number;
}

export function createHearing(clock: Clock): Hearing {
  const startedAtMs = clock.monotonicMs();
  const entries = new Map<string, Entry>();

  function note(vmId: string, nowMs: number): Entry {
    let entry = entries.get(vmId);
    if (entry === undefined) {
      entry = { atMs: nowMs, streamDead: false, saidIntervalMs: 0 };
      entries.set(vmId, entry);
    }
    entry.atMs = nowMs;
    return entry;
  }

  function alive(vmId: string, saidIntervalMs: number, nowMs: number): void {
    const entry = note(vmId, nowMs);
    entry.saidIntervalMs = saidIntervalMs;
    entry.streamDead = false;
  }

  return {
    of(vmId) {
      const entry = entries.get(vmId);
      return {
        heardAtMs: entry?.atMs,
        silentMs: clock.monotonicMs() - (entry?.atMs ?? startedAtMs),
        streamDead: entry?.streamDead ?? false,
        saidIntervalMs: entry?.saidIntervalMs ?? 0,
      };
    },
    heard: (vmId) => void note(vmId, clock.monotonicMs()),
    // One that comes without a stream says that the VM does without.
    heartbeat: alive,
    connected: (vmId) => alive(vmId, 0, clock.monotonicMs()),
    streamEnded(vmId) {
      const entry = entries.get(vmId);
      if (entry !== undefined) entry.streamDead = true;
    },
    forget: (vmId) => void entries.delete(vmId),
  };
}
