/** Gives turns to what takes the processor for a while, at the pace that the event loop can bear, in the order in which it came. */
import type { Clock } from '@mig/common/clock';
import { LOOK_MS, createPace } from './pace.js';

/** @returns resolves when it is its turn; undefined = it is now */
export type Turn = () => Promise<void> | undefined;

export function createTurns(clock: Clock): Turn {
  const pace = createPace(clock);
  let waiting: (() => void)[] = [];

  function lookLater(): void {
    pace.wait();
    clock.setTimer(() => {
      pace.look();
      const count = waiting.findIndex(() => !pace.take());
      const go = count < 0 ? waiting : waiting.slice(0, count);
      waiting = waiting.slice(go.length);
      for (const begin of go) begin();
      if (waiting.length > 0) lookLater();
    }, LOOK_MS);
  }

  return () => {
    if (waiting.length === 0 && pace.take()) return undefined;
    return new Promise((resolve) => {
      waiting.push(resolve);
      if (waiting.length === 1) lookLater();
    });
  };
}
