/** One VM's whole life across real processes, as `npm start` runs it and an operator drives it with migctl. */
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

async function reaches(running: System, state: string): Promise<VmResource> {
  return until(
    `${VM} is ${state}`,
    async () => {
      const vm = await running.vm(VM).catch(() => undefined);
      return vm?.state === state ? vm : undefined;
    },
    20_000,
  );
}

describe('a life', () => {
  test('when npm start runs, a VM boots, registers, runs a job, is drained and shut down by an operator', async () => {
    system = await startSystem();
    await reaches(system, 'ready.idle');

    const listed = await system.migctl('get', 'vms', '-o', 'json');
    expect(listed.code).toBe(0);
    expect((JSON.parse(listed.stdout) as { vms: VmResource[] }).vms).toMatchObject([
      { vm_id: VM, state: 'ready.idle', link: 'connected', liveness: 'alive', runner: { state: 'idle' } },
    ]);

    await system.queueJob('the job', 1_500);
    await system.queueJob('the next job', 1_500);
    await reaches(system, 'ready.busy');
    const drained = await system.migctl('drain', VM, '--wait', '--reason', 'maintenance');
    expect(drained).toMatchObject({ code: 0 });
    const types = (await system.events(VM)).map((event) => event.type);
    // The job ended by itself, before the runner was stopped; the next one was not begun.
    expect(types).toEqual([
      'vm_started',
      'runner_registered',
      'job_started',
      'draining',
      'job_completed',
      'runner_exited',
    ]);
    const job = (await system.events(VM)).find((event) => event.type === 'job_completed');
    expect(job?.data).toMatchObject({ name: 'the job', result: 'Succeeded' });
    expect((await system.vm(VM)).state).toBe('draining.drained');

    const down = await system.migctl('shutdown', VM, '--wait');
    expect(down).toMatchObject({ code: 0 });
    expect(await system.vm(VM)).toMatchObject({
      state: 'shutdown.done',
      link: 'disconnected',
      outcome: 'drained',
    });
    await until('the process of the MIGlet has ended', () => system?.processes('miglet.mjs').length === 0);
    expect((await system.events(VM)).at(-1)).toMatchObject({
      type: 'vm_shutting_down',
      data: { outcome: 'drained' },
    });
  }, 60_000);

  test('when Ctrl-C comes while a job runs, the job ends first, then everything, with exit code 0 and no process left', async () => {
    system = await startSystem();
    await reaches(system, 'ready.idle');
    await system.queueJob('a last job', 1_500);
    await reaches(system, 'ready.busy');
    const ended = await system.stop();
    expect(ended.code).toBe(0);
    expect(ended.stdout).toContain('job "a last job" ended: Succeeded');
    expect(system.processes('')).toEqual([]);
  }, 60_000);

  test('when the MIGlet is killed while everything ends, its job still ends first, and no process is left', async () => {
    system = await startSystem();
    await reaches(system, 'ready.idle');
    await system.queueJob('a last job', 3_000);
    await reaches(system, 'ready.busy');
    const running = system;
    const ended = running.stop();
    await until('it drains', () => running.demo.output().includes('lets the running job end first'));
    process.kill(running.processes('miglet.mjs')[0] ?? 0, 'SIGKILL');
    const { code, stdout } = await ended;
    expect(code).toBe(0);
    expect(stdout).toContain('job "a last job" ended: Succeeded');
    expect(running.processes('')).toEqual([]);
  }, 60_000);

  test('when it is started a second time on the same data, the VM begins another boot and what was known is still there', async () => {
    const first = await startSystem();
    system = first;
    const before = await reaches(first, 'ready.idle');
    await first.stop();

    system = await startSystem({ dataDirectory: first.dataDirectory });
    const after = await until(
      'the VM is ready in another boot',
      async () => {
        const vm = await system?.vm(VM);
        return vm?.state === 'ready.idle' && vm.boot_id !== before.boot_id ? vm : undefined;
      },
      20_000,
    );
    expect(after.first_seen_at).toBe(before.first_seen_at);
    const started = (await system.events(VM)).filter((event) => event.type === 'vm_started');
    expect(started).toHaveLength(2);
  }, 60_000);
});

describe('commands that cannot be carried out', () => {
  test('when a VM was never seen, a command for it is refused and says what to do', async () => {
    system = await startSystem();
    const refused = await system.migctl('set-log-level', 'ghost-vm', 'debug');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('ghost-vm');
    expect(refused.stderr).toContain('migctl get vms');
  }, 30_000);

  test('when a VM is known and offline, its commands are queued, and go out in their order when it returns', async () => {
    system = await startSystem();
    await reaches(system, 'ready.idle');
    await system.migctl('shutdown', VM, '--wait');
    const queued = await system.migctl('set-log-level', VM, 'debug');
    expect(queued.code).toBe(0);
    await system.submit(VM, 'update_config', { heartbeat_interval_ms: 5_000 });
    await system.submit(VM, 'set_log_level', { level: 'info' });
    await system.submit(VM, 'register_runner');
    const waiting = (await system.commands(VM)).slice(-4);
    // The second log level takes the place of the first.
    expect(waiting.map(({ state }) => state)).toEqual(['superseded', 'queued', 'queued', 'queued']);
    expect(waiting[0]?.superseded_by).toBe(waiting[2]?.id);
    await system.stop();

    system = await startSystem({ dataDirectory: system.dataDirectory });
    const last = await until(
      'all are completed',
      async () => {
        const commands = (await system?.commands(VM)) ?? [];
        const mine = commands.filter((command) => command.created_by === 'first-admin').slice(-3);
        return mine.length === 3 && mine.every((command) => command.state === 'completed') ? mine : undefined;
      },
      20_000,
    );
    expect(last.map((command) => command.type)).toEqual([
      'update_config',
      'set_log_level',
      'register_runner',
    ]);
    expect(last.map((command) => command.attempts)).toEqual([1, 1, 1]);
    const received = last.map((command) => command.received_at ?? '');
    expect(received).toEqual([...received].sort());
  }, 60_000);
});
