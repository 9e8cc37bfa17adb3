/**
 * Delivery as a model of two parties: messages lost, doubled, swapped, streams cut, and either side dying between any two of
 * its steps. What must hold at the end, whatever happened: I1, I2, I4, I6.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isFinal } from '@mig/common/domain/command-state';
import { createTwoParties, type Fate, type TwoParties } from './two-parties.js';

const RUNS = Number(process.env['MODEL_RUNS'] ?? 300);

type Move = (parties: TwoParties) => Promise<void> | void;
interface Step {
  readonly name: string;
  readonly move: Move;
}
const step = (name: string, move: Move): Step => ({ name, move });

const COMMANDS: readonly [string, Record<string, string | number>][] = [
  ['register_runner', {}],
  ['drain', {}],
  ['undrain', {}],
  ['shutdown', {}],
  ['set_log_level', { level: 'debug' }],
  ['update_config', { drain_deadline_ms: 5 }],
];
const submit = fc
  .constantFrom(...COMMANDS)
  .map(([type, parameters]) => step(`submit ${type}`, (parties) => parties.submit(type, parameters)));
const small = fc.nat(5);
const when = fc.constantFrom('before' as const, 'after' as const);

const steps = (fates: readonly Fate[]): fc.Arbitrary<Step> => {
  const fate = fc.constantFrom(...fates);
  const diskStep = fc.constant(step('the disk writes', (parties) => parties.diskStep()));
  return fc.oneof(
    { weight: 6, arbitrary: submit },
    { weight: 14, arbitrary: diskStep },
    { weight: 12, arbitrary: fate.map((f) => step(`to the VM: ${f}`, (parties) => parties.toVm(f))) },
    {
      weight: 12,
      arbitrary: fate.map((f) => step(`to the controller: ${f}`, (parties) => parties.toController(f))),
    },
    { weight: 5, arbitrary: fc.constant(step('connect', (parties) => parties.connect())) },
    { weight: 4, arbitrary: small.map((n) => step(`finish ${n}`, (parties) => parties.finish(n))) },
    {
      weight: 4,
      arbitrary: fc
        .constantFrom('job_started', 'job_completed', 'draining')
        .map((type) => step(`event ${type}`, (parties) => parties.happen(type))),
    },
    { weight: 1, arbitrary: small.map((n) => step(`cancel ${n}`, (parties) => parties.cancel(n))) },
    { weight: 2, arbitrary: fc.constant(step('cut', (parties) => parties.cut())) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(small, when)
        .map(([n, at]) => step(`doom ${at} write ${n + 1}`, (parties) => parties.doom(n + 1, at))),
    },
    { weight: 1, arbitrary: fc.constant(step('kill the VM', (parties) => parties.killVm())) },
    {
      weight: 2,
      arbitrary: small.map((n) =>
        step(`kill the controller, ${n} writes done`, (parties) => parties.killController(n)),
      ),
    },
    { weight: 1, arbitrary: fc.constant(step('a minute passes', (parties) => parties.passTime(60_000))) },
  );
};

async function play(moves: readonly Step[]): Promise<TwoParties> {
  const parties = createTwoParties();
  await parties.connect();
  for (const { move } of moves) await move(parties);
  await parties.calmDown();
  return parties;
}

function check(parties: TwoParties): void {
  const commands = new Map(parties.commands().map((command) => [command.id, command]));
  // I1: what was accepted is there, and has come to an end.
  for (const id of parties.accepted) {
    const command = commands.get(id);
    expect(command === undefined ? `${id} is lost` : isFinal(command.state)).toBe(true);
  }
  for (const id of parties.cancelled) expect(commands.get(id)?.state).toBe('cancelled');
  for (const command of commands.values()) {
    const begun = parties.effects.filter((effect) => effect.id === command.id);
    const lives = begun.map((effect) => effect.life);
    // I2: once in a life of the MIGlet; a registration once in all.
    expect(new Set(lives).size).toBe(lives.length);
    if (command.type === 'register_runner') expect(lives.length).toBeLessThanOrEqual(1);
    if (command.state === 'completed') expect(lives.length).toBeGreaterThanOrEqual(1);
    const unreached = command.state === 'expired' || command.state === 'superseded';
    if (unreached && !(command.message ?? '').includes('the VM had already taken it'))
      expect(lives).toEqual([]);
    if (command.state === 'completed') expect(command.message).toBe('done');
  }
  expect(parties.unreported()).toEqual([]);
  // I4: each event once, in order.
  expect(parties.storedSequences()).toEqual([...parties.journaled].sort((a, b) => a - b));
}

const named = (moves: readonly Step[]): string => moves.map(({ name }) => name).join(', ');

describe('delivery between two parties that die and a network that loses', () => {
  test('every accepted command ends, takes effect at most once, and its result is recorded; every event is stored once, in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(steps(['arrives', 'arrives', 'arrives', 'lost', 'doubled', 'swapped']), {
          minLength: 10,
          maxLength: 120,
          size: 'max',
        }),
        async (moves) => {
          const parties = await play(moves);
          try {
            check(parties);
          } catch (error) {
            throw new Error(`after: ${named(moves)}`, { cause: error });
          }
        },
      ),
      { seed: 4, numRuns: RUNS },
    );
  }, 120_000);

  test('commands of a VM take effect in the order of their submission, when the stream keeps its order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(steps(['arrives']), { minLength: 10, maxLength: 120, size: 'max' }),
        async (moves) => {
          const parties = await play(moves);
          check(parties);
          const order = new Map(parties.commands().map((command) => [command.id, command.sequence]));
          const begun = [...new Set(parties.effects.map((effect) => effect.id))].map(
            (id) => order.get(id) ?? 0,
          );
          expect(begun).toEqual([...begun].sort((a, b) => a - b));
        },
      ),
      { seed: 5, numRuns: RUNS },
    );
  }, 120_000);
});
