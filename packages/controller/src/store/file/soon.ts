/** Does something for each of many names a while after it was asked to: what was asked for twice meanwhile is done once. */
import type { Clock } from '@mig/common/clock';

export interface Soon {
  add(name: string): void;
  /** Does now what waits; resolves when it is done. */
  flush(): Promise<void>;
}

export interface SoonOptions {
  readonly afterMs: number;
  /** So many at a time: others need the threads of the process more. */
  readonly parallel: number;
}

/** @param task must not reject */
export function createSoon(
  clock: Clock,
  task: (name: string) => Promise<void>,
  { afterMs, parallel }: SoonOptions,
): Soon {
  let waiting = new Set<string>();
  let timer: unknown;
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    clock.clearTimer(timer);
    timer = undefined;
    const names = waiting.values();
    waiting = new Set();
    const lane = async (): Promise<void> => {
      for (const name of names) await task(name);
    };
    await Promise.all(Array.from({ length: parallel }, lane));
    running = undefined;
    if (waiting.size > 0) arm();
  }

  function arm(): void {
    if (running === undefined) timer ??= clock.setTimer(() => void start(), afterMs);
  }

  function start(): Promise<void> {
    return (running ??= run());
  }

  return {
    add(name) {
      waiting.add(name);
      arm();
    },
    async flush() {
      await running;
      while (waiting.size > 0) await start();
    },
  };
}
