/** The parts of `npm run github-proof`, each for some seconds: what they promise is held against the real programs. */
import { setMaxListeners } from 'node:events';
import { afterEach, describe, expect, test } from '@jest/globals';
import { livesPart } from '@mig/testkit/github-proof/lives-part';
import { racesPart } from '@mig/testkit/github-proof/races-part';
import { secretsPart } from '@mig/testkit/github-proof/secrets-part';
import { createGround, type Ground, type OwnedGround } from '@mig/testkit/reliability/ground';
import type { PartResult } from '@mig/testkit/reliability/part';

/** A webhook whose first redelivery fails too is asked for again after 2 min. */
const BOUND_MS = 240_000;
const TIMEOUT_MS = BOUND_MS + 30_000;
let owned: OwnedGround | undefined;

afterEach(async () => {
  // Rejects if the stand-in GitHub had a defect.
  await owned?.cleanUp();
  owned = undefined;
}, 30_000);

/** What did not hold, with its evidence. */
async function broken(name: string, seed: number, run: (ground: Ground) => Promise<PartResult>) {
  const said: string[] = [];
  const signal = AbortSignal.timeout(BOUND_MS);
  setMaxListeners(0, signal);
  owned = createGround({ name: `${name}-test`, seed, signal, say: (text) => said.push(text), keep: false });
  try {
    const { verdicts } = await run(owned.ground);
    expect(verdicts.length).toBeGreaterThan(0);
    return verdicts.filter(({ held }) => !held).map(({ promise, evidence }) => ({ promise, evidence }));
  } catch (error) {
    throw new Error(`${name} did not come to its end; it said:\n${said.join('\n')}`, { cause: error });
  }
}

describe('GitHub', () => {
  test(
    'when VMs are registered, run a job and are registered again, GitHub and the controller agree on everything',
    async () => {
      const options = { vms: 12, rounds: 2, limited: false };
      expect(await broken('lives', 1, (ground) => livesPart.run(ground, options))).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    'when jobs race with deletions and all between GitHub and the controller fails, no job is killed and no VM stops with a registration that lives',
    async () => {
      const options = { vms: 12, seconds: 8, seed: 1, short: true };
      expect(await broken('races', 1, (ground) => racesPart.run(ground, options))).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    'when everything has run with every kind of secret, none is found in what is left',
    async () => {
      expect(await broken('secrets', 1, (ground) => secretsPart.run(ground, { seed: 1 }))).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
