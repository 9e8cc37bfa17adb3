/** The queue against a model of it that fits on a page: whatever is done, in whatever order, both say the same. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { COMMAND_SPECS, type CommandType } from '@mig/common/domain/command-types';
import { isFinal, type CommandState } from '@mig/common/domain/command-state';
import { createParts, settled, type FakeLink, type Parts } from '../parts.contract.js';
import { createMemoryStore } from '../store/memory-store.contract.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const PARAMETERS: Partial<Record<CommandType, Record<string, string>>> = {
  drain: {},
  undrain: {},
  register_runner: {},
  set_log_level: { level: 'debug' },
};
/** Nothing is forgotten while a test looks on. */
const KEEP = { finishedRetentionMs: 1_000 * 24 * HOUR_MS };
const FAMILIES = [['drain', 'undrain'], ['set_log_level']];

interface ModelCommand {
  readonly id: string;
  readonly type: string;
  state: CommandState;
  attempts: number;
  /** What is left of its deadlines; milliseconds. */
  deliveryMs: number;
  executionMs: number;
}

interface Model {
  readonly commands: ModelCommand[];
  connected: boolean;
}

interface Real {
  parts: Parts;
  link: FakeLink | undefined;
}

type Command = fc.AsyncCommand<Model, Real, true>;

const openOf = (model: Model): ModelCommand[] => model.commands.filter(({ state }) => !isFinal(state));
const nth = (model: Model, n: number): ModelCommand | undefined => model.commands[n % model.commands.length];

function compare(model: Model, { parts }: Real): void {
  const real = parts.queue.list({}).map(({ id, state, attempts }) => ({ id, state, attempts }));
  expect(real).toEqual(model.commands.map(({ id, state, attempts }) => ({ id, state, attempts })));
  expect(parts.queue.open('vm-1').map(({ id }) => id)).toEqual(openOf(model).map(({ id }) => id));
  // Whatever is told is on disk, too; what was sent may be found as queued by the next controller, never the other way.
  for (const { id, state } of real) expect(parts.store.commands.get(id)?.state).toBe(state);
}

/** A command of the model that is named, can always run, and is compared after it. */
const command = (name: string, run: (model: Model, real: Real) => Promise<void>): Command => ({
  check: () => Promise.resolve(true),
  async run(model, real) {
    await run(model, real);
    await settled();
    compare(model, real);
  },
  toString: () => name,
});

const submit = (type: CommandType, deliveryMs: number): Command =>
  command(`submit ${type} ${deliveryMs}`, async (model, { parts }) => {
    const { id } = await parts.submit({
      type,
      parameters: PARAMETERS[type] ?? {},
      deliveryDeadlineMs: deliveryMs,
    });
    const family = FAMILIES.find((types) => types.includes(type)) ?? [];
    for (const older of openOf(model)) {
      if (!model.connected && older.state === 'queued' && older.attempts === 0 && family.includes(older.type))
        older.state = 'superseded';
    }
    const executionMs = deliveryMs + COMMAND_SPECS[type].executionDeadlineMs;
    model.commands.push({ id, type, state: 'queued', attempts: 0, deliveryMs, executionMs });
  });

const connect = command('connect', async (model, real) => {
  if (model.connected) return;
  real.link = real.parts.connect();
  model.connected = true;
});

const disconnect = command('disconnect', async (model, real) => {
  if (real.link !== undefined) real.parts.disconnect(real.link);
  real.link = undefined;
  model.connected = false;
  for (const sent of model.commands) if (sent.state === 'sent') sent.state = 'queued';
});

const send = command('send the first that waits', async (model, { parts }) => {
  const first = model.commands.find(({ state }) => state === 'queued');
  if (!model.connected || first === undefined) return;
  expect(parts.queue.deliverable('vm-1').find(({ state }) => state === 'queued')?.id).toBe(first.id);
  await parts.queue.markSent(first.id, 'boot-1');
  first.state = 'sent';
  first.attempts += 1;
});

