/** What is asked of each VM, and when: chosen by the seed alone. */
import { setTimeout as pause } from 'node:timers/promises';
import type { CommandResource } from '@mig/common/api/command-resource';
import { LOG_LEVELS } from '@mig/common/domain/log-level';
import type { CommandOrder } from '../system/operator-api.js';
import type { Control, Ground } from './ground.js';

/** What a caller was told of one of its commands. */
export interface Accepted {
  readonly vmId: string;
  readonly command: CommandResource;
}

interface PlannedOrder {
  readonly atMs: number;
  readonly order: CommandOrder;
}

/** How often each type is asked for, of 100. A VM that is drained by one command is brought back by a later one. */
const SHARES: readonly (readonly [type: string, share: number])[] = [
  ['set_log_level', 36],
  ['update_config', 36],
  ['drain', 11],
  ['undrain', 11],
  ['register_runner', 6],
];
/** The shortest heartbeat that an update asks for. */
const MIN_HEARTBEAT_MS = 15_000;

/** @returns for every VM its orders, in their order */
export function planOrders(
  random: () => number,
  vmIds: readonly string[],
  options: { readonly commandCount: number; readonly windowMs: number },
): ReadonlyMap<string, readonly PlannedOrder[]> {
  const plans = new Map(vmIds.map((vmId) => [vmId, [] as PlannedOrder[]]));
  const times = Array.from({ length: options.commandCount }, () => random() * options.windowMs).sort(
    (a, b) => a - b,
  );
  times.forEach((atMs, index) => {
    const vmId = vmIds[index % vmIds.length] ?? '';
    plans.get(vmId)?.push({ atMs, order: planOrder(random, index) });
  });
  return plans;
}

function planOrder(random: () => number, index: number): CommandOrder {
  const type = pickType(random() * 100);
  const level = LOG_LEVELS[Math.floor(random() * LOG_LEVELS.length)] ?? 'info';
  switch (type) {
    case 'set_log_level':
      return { type, parameters: { level } };
    case 'update_config':
      return {
        type,
        parameters: { heartbeat_interval_ms: MIN_HEARTBEAT_MS + (index % 1_000), log_level: level },
      };
    case 'register_runner':
      return { type, parameters: {} };
    default:
      return { type, parameters: { reason: `order ${index}` } };
  }
}

function pickType(share: number): string {
  let sum = 0;
  for (const [type, part] of SHARES) {
    sum += part;
    if (share < sum) return type;
  }
  return 'set_log_level';
}

/**
 * One caller for each VM: hands in its orders in their order, each when its time has come, and not before the one before it
 * was accepted. Resolves when all were accepted.
 */
export async function submitAll(
  ground: Ground,
  control: Control,
  plans: ReadonlyMap<string, readonly PlannedOrder[]>,
  onAccepted: (accepted: Accepted) => void,
): Promise<void> {
  const startedAt = performance.now();
  await Promise.all(
    [...plans].map(async ([vmId, orders]) => {
      for (const [index, { atMs, order }] of orders.entries()) {
        const waitMs = startedAt + atMs - performance.now();
        if (waitMs > 0) await pause(waitMs, undefined, { signal: ground.signal });
        const command = await control.api.submit(vmId, order, `${vmId}-${index}`);
        onAccepted({ vmId, command });
      }
    }),
  );
}
