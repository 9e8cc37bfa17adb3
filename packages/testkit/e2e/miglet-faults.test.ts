/** A MIGlet's process whose folder is taken, whose disk is full, or whose controller ends. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { createMigletFolder, type MigletFolder } from './miglet-process.js';
import { startScriptedController, type ScriptedController } from './scripted-controller.js';

let controller: ScriptedController;
let vm: MigletFolder;

beforeEach(async () => {
  controller = await startScriptedController();
  controller.registers = false;
  vm = createMigletFolder({
    MIGLET_CONTROLLER_ENDPOINT: controller.http,
    MIGLET_CONTROLLER_GRPC_ENDPOINT: controller.grpc,
  });
});
afterEach(async () => {
  vm.cleanUp();
  await controller.close();
});

const stateIs = (state: string): boolean => controller.heartbeats.at(-1)?.report.state === state;
const resultOf = (id: string) => controller.commands.find((command) => command.id === id)?.result;

describe('one MIGlet per state folder', () => {
  test('when one lives, a second one ends with 1 and says who holds the folder; when it was killed, the next takes over', async () => {
    const first = vm.start();
    await until('it is connected', () => stateIs('registering.awaitingCommand'));
    const second = await vm.start().exited;
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(
      `the state folder ${vm.stateDirectory} is in use by another MIGlet (process `,
    );
    expect(second.stderr).toContain('state_dir');
    expect(first.alive).toBe(true);

    first.signal('SIGKILL');
    await first.exited;
    const streams = controller.streamsAt.length;
    const third = vm.start();
    await until('the next one is connected', () => controller.streamsAt.length > streams);
    third.signal('SIGTERM');
    expect(await third.exited).toMatchObject({ code: 0 });
  }, 30_000);
});

describe('a disk that is full', () => {
  test('when its journal cannot be written, commands are refused and never begun, and the MIGlet and its job live', async () => {
    controller.registers = true;
    // A process may write 16 KiB per file (in blocks of 512 bytes); the write that crosses it is torn.
    const limited = vm.start({ shell: 'ulimit -f 32' });
    await until('the VM is registered', () => stateIs('ready.idle'), 20_000);
    vm.setJob(true);
    await until('the job runs', () => stateIs('ready.busy'));

    const ids: string[] = [];
    for (let n = 0; n < 200; n += 1) ids.push(controller.submit('set_log_level', { level: 'info' }));
    await until('each is answered', () => ids.every((id) => resultOf(id) !== undefined), 20_000);
    const refused = ids.filter((id) => resultOf(id)?.result['code'] === 'journal-unavailable');
    expect(refused.length).toBeGreaterThan(20);
    expect(resultOf(refused[0] ?? '')?.message).toContain('free space');
    const journal = vm.journaledCommands();
    expect(statSync(path.join(vm.stateDirectory, 'commands.jsonl')).size).toBeLessThanOrEqual(16 * 1024);
    // What was begun is in the journal, whole; what was refused is not.
    const taken = journal.filter(({ kind }) => kind === 'taken').map(({ id }) => id);
    expect(taken.filter((id) => refused.includes(id))).toEqual([]);
    expect(ids.filter((id) => !refused.includes(id) && !taken.includes(id))).toEqual([]);
    expect([limited.alive, stateIs('ready.busy')]).toEqual([true, true]);

    // With space again, what ended and could not be written is told a second time, and nothing is begun again.
    limited.signal('SIGKILL');
    await limited.exited;
    const streams = controller.streamsAt.length;
    vm.start();
    await until('the next one is connected', () => controller.streamsAt.length > streams, 20_000);
    const probe = controller.submit('set_log_level', { level: 'info' });
    await until('it takes commands', () => resultOf(probe)?.success === true);
    vm.setJob(false);
    await until('the VM is registered again', () => stateIs('ready.idle'), 20_000);
    expect(vm.deeds().filter((deed) => deed === 'stopped')).toHaveLength(1);
    const jobs = controller.timeline.flatMap((entry) =>
      entry.kind === 'event' && entry.event.type.startsWith('job_') ? [entry.event.type] : [],
    );
    expect(jobs).toEqual(['job_started', 'job_completed']);
  }, 60_000);
});

describe('a controller that ends', () => {
  test('when it asks to be called again after a time, the stream is closed in order and opened then', async () => {
    vm.start();
    await until('it is connected', () => stateIs('registering.awaitingCommand'));
    const toldAt = performance.now();
    controller.tell({ kind: 'reconnect', afterMs: 1_200, reason: 'the controller stops' });
    await until('the stream is closed', () => !controller.connected);
    expect(performance.now() - toldAt).toBeLessThan(1_000);
    await until('another is opened', () => controller.streamsAt.length === 2);
    const waitedMs = (controller.streamsAt[1] ?? 0) - toldAt;
    expect(waitedMs).toBeGreaterThan(1_150);
  }, 20_000);

  test('when it takes fewer heartbeats, they come less often, and each says when the next is to be expected', async () => {
    controller.ack = { heartbeatIntervalMs: 60_000 };
    vm.start();
    await until('a heartbeat has come', () => controller.heartbeats.length > 0);
    expect(controller.heartbeats.at(-1)?.intervalMs).toBe(60_000);
    const before = controller.heartbeats.length;
    // Its own setting, one a second, is the least.
    controller.tell({ kind: 'heartbeatPolicy', intervalMs: 100 });
    await until('they come more often', () => controller.heartbeats.length > before + 1);
    expect(controller.heartbeats.at(-1)?.intervalMs).toBe(1_000);
  }, 20_000);

  test('when it is away while the VM ends, the next MIGlet hands over what the ended boot left untold', async () => {
    const first = vm.start();
    await until('it is connected', () => stateIs('registering.awaitingCommand'));
    controller.goAway(true);
    await until('the stream is gone', () => !controller.connected);
    first.signal('SIGTERM');
    await until('it ends', () => vm.log.some((entry) => entry['to'] === 'shutdown.flushing'));
    first.signal('SIGKILL');
    await first.exited;
    controller.goAway(false);
    vm.start();
    const heard = await until('another boot begins', () => {
      const events = controller.timeline.flatMap((entry) => (entry.kind === 'event' ? [entry.event] : []));
      return events.filter(({ type }) => type === 'vm_started').length === 2 ? events : undefined;
    });
    expect(heard.map(({ type }) => type)).toEqual([
      'vm_started',
      'draining',
      'vm_shutting_down',
      'vm_started',
    ]);
    expect(heard.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 1]);
    expect(heard[2]?.bootId).toBe(heard[0]?.bootId);
    await until('only its own journal is left', () => vm.journaledEvents().size === 1);
  }, 40_000);
});
