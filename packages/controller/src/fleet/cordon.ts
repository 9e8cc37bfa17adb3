/**
 * Cordons: an operator keeps a VM from new jobs. What runs on it goes on, and nothing is stopped.
 *
 * A cordon belongs to the VM's name and holds over its boots and over restarts of the controller, until it is lifted. It is
 * durable before its caller hears of it. What it means for a VM that has no runner: it is not registered (registration.ts,
 * delivery.ts); for one that has: its labels are taken at GitHub (runner-fence.ts).
 */
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import type { Cordon } from '@mig/common/domain/vm';
import type { ControllerEvents } from './controller-events.js';
import type { Fleet } from './fleet.js';

export interface Cordons {
  /**
   * Cordons a VM, or gives its cordon another reason; since when it holds stays. Resolves when that is durable. A VM that is
   * not known is left alone.
   * @throws StoreUnavailableError
   */
  cordon(vmId: string, reason: string, by: string): Promise<void>;
  /** Lifts the cordon, if there is one. Resolves when that is durable. @throws StoreUnavailableError */
  uncordon(vmId: string, by: string): Promise<void>;
}

export interface CordonsDeps {
  readonly fleet: Fleet;
  readonly events: ControllerEvents;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The VM was cordoned, or is not any more. */
  readonly onChange: (vmId: string) => void;
  /** Can the runners of the VMs be kept from jobs at GitHub? If not, a cordon holds back registrations only. */
  readonly managesRunners: boolean;
}

export function createCordons(deps: CordonsDeps): Cordons {
  const { fleet, events, clock, logger } = deps;
  /** The last change of each VM: one after the other. */
  const tails = new Map<string, Promise<void>>();

  function inTurn(vmId: string, task: () => Promise<void>): Promise<void> {
    const before = tails.get(vmId) ?? Promise.resolve();
    const done = before.then(task);
    const tail = done
      .catch(() => undefined)
      .finally(() => {
        if (tails.get(vmId) === tail) tails.delete(vmId);
      });
    tails.set(vmId, tail);
    return done;
  }

  async function change(vmId: string, before: Cordon | undefined, after: Cordon | undefined): Promise<void> {
    try {
      await fleet.decide(vmId, { cordon: after });
    } catch (error) {
      // Its caller hears that nothing was done: so it is.
      await fleet.decide(vmId, { cordon: before }).catch(() => undefined);
      throw error;
    } finally {
      deps.onChange(vmId);
    }
  }

  return {
    cordon: (vmId, reason, by) =>
      inTurn(vmId, async () => {
        const vm = fleet.get(vmId)?.record;
        if (vm === undefined || vm.cordon?.reason === reason) return;
        await change(vmId, vm.cordon, { reason, by, at: vm.cordon?.at ?? clock.now() });
        const effect = deps.managesRunners
          ? 'it is not registered, and a runner that it has loses its labels'
          : 'it is not registered; no GitHub is configured, so a runner that it has may still be given jobs';
        logger.info({ event: 'vm_cordoned', vmId, reason, by }, `a VM is cordoned: ${effect}`);
        await events.enter(vm, 'vm_cordoned', { reason, by, effect });
      }),

    uncordon: (vmId, by) =>
      inTurn(vmId, async () => {
        const vm = fleet.get(vmId)?.record;
        if (vm?.cordon === undefined) return;
        await change(vmId, vm.cordon, undefined);
        logger.info({ event: 'vm_uncordoned', vmId, by }, 'a VM is not cordoned any more');
        await events.enter(vm, 'vm_uncordoned', { by });
      }),
  };
}
