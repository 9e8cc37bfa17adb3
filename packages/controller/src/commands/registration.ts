/**
 * `register_runner` by itself: a VM that waits for a registration gets one.
 *
 * By state, not by occasion: whenever a VM says that it awaits its command (on connect, or later, after its runner ended),
 * and has none under way. A legacy MIGlet says no state when it connects: it gets one at every connect, as from the
 * original controller, unless a job runs on it.
 */
import type { CommandQueue } from './command-queue.js';
import type { Fleet } from '../fleet/fleet.js';
import type { Links } from '../fleet/links.js';

/** The state in which a MIGlet waits for `register_runner`. */
const AWAITING = 'registering.awaitingCommand';

export interface AutoRegistration {
  /** The VM has connected. Resolves when its registration, if it gets one, is queued. */
  onConnect(vmId: string): Promise<void>;
  /** The VM's record changed, or its registration ended. */
  onChange(vmId: string): Promise<void>;
}

export function createAutoRegistration(deps: {
  readonly queue: CommandQueue;
  readonly fleet: Fleet;
  readonly links: Links;
}): AutoRegistration {
  const { queue, fleet, links } = deps;
  /** Being submitted: the queue does not list them before they are durable. */
  const submitting = new Set<string>();

  async function register(vmId: string): Promise<void> {
    if (submitting.has(vmId)) return;
    submitting.add(vmId);
    try {
      await queue.submit({ vmId, type: 'register_runner', parameters: {}, createdBy: 'controller' });
    } finally {
      submitting.delete(vmId);
    }
  }

  const underWay = (vmId: string): boolean =>
    queue.open(vmId).some((command) => command.type === 'register_runner');

  return {
    async onConnect(vmId) {
      const link = links.get(vmId);
      const vm = fleet.get(vmId)?.record;
      if (link === undefined || vm === undefined) return;
      if (link.legacy) {
        for (const older of queue.open(vmId)) {
          if (older.type === 'register_runner') queue.end(older.id, 'superseded', 'the VM connected anew');
        }
        if (vm.currentJob === undefined) await register(vmId);
        return;
      }
      if (isWaiting(vm.state) && !underWay(vmId)) await register(vmId);
    },

    async onChange(vmId) {
      if (links.get(vmId)?.legacy !== false) return;
      const vm = fleet.get(vmId)?.record;
      if (vm?.state === AWAITING && !underWay(vmId)) await register(vmId);
    },
  };
}

/** A MIGlet connects from `registering.connecting`, and awaits its command as soon as it is connected. */
const isWaiting = (state: string): boolean => state === AWAITING || state === 'registering.connecting';
