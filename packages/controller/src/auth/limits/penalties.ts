/** Who was cut for sending too much is not taken for a while: longer each time, so that coming back costs the controller next to nothing. */
import type { Clock } from '@mig/common/clock';

export interface Penalties {
  /** It has sent too much. @returns how long it is not taken now, milliseconds */
  add(vmId: string): number;
  /** How long it is not taken; 0 = it is. */
  leftMs(vmId: string): number;
  /** VMs that are not taken now. */
  readonly activeCount: number;
}

const FIRST_MS = 2_000;
const MAX_MS = 60_000;
/** Who has behaved for so long begins anew. */
const FORGIVEN_MS = 5 * 60_000;
/** VMs that are remembered (I12); the one whose penalty is oldest is forgotten. */
const MAX_VMS = 50_000;

export function createPenalties(clock: Clock): Penalties {
  const byVm = new Map<string, { count: number; untilMs: number }>();
  return {
    add(vmId) {
      const nowMs = clock.monotonicMs();
      const before = byVm.get(vmId);
      // One flood, told of by many messages and streams, is one offence.
      if (before !== undefined && before.untilMs > nowMs) return before.untilMs - nowMs;
      const count = before === undefined || nowMs - before.untilMs > FORGIVEN_MS ? 0 : before.count + 1;
      const lengthMs = Math.min(MAX_MS, FIRST_MS * 2 ** count);
      byVm.delete(vmId);
      byVm.set(vmId, { count, untilMs: nowMs + lengthMs });
      if (byVm.size > MAX_VMS) {
        const [oldest] = byVm.keys();
        if (oldest !== undefined) byVm.delete(oldest);
      }
      return lengthMs;
    },
    leftMs: (vmId) => Math.max(0, (byVm.get(vmId)?.untilMs ?? 0) - clock.monotonicMs()),
    get activeCount() {
      const nowMs = clock.monotonicMs();
      return [...byVm.values()].filter(({ untilMs }) => untilMs > nowMs).length;
    },
  };
}
