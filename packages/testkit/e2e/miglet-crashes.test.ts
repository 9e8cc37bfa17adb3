/** A MIGlet that is killed between any two of its steps, seen from the outside: its runner, its controller, its journals. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import type { TestPoint } from '@mig/common/test-points';
import { createMigletFolder, type MigletFolder, type MigletProcess } from './miglet-process.js';
import { startScriptedController, type ScriptedController } from './scripted-controller.js';

let controller: ScriptedController;
let vm: MigletFolder;

async function setUp(env: Readonly<Record<string, string>> = {}): Promise<void> {
  controller = await startScriptedController();
  vm = createMigletFolder({
    MIGLET_CONTROLLER_ENDPOINT: controller.http,
    MIGLET_CONTROLLER_GRPC_ENDPOINT: controller.grpc,
    ...env,
  });
}
afterEach(async () => {
  vm.cleanUp();
  await controller.close();
});

const DEADLINE_MS = 20_000;
const allTold = (): boolean => controller.commands.every(({ result }) => result !== undefined);
/** Every command has been taken, finished and reported, once each: read when the last answers have been journaled. */
async function journalIsWhole(ids: readonly string[]): Promise<void> {
  const kindsOf = (id: string): string[] =>
    vm
      .journaledCommands()
      .filter((entry) => entry.id === id)
      .map(({ kind }) => kind);
  // The controller's word that it has the result comes after the result, so the last line is written last.
  await until(
    'every result is journaled as reported',
    () => ids.every((id) => kindsOf(id).includes('reported')),
    DEADLINE_MS,
  );
  for (const id of ids) expect([id, kindsOf(id)]).toEqual([id, ['taken', 'finished', 'reported']]);
}
const stateIs = (state: string): boolean => controller.heartbeats.at(-1)?.report.state === state;
const eventsHeard = () =>
  controller.timeline.flatMap((entry) => (entry.kind === 'event' ? [entry.event] : []));
const times = (list: readonly string[], value: string): number =>
  list.filter((item) => item === value).length;

/** It is killed there, and not by anything else. */
async function killedAt(process: MigletProcess, plan: string): Promise<void> {
  await until(`it is killed by ${plan}`, () => !process.alive, DEADLINE_MS);
  const { code, signal, stderr } = await process.exited;
  expect({ plan, code, signal, stderr }).toEqual({ plan, code: null, signal: 'SIGKILL', stderr: '' });
}

