/** What survives `kill -9`: of the controller, and of the MIGlet, idle and with a job. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { VmResource } from '@mig/common/api/vm-resource';
import { until } from '@mig/testkit/github/until';
import { startSystem, type System } from './system.js';

const VM = 'demo-vm-1';
let system: System | undefined;

afterEach(async () => {
  await system?.cleanUp();
  system = undefined;
});

/** Waits, also over a restart of the controller. */
const vmWhen = (running: System, what: string, holds: (vm: VmResource) => boolean): Promise<VmResource> =>
  until(
    what,
    async () => {
      const vm = await running.vm(VM).catch(() => undefined);
      return vm !== undefined && holds(vm) ? vm : undefined;
    },
    30_000,
  );

const isReady = (vm: VmResource): boolean => vm.state === 'ready.idle' && vm.link === 'connected';

/** The states that the MIGlet went through, by its own log as the demo tells it. */
const statesTold = (running: System): string[] =>
  running.demo
    .output()
    .split('\n')
    .filter((line) => line.includes(VM) && /booting|registering|ready|drain/.test(line));

describe('kill -9 of the controller', () => {
  test('when it dies in ready, the VM stays ready, and commands from before and after arrive once each', async () => {
    system = await startSystem();
    const running = system;
    const before = await vmWhen(running, 'the VM is ready', isReady);
    const told = statesTold(running).length;

    const early = await running.submit(VM, 'set_log_level', { level: 'debug' });
    const [controller] = running.processes('controller.mjs');
    process.kill(controller ?? 0, 'SIGKILL');
    const late = await until(
      'a command is accepted by the controller after its restart',
      // Not another log level, which would take the place of the first if that has not gone out.
      () => running.submit(VM, 'update_config', { log_level: 'info' }).catch(() => undefined),
      20_000,
    );

    const done = await until(
      'both are completed',
      async () => {
        const commands = await running.commands(VM).catch(() => []);
        const mine = commands.filter((command) => command.id === early.id || command.id === late.id);
        return mine.length === 2 && mine.every((command) => command.state === 'completed') ? mine : undefined;
      },
      30_000,
    );
    expect(done.map((command) => command.id)).toEqual([early.id, late.id]);
    const after = await vmWhen(running, 'the VM is connected again', isReady);
    expect(after.boot_id).toBe(before.boot_id);
    // The machine never left ready, and was not registered again.
    expect(statesTold(running)).toHaveLength(told);
    // Each was taken once, by the VM's own journal.
    const journal = readFileSync(
      path.join(running.dataDirectory, 'vms', VM, 'state', 'commands.jsonl'),
      'utf8',
    );
    for (const { id } of [early, late]) {
      const taken = journal.split('\n').filter((line) => line.includes(`"taken","id":"${id}"`));
      expect(taken).toHaveLength(1);
    }
  }, 90_000);
});

describe('kill -9 of the MIGlet', () => {
  test('when it dies idle, the one that is started again announces itself anew and is registered again', async () => {
    system = await startSystem();
    const running = system;
    const before = await vmWhen(running, 'the VM is ready', isReady);
    const [miglet] = running.processes('miglet.mjs');
    process.kill(miglet ?? 0, 'SIGKILL');
    const events = await until(
      'it is registered again',
      async () => {
        const all = await running.events(VM);
        return all.filter((event) => event.type === 'runner_registered').length === 2 ? all : undefined;
      },
      30_000,
    );
    const types = events.map((event) => event.type);
    expect(types.filter((type) => type === 'vm_started')).toHaveLength(2);
    expect(types.lastIndexOf('vm_started')).toBeLessThan(types.lastIndexOf('runner_registered'));
    const after = await vmWhen(running, 'the VM is ready again', isReady);
    // The same life of the VM goes on, and its events are counted on.
    expect(after.boot_id).toBe(before.boot_id);
    expect(events.map((event) => event.sequence)).toEqual(events.map((_, index) => index + 1));
    expect(running.processes('Runner.Listener')).toHaveLength(1);
  }, 90_000);

  test('when it dies while a job runs, the job runs on to its end, and only then is the VM registered again', async () => {
    system = await startSystem();
    const running = system;
    await vmWhen(running, 'the VM is ready', isReady);
    await running.queueJob('a job before', 200);
    await until('the first job is told', async () =>
      (await running.events(VM)).some((event) => event.type === 'job_completed'),
    );
    await running.queueJob('a long job', 5_000);
    await vmWhen(running, 'the job runs', (vm) => vm.current_job?.name === 'a long job');
    const [worker] = await until('the worker runs', () => {
      const found = running.processes('Runner.Worker');
      return found.length === 1 ? found : undefined;
    });
    const [miglet] = running.processes('miglet.mjs');
    process.kill(miglet ?? 0, 'SIGKILL');
    const waiting = await vmWhen(
      running,
      'the new MIGlet waits for the job',
      (vm) => vm.state === 'registering.clearing.finishingJob',
    );
    expect(waiting.current_job?.name).toBe('a long job');
    expect(running.processes('Runner.Worker')).toEqual([worker]);
    await vmWhen(running, 'the VM is ready again', isReady);
    const jobs = (await running.events(VM)).filter((event) => event.type.startsWith('job_'));
    // Told once each, under one id, although two processes of the MIGlet heard of it (I4).
    expect(jobs.map((event) => [event.type, event.data['name']])).toEqual([
      ['job_started', 'a job before'],
      ['job_completed', 'a job before'],
      ['job_started', 'a long job'],
      ['job_completed', 'a long job'],
    ]);
    expect(jobs[2]?.data['job_id']).toBe(jobs[3]?.data['job_id']);
    expect(jobs[3]?.data).toMatchObject({ result: 'Succeeded' });
  }, 90_000);
});