const received = (n: number): Command =>
  command(`received ${n}`, async (model, { parts }) => {
    const target = nth(model, n);
    if (target === undefined) return;
    const ack = { commandId: target.id, phase: 'received', success: true, message: '', result: {} } as const;
    expect(await parts.queue.acknowledge('vm-1', ack)).toEqual({ resultStored: false });
    if (target.state === 'queued' || target.state === 'sent') target.state = 'received';
  });

const completed = (n: number, success: boolean): Command =>
  command(`completed ${n} ${success}`, async (model, { parts }) => {
    const target = nth(model, n);
    if (target === undefined) return;
    const ack = { commandId: target.id, phase: 'completed', success, message: '', result: {} } as const;
    expect(await parts.queue.acknowledge('vm-1', ack)).toEqual({ resultStored: true });
    if (!isFinal(target.state)) target.state = success ? 'completed' : 'failed';
  });

const cancel = (n: number): Command =>
  command(`cancel ${n}`, async (model, { parts }) => {
    const target = nth(model, n);
    if (target === undefined) return;
    const may = target.state === 'queued' || target.state === 'sent';
    const cancelling = parts.queue.cancel(target.id);
    if (may) await expect(cancelling).resolves.toMatchObject({ state: 'cancelled' });
    else await expect(cancelling).rejects.toThrow(/only what the VM has not yet taken/);
    if (may) target.state = 'cancelled';
  });

const passTime = (ms: number): Command =>
  command(`${ms / MINUTE_MS} min pass`, async (model, { parts }) => {
    parts.clock.advance(ms);
    parts.queue.sweep();
    for (const open of openOf(model)) {
      open.deliveryMs -= ms;
      open.executionMs -= ms;
      const left =
        open.state === 'queued'
          ? Math.min(open.deliveryMs, open.executionMs) + (open.attempts > 0 ? HOUR_MS : 0)
          : open.executionMs + MINUTE_MS;
      if (left <= 0) open.state = 'expired';
    }
  });

const restart = command('the controller is killed and starts again', async (model, real) => {
  const { store, clock } = real.parts;
  const next = createParts({
    store: createMemoryStore({ commands: [...store.commands.values()] }),
    limits: KEEP,
  });
  next.clock.advance(clock.now() - next.clock.now());
  real.parts = next;
  real.link = undefined;
  model.connected = false;
  for (const sent of model.commands) if (sent.state === 'sent') sent.state = 'queued';
  // What the record says is what it was; what the next controller makes of `sent` it writes when it moves it.
  for (const { id } of next.queue.list({})) next.store.commands.set(id, next.queue.get(id));
});

const number = fc.nat(30);
const commands = fc.commands<Model, Real, true>(
  [
    fc
      .tuple(
        fc.constantFrom<CommandType>('drain', 'undrain', 'register_runner', 'set_log_level'),
        fc.constantFrom(MINUTE_MS, HOUR_MS),
      )
      .map(([type, ms]) => submit(type, ms)),
    fc.constantFrom(connect, disconnect, send, send, restart),
    number.map(received),
    fc.tuple(number, fc.boolean()).map(([n, success]) => completed(n, success)),
    number.map(cancel),
    fc.constantFrom(MINUTE_MS, 30 * MINUTE_MS, HOUR_MS, 8 * 24 * HOUR_MS).map(passTime),
  ],
  { maxCommands: 60, size: 'max' },
);

describe('the queue and its model', () => {
  it('say the same after every step (I1, I2, I3, I6)', async () => {
    await fc.assert(
      fc.asyncProperty(commands, async (steps) => {
        await fc.asyncModelRun(
          () => ({
            model: { commands: [], connected: false },
            real: { parts: createParts({ limits: KEEP }), link: undefined },
          }),
          steps,
        );
      }),
      { seed: 7, numRuns: Number(process.env['MODEL_RUNS'] ?? 200) },
    );
  }, 60_000);
});
