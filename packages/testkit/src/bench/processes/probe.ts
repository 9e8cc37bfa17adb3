/**
 * Runs inside every server, before its own program (`node --import`): says what only the process itself can know, its heap and
 * the delay of its event loop. The same in all of them, and next to nothing while nobody asks.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ProbeAnswer, ProbeRequest } from './probe-protocol.js';

/** The loop is looked at this often; what is measured includes it, and is told without it. */
const RESOLUTION_MS = 10;
const NANOSECONDS = 1e6;

const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();

process.on('message', (request: ProbeRequest) => {
  if (request.probe === 'resetDelay') delay.reset();
  if (request.probe === 'collectGarbage') collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  const answer: ProbeAnswer = {
    heapBytes: heapUsed + external,
    delayP99Ms: Math.max(0, delay.percentile(99) / NANOSECONDS - RESOLUTION_MS),
  };
  process.send?.(answer);
});
// Nothing is left behind when the harness is gone.
process.on('disconnect', () => process.exit(1));
// It must not keep its process from ending.
process.channel?.unref();

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