describe('kill -9 at every point, with commands under way', () => {
  /** At which passages of each point it is killed. */
  const PASSAGES: readonly (readonly [TestPoint, readonly number[]])[] = [
    ['intake.taken', [1, 2, 4]],
    ['intake.acknowledged', [1, 3]],
    ['results.reached', [1, 2, 3]],
    ['results.journaled', [1, 2, 3]],
    ['results.sent', [1, 3]],
    ['results.reported', [1, 2]],
    ['events.journaled', [1, 2]],
    ['events.sent', [1, 2]],
    ['events.acknowledged', [1, 2]],
    ['session.opened', [1, 1]],
    ['stream.sent', [1, 7]],
    ['drain.remembered', [1, 2]],
  ];

  test('when a MIGlet dies there, no command takes effect twice, every result and every event is told, and the last word holds', async () => {
    await setUp();
    let reasons = 0;
    for (const [point, passages] of PASSAGES) {
      for (const passage of passages) {
        const plan = `${point}=kill@${passage}`;
        const process = vm.start({ plan });
        for (let round = 0; round < 2; round += 1) {
          reasons += 1;
          controller.submit('set_log_level', { level: 'info' });
          controller.submit('drain', { reason: `reason ${reasons}` });
          controller.submit('update_config', { drain_deadline_ms: 0 });
          controller.submit('undrain', {});
        }
        await killedAt(process, plan);
      }
    }
    const last = vm.start();
    await until('every result is told', allTold, DEADLINE_MS);
    await until('the VM is in service', () => stateIs('ready.idle') && allTold(), DEADLINE_MS);

    // The runner: one registration per token, and one process at a time.
    const deeds = vm.deeds();
    for (const { parameters } of controller.commands) {
      const token = parameters['registration_token'];
      if (typeof token === 'string') expect(times(deeds, `configured ${token}`)).toBeLessThanOrEqual(1);
    }
    expect(times(deeds, 'started') - times(deeds, 'stopped')).toBe(1);

    await journalIsWhole(controller.commands.map(({ id }) => id));

    // What callers were told, by type.
    for (const { id, type, result } of controller.commands) {
      const code = result?.result['code'];
      if (type === 'register_runner') {
        if (result?.success === false)
          expect([id, result.message]).toEqual([
            id,
            expect.stringMatching(/interrupted|drained instead|undrain it first|newer registration/),
          ]);
      } else if (type === 'drain') {
        expect([id, result?.success === true || code === 'undrained']).toEqual([id, true]);
      } else expect([id, result?.success, result?.message]).toEqual([id, true, result?.message]);
    }

    // No drain takes effect after its result was told.
    const told = new Set<string>();
    const reasonOf = new Map(controller.commands.map(({ id, parameters }) => [id, parameters['reason']]));
    for (const entry of controller.timeline) {
      if (entry.kind === 'result') told.add(String(reasonOf.get(entry.id) ?? ''));
      else if (entry.event.type === 'draining') expect(told).not.toContain(entry.event.data['reason']);
    }

    // Every event was told, once, in its order (I4): none is missing, and the VM holds none back.
    const events = eventsHeard();
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1));
    expect(new Set(events.map(({ bootId }) => bootId)).size).toBe(1);
    await until('the journal of events is empty', () => {
      const entries = [...vm.journaledEvents().values()].flat();
      const acknowledged = Math.max(
        ...entries.map(({ kind, sequence }) => (kind === 'acknowledged' ? (sequence ?? 0) : 0)),
      );
      return acknowledged === eventsHeard().length;
    });

    last.signal('SIGTERM');
    expect(await last.exited).toMatchObject({ code: 0 });
  }, 90_000);

  test('when a shutdown is under way, the MIGlet ends once: the next one lives, and the shutdown and its last event are told', async () => {
    const points: readonly TestPoint[] = [
      'intake.taken',
      'intake.acknowledged',
      'results.reached',
      'results.journaled',
      'results.sent',
    ];
    await setUp();
    controller.registers = false;
    for (const point of points) {
      const killed = vm.start({ plan: `${point}=kill@1` });
      const shutdown = controller.submit('shutdown', { reason: point });
      await killedAt(killed, point);

      let running = vm.start();
      const told = (id: string): boolean =>
        controller.commands.find((command) => command.id === id)?.result !== undefined;
      await until(`the shutdown at ${point} is told`, () => told(shutdown), DEADLINE_MS);
      const begun = point.startsWith('results');
      if (!begun) {
        // Its effect had not begun: the next process ends in its place.
        expect(await running.exited).toMatchObject({ code: 0 });
        running = vm.start();
      }
      const probe = controller.submit('set_log_level', { level: 'info' });
      await until(`the MIGlet after ${point} lives`, () => told(probe), DEADLINE_MS);
      expect([point, running.alive]).toEqual([point, true]);
      const endings = eventsHeard().filter(
        ({ type, data }) => type === 'vm_shutting_down' && data['reason'] === point,
      );
      expect([point, endings.length]).toEqual([point, 1]);
      expect(controller.commands.find(({ id }) => id === shutdown)?.result).toMatchObject({ success: true });
      running.signal('SIGTERM');
      await running.exited;
    }
  }, 60_000);

  test.each([
    // The drain waits for the job; it is taken back on disk, and neither has an answer.
    ['drain.remembered=kill@2', ['drain', 'undrain'], 'registering.clearing.finishingJob'],
    ['intake.taken=kill@3', ['drain', 'undrain', 'drain'], 'draining.finishingJob'],
    ['intake.acknowledged=kill@1', ['drain'], 'draining.finishingJob'],
    ['drain.remembered=kill@1', ['drain'], 'draining.finishingJob'],
  ])(
    'when it dies at %s with a job and %j under way, they are done in their order, once, and the job runs on (I5)',
    async (plan, types, state) => {
      await setUp();
      const first = vm.start();
      await until('the VM is registered', () => stateIs('ready.idle'), DEADLINE_MS);
      vm.setJob(true);
      await until('the job runs', () => stateIs('ready.busy'), DEADLINE_MS);
      first.signal('SIGKILL');
      await first.exited;

      const killed = vm.start({ plan });
      const ids = types.map((type) => controller.submit(type, { reason: 'a test' }));
      await killedAt(killed, plan);
      const heartbeats = controller.heartbeats.length;
      vm.start();
      const isAt = (): boolean => controller.heartbeats.length > heartbeats && stateIs(state);
      const resultOf = (id: string) => controller.commands.find((command) => command.id === id)?.result;
      await until(`the VM is ${state}`, isAt, DEADLINE_MS);
      await until('what is taken back is told', () =>
        ids.every(
          (id, index) => types[index + 1] !== 'undrain' || resultOf(id)?.result['code'] === 'undrained',
        ),
      );
      expect(vm.deeds()).toEqual([expect.stringContaining('configured'), 'started']);

      vm.setJob(false);
      const rests = state.startsWith('draining') ? 'draining.drained' : 'ready.idle';
      await until(`the VM is ${rests}`, () => stateIs(rests) && allTold(), DEADLINE_MS);
      const jobs = eventsHeard().filter(({ type }) => type.startsWith('job_'));
      expect(jobs.map(({ type }) => type)).toEqual(['job_started', 'job_completed']);
      await journalIsWhole(ids);
    },
    60_000,
  );
});
