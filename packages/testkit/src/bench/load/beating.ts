/** Heartbeats at a pace: every VM one in each interval, evenly spread over it, as a fleet that has been up for long sends them. */
import { createHeartbeats } from '../wire/vm-messages.js';
import type { SimulatedVm } from './fleet.js';

export interface Beating {
  /** How many were sent. */
  stop(): number;
}

const TICK_MS = 10;

export function startBeating(vms: readonly SimulatedVm[], intervalMs: number): Beating {
  const heartbeats = createHeartbeats(intervalMs);
  const startedMs = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = ((performance.now() - startedMs) / intervalMs) * vms.length;
    for (; sent < due; sent += 1) {
      const vm = vms[sent % vms.length];
      vm?.stream?.send(heartbeats.batch(vm.name, 1), 1);
    }
  }, TICK_MS);
  return {
    stop() {
      clearInterval(timer);
      return sent;
    },
  };
}
