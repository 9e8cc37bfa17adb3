import type { Clock, Timer } from '@mig/common/clock';
import type { JobRequest } from './job.js';
import { seededRandom } from './seeded-random.js';

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
