/**
 * Heartbeats as fast as the server takes them in, with a bound on what is under way: a VM sends a batch with a question behind
 * it; when that is answered it is the next VM's turn. So every VM takes part, and what is counted has been decoded and handled.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { createHeartbeats } from '../wire/vm-messages.js';
import type { Fleet } from './fleet.js';
import type { Asked, LoadAnswers } from './protocol.js';
import type { UseMeter } from './use-meter.js';

/** When a heartbeat of a saturated fleet says that the next one comes; any value will do. */
const SAID_INTERVAL_MS = 15_000;
/** What is under way is waited for this long when it is over. */
const LAST_ANSWERS_MS = 30_000;

export async function saturate(
  fleet: Fleet,
  { window, atOnce, warmUpMs, measuredMs }: Asked<'saturate'>,
  useMeter: UseMeter,
): Promise<LoadAnswers['saturate']> {
  const heartbeats = createHeartbeats(SAID_INTERVAL_MS);
  let taken = 0;
  let underWay = 0;
  let over = false;
  let whenQuiet = (): void => undefined;

  const { vms } = fleet;
  /** Whose turn it is, in a ring. */
  let turn = 0;

  function sendNext(): void {
    const vm = vms[turn % vms.length];
    turn += 1;
    underWay += 1;
    vm?.stream?.send(heartbeats.batch(vm.name, window, { question: true }), window + 1);
  }

  fleet.onAnswer = (_, answer) => {
    if (answer.kind !== 'question') return;
    underWay -= 1;
    taken += window;
    if (!over) sendNext();
    else if (underWay === 0) whenQuiet();
  };
  for (let sender = 0; sender < Math.min(atOnce, vms.length); sender += 1) sendNext();
  await pause(warmUpMs);
  const before = taken;
  const meter = useMeter();
  await pause(measuredMs);
  const use = meter();
  const counted = taken - before;
  over = true;
  const quiet = new Promise<void>((resolve) => (whenQuiet = resolve));
  const tooLate = pause(LAST_ANSWERS_MS, undefined, { ref: false }).then(() => {
    throw new Error(`${underWay} VMs got no answer within ${LAST_ANSWERS_MS / 1_000} s after the load ended`);
  });
  await Promise.race([quiet, tooLate]);
  fleet.onAnswer = () => undefined;
  return { heartbeats: counted, use };
}
