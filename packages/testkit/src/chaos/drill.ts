/**
 * A drill at rest: the controller is killed with nothing else wrong, and every VM is sent a command at once. How long until
 * each VM has connected again and has carried its command out?
 */
import { isFinal } from '@mig/common/domain/command-state';
import type { OperatorApi } from '../system/operator-api.js';
import { waitUntil } from '../system/wait.js';
import type { Caller } from './caller.js';
import type { World } from './world.js';

const DEADLINE_MS = 60_000;
const LOOK_MS = 50;

export interface DrillDeps {
  readonly world: World;
  readonly askFor: (deadlineMs: number) => OperatorApi;
  readonly caller: Caller;
  readonly vmIds: readonly string[];
  readonly signal: AbortSignal;
}

/** @returns milliseconds from the kill until the last VM had carried its command out */
export async function drill({ world, askFor, caller, vmIds, signal }: DrillDeps): Promise<number> {
  const api = askFor(DEADLINE_MS);
  const startedMs = performance.now();
  world.controller.kill();
  const order = { type: 'set_log_level', parameters: { level: 'info' } } as const;
  const told = await Promise.all(vmIds.map((vmId) => caller.submit({ vmId, ...order })));
  const left = new Set(told.flatMap(({ accepted }) => accepted.slice(0, 1).map(({ id }) => id)));
  await waitUntil(
    'after a kill of the controller every VM is commanded again',
    async () => {
      for (const id of left) {
        if (!isFinal((await api.command(id)).state)) break;
        left.delete(id);
      }
      return left.size === 0;
    },
    { deadlineMs: DEADLINE_MS, everyMs: LOOK_MS, signal },
  );
  return performance.now() - startedMs;
}
