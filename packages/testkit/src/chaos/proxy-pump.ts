/** One direction of one connection through the proxy: reads one socket, writes the other, as late as the conditions say. */
import type net from 'node:net';
import { reset } from './reset.js';
import type { Conditions } from './tcp-proxy.js';

export interface Pump {
  /** The conditions have changed. */
  wake(): void;
  /** After so many more bytes `onBytesSpent` is called, and nothing more passes. */
  limitBytes(bytes: number): void;
  /** From now on everything that comes is thrown away. */
  swallow(): void;
  /** The sender was reset: the receiver is too, when what was under way has passed. */
  reset(): void;
  stop(): void;
}

export interface PumpOptions {
  readonly conditions: () => Conditions;
  readonly random: () => number;
  readonly onData: (chunk: Buffer) => void;
  readonly onBytesSpent: () => void;
}

/** What waits to pass is bounded: above this the sender is not read. */
const MAX_WAITING_BYTES = 1_048_576;

/** That the sender has finished, or was reset, passes like a byte. */
type Passing = Buffer | 'end' | 'reset';

interface Item {
  readonly chunk: Passing;
  readonly dueAtMs: number;
}

export function createPump(from: net.Socket, to: net.Socket, options: PumpOptions): Pump {
  const waiting: Item[] = [];
  let waitingBytes = 0;
  let lastDueAtMs = 0;
  let allowedBytes = Infinity;
  let swallows = false;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;

  function enqueue(chunk: Passing): void {
    if (swallows || stopped) return;
    const { latencyMs, jitterMs, bytesPerSecond } = options.conditions();
    const size = typeof chunk === 'string' ? 0 : chunk.length;
    const arrivesAtMs = performance.now() + latencyMs + options.random() * jitterMs;
    // In order, and after the time that those before it take on a narrow line.
    lastDueAtMs = Math.max(lastDueAtMs, arrivesAtMs) + (size / bytesPerSecond) * 1_000;
    waiting.push({ chunk, dueAtMs: lastDueAtMs });
    waitingBytes += size;
    if (waitingBytes > MAX_WAITING_BYTES) from.pause();
    run();
  }

  function run(): void {
    clearTimeout(timer);
    timer = undefined;
    while (waiting.length > 0 && !stopped && !options.conditions().blackHole) {
      const [next] = waiting;
      if (next === undefined) break;
      const inMs = next.dueAtMs - performance.now();
      if (inMs > 0) {
        timer = setTimeout(run, inMs);
        return;
      }
      waiting.shift();
      pass(next.chunk);
    }
  }

  function pass(chunk: Passing): void {
    if (to.destroyed) return;
    if (chunk === 'end') {
      to.end();
      return;
    }
    if (chunk === 'reset') {
      reset(to);
      return;
    }
    waitingBytes -= chunk.length;
    const allowed = chunk.subarray(0, allowedBytes);
    allowedBytes -= allowed.length;
    options.onData(allowed);
    to.write(allowed, () => {
      if (allowedBytes <= 0) options.onBytesSpent();
    });
    if (allowedBytes <= 0) stopped = true;
    else if (waitingBytes <= MAX_WAITING_BYTES) from.resume();
  }

  from.on('data', enqueue);
  from.on('end', () => enqueue('end'));

  return {
    wake() {
      // On a network that has healed, what waited need not wait for what slowed it.
      const { latencyMs, jitterMs, bytesPerSecond } = options.conditions();
      if (latencyMs + jitterMs === 0 && bytesPerSecond === Infinity) {
        lastDueAtMs = 0;
        const nowMs = performance.now();
        for (const [index, item] of waiting.entries())
          waiting[index] = { ...item, dueAtMs: Math.min(item.dueAtMs, nowMs) };
      }
      run();
    },
    limitBytes(bytes) {
      allowedBytes = bytes;
    },
    swallow() {
      swallows = true;
      waiting.length = 0;
      waitingBytes = 0;
      clearTimeout(timer);
      from.resume();
    },
    reset: () => enqueue('reset'),
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
