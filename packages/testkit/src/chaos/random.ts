/**
 * Decisions by chance that can be had again: each concern has a stream of its own, named by what it decides, so that one that
 * draws more or less than before changes nothing for the others.
 */
import { createHash } from 'node:crypto';
import { createSeededRandom } from '../system/seeded-random.js';

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** A whole number from `min` to `max`, both included. */
  int(min: number, max: number): number;
  chance(probability: number): boolean;
  /** @throws Error if there is nothing to pick from */
  pick<T>(choices: readonly T[]): T;
  /** One of the values, each as often as its weight says. */
  weighted<T>(choices: readonly (readonly [weight: number, value: T])[]): T;
}

/** The same seed and name give the same stream, on every machine. */
export function createRandom(seed: number, ...name: readonly (string | number)[]): Random {
  const digest = createHash('sha256')
    .update(`${seed}/${name.join('/')}`)
    .digest();
  const next = createSeededRandom(digest.readUInt32LE(0));

  function pick<T>(choices: readonly T[]): T {
    const choice = choices[Math.floor(next() * choices.length)];
    if (choice === undefined) throw new Error('there is nothing to pick from');
    return choice;
  }

  return {
    next,
    int: (min, max) => min + Math.floor(next() * (max - min + 1)),
    chance: (probability) => next() < probability,
    pick,
    weighted(choices) {
      let left = next() * choices.reduce((sum, [weight]) => sum + weight, 0);
      for (const [weight, value] of choices) {
        left -= weight;
        if (left < 0) return value;
      }
      return pick(choices)[1];
    },
  };
}
