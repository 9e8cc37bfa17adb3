import type { Clock, Timer } from '@mig/common/clock';
import type { JobRequest } from './job.js';

export interface JobGeneratorOptions {
  readonly everyMs: number;
  readonly minDurationMs: number;
  readonly maxDurationMs: number;
  /** The same seed gives the same jobs. */
  readonly seed: number;
  /** None is made while this many wait for a runner. */
  readonly maxQueued: number;
}

const NAMES = [
  'build',
  'unit tests',
  'lint',
  'integration tests',
  'package',
  'docs',
  'release notes',
  'smoke test',
];

/** Queues a job with a random name and duration now and then, until it is stopped. */
export function createJobGenerator(
  deps: { clock: Clock; queue: (job: JobRequest) => void; queuedCount: () => number },
  options: JobGeneratorOptions,
): { stop(): void } {
  const random = seededRandom(options.seed);
  let timer: Timer;

  function next(): void {
    if (deps.queuedCount() < options.maxQueued) {
      const span = options.maxDurationMs - options.minDurationMs;
      const name = NAMES[Math.floor(random() * NAMES.length)] ?? 'build';
      deps.queue({ name, durationMs: Math.round(options.minDurationMs + random() * span) });
    }
    timer = deps.clock.setTimer(next, options.everyMs);
  }

  timer = deps.clock.setTimer(next, options.everyMs);
  return { stop: () => deps.clock.clearTimer(timer) };
}

/** Numbers in [0, 1) that depend on the seed alone (mulberry32, by Tommy Ettinger, public domain). */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
