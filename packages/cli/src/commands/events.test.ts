import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { JumpingClock, migctl, type RunOptions } from '../run-migctl.contract.js';
import { ScriptedController } from '../scripted-controller.contract.js';

let controller: ScriptedController;
let clock: JumpingClock;
let interrupt: AbortController;
beforeEach(async () => {
  controller = await new ScriptedController().start();
  clock = new JumpingClock();
  interrupt = new AbortController();
  controller.addVm('vm-1');
  controller.addVm('vm-2', { pool_id: 'gpu' });
  controller.addVm('quiet');
  controller.addEvent('vm-1', 'e1', 'vm_started', { note: 'hello world' });
  controller.addEvent('vm-2', 'e2', 'vm_started');
});
afterEach(() => controller.stop());
const run = (line: string, options: RunOptions = {}) =>
  migctl(line.split(' '), { controller, clock, interrupt, ...options });
const typesIn = (stdout: string): string[] =>
  stdout
    .trim()
    .split('\n')
    .map((line) => line.split('  ').slice(1, 3).join(' '));
const stopAt = (atMs: number) => clock.at(atMs, () => interrupt.abort());

describe('events', () => {
  it('when it does not follow, then it prints the newest of all VMs, one line each, and ends', async () => {
    const { code, stdout } = await run('events');
    expect(code).toBe(0);
    expect(stdout).toBe(
      '2026-11-21 11:59:00Z  vm-1  vm_started  note="hello world"\n2026-11-21 11:59:00Z  vm-2  vm_started\n',
    );
  });

  it('when --tail or --pool is given, then there are fewer', async () => {
    expect(typesIn((await run('events --tail 1')).stdout)).toEqual(['vm-2 vm_started']);
    expect(typesIn((await run('events --pool linux')).stdout)).toEqual(['vm-1 vm_started']);
  });

  it('when the VM is unknown, then it exits 1', async () => {
    expect(await run('events ghost -f')).toMatchObject({ code: 1, stderr: expect.stringContaining('ghost') });
  });
});

describe('events -f', () => {
  it('when events come, then each is printed once, and Ctrl-C is no failure', async () => {
    clock.at(1_500, () => controller.addEvent('vm-1', 'e3', 'job_started'));
    clock.at(3_500, () => controller.addEvent('vm-2', 'e4', 'draining'));
    stopAt(6_000);
    const { code, stdout } = await run('events -f');
    expect(code).toBe(0);
    expect(typesIn(stdout)).toEqual([
      'vm-1 vm_started',
      'vm-2 vm_started',
      'vm-1 job_started',
      'vm-2 draining',
    ]);
  });

  it('when all are followed, then only VMs with something new are asked for events', async () => {
    clock.at(2_500, () => controller.addEvent('vm-1', 'e3', 'job_started'));
    stopAt(8_000);
    await run('events -f --tail 0');
    const asked = controller.requests.filter(({ path }) => path.endsWith('/events'));
    expect(asked.map(({ path, query }) => [path, query.get('after')])).toEqual([
      ['/api/v1/vms/vm-1/events', 'e1'],
    ]);
  });

  it('when one VM is followed, then it is asked for what came after the last', async () => {
    clock.at(1_500, () => controller.addEvent('vm-1', 'e3', 'job_started'));
    clock.at(1_500, () => controller.addEvent('vm-2', 'e4', 'draining'));
    stopAt(4_000);
    expect(typesIn((await run('events vm-1 -f')).stdout)).toEqual(['vm-1 vm_started', 'vm-1 job_started']);
  });

  it('when a VM is new, then its events are shown from the first', async () => {
    clock.at(1_500, () => {
      controller.addEvent('vm-9', 'e5', 'vm_started');
      controller.addEvent('vm-9', 'e6', 'runner_registered');
    });
    stopAt(4_000);
    expect(typesIn((await run('events -f --tail 0')).stdout)).toEqual([
      'vm-9 vm_started',
      'vm-9 runner_registered',
    ]);
  });

  it('when more events came than one answer holds, then none is missed', async () => {
    clock.at(1_500, () => {
      for (let index = 1_000; index < 3_200; index += 1)
        controller.addEvent('vm-1', `f${index}`, 'job_started');
    });
    stopAt(4_000);
    expect(typesIn((await run('events -f --tail 0')).stdout)).toHaveLength(2_200);
  });

  it('when -o is json, then each line is an event', async () => {
    stopAt(1_500);
    const lines = (await run('events -f -o json')).stdout.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      ...(controller.events.get('vm-1') ?? []),
      ...(controller.events.get('vm-2') ?? []),
    ]);
  });

  it('when the controller restarts, then it goes on without a gap or a repeat', async () => {
    clock.at(2_000, () => controller.stop());
    clock.at(200_000, async () => {
      await controller.start();
      controller.addEvent('vm-1', 'e3', 'job_started');
    });
    stopAt(210_000);
    const { code, stdout, stderr } = await run('events -f --tail 1');
    expect(code).toBe(0);
    expect(typesIn(stdout)).toEqual(['vm-2 vm_started', 'vm-1 job_started']);
    expect(stderr).toMatch(
      /^the controller does not answer \(.+\); trying again\nthe controller answers again\n$/,
    );
  });

  it('when the reader goes away, then it ends quietly', async () => {
    const { code, stderr } = await run('events -f', {
      stdout: {
        write: (_, taken) => taken?.(),
        on: (_, listener) =>
          void clock.at(2_000, () => listener(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))),
      },
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(clock.elapsedMs).toBeLessThan(4_000);
  });
});
