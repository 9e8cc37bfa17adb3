/**
 * Events that the controller itself enters into the history of a VM, each tried again until it is stored.
 *
 * What they tell has happened and is durable in another place; so whoever enters one need not wait. Limit (I12): `MAX_OWED`
 * that could not be stored yet; above it the oldest is given up, and logged.
 */
import type { Clock } from '@mig/common/clock';
import type { Logger } from '@mig/common/logger';
import type { ControllerEventType, VmEvent } from '@mig/common/domain/event';
import type { VmIdentity } from '@mig/common/domain/vm';
import type { EventLog } from './event-log.js';

export interface ControllerEvents {
  /** Resolves when it was stored, or could not be for the first time. Never rejects. */
  enter(
    vm: VmIdentity & { readonly bootId: string },
    type: ControllerEventType,
    data: Readonly<Record<string, string>>,
  ): Promise<void>;
  /** Tries again what could not be stored. Called every second. */
  sweep(): void;
}

const MAX_OWED = 1_000;
const RETRY_MS = 5_000;

export function createControllerEvents({
  events,
  clock,
  logger,
}: {
  readonly events: EventLog;
  readonly clock: Clock;
  readonly logger: Logger;
}): ControllerEvents {
  /** In the order in which they were entered. */
  const owed: VmEvent[] = [];
  let triedAtMs = clock.monotonicMs();
  let trying = false;

  function owe(event: VmEvent): void {
    owed.push(event);
    if (owed.length <= MAX_OWED) return;
    const { vmId, type } = owed.shift() ?? event;
    logger.error({ vmId, type }, `an event was given up: ${MAX_OWED} could not be stored`);
  }

  const isStored = async (event: VmEvent): Promise<boolean> =>
    (await events.record(event, 'controller')).kind === 'stored';

  async function tryAgain(): Promise<void> {
    /** VMs whose next events must not overtake one that waits. */
    const held = new Set<string>();
    for (const event of [...owed]) {
      if (held.has(event.vmId)) continue;
      // It may be given up while it is tried.
      if (await isStored(event)) owed.splice(0, owed.length, ...owed.filter((other) => other !== event));
      else held.add(event.vmId);
    }
  }

  return {
    async enter({ vmId, poolId, orgId, bootId }, type, data) {
      const event = { vmId, poolId, orgId, bootId, type, data, at: clock.now(), sequence: 0 };
      if (owed.some((earlier) => earlier.vmId === vmId) || !(await isStored(event))) owe(event);
    },

    sweep() {
      if (trying || owed.length === 0 || clock.monotonicMs() - triedAtMs < RETRY_MS) return;
      triedAtMs = clock.monotonicMs();
      trying = true;
      void tryAgain().finally(() => (trying = false));
    },
  };
}
