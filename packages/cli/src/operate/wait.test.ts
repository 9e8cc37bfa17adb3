import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { JumpingClock, migctl, type RunOptions } from '../run-migctl.contract.js';
import { makeJob, ScriptedController } from '../scripted-controller.contract.js';

let controller: ScriptedController;
let clock: JumpingClock;
beforeEach(async () => {
  controller = await new ScriptedController().start();
  controller.addVm('vm-1');
  clock = new JumpingClock();
});
afterEach(() => controller.stop());
const run = (line: string, options: RunOptions = {}) =>
  migctl(line.split(' '), { controller, clock, ...options });

const finishAt = (atMs: number, vmId = 'vm-1') =>
  clock.at(atMs, () => controller.changeCommandOf(vmId, { state: 'completed' }));

describe('register --wait', () => {
  it('when a job runs, then it says what it waits for, once per change, and succeeds when the command has ended', async () => {
    clock.at(1_000, () => {
      controller.changeVm('vm-1', { state: 'draining.finishingJob', current_job: makeJob('build') });
      controller.changeCommandOf('vm-1', { state: 'received' });
    });
    finishAt(20_000);
    const { code, stdout, stderr } = await run('register vm-1 --wait');
    expect(stderr).toBe('vm-1: queued\nvm-1: draining.finishingJob: job build runs for 2m14s\n');
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'vm-1: registered in 20s\n' });
  });

  it('when it lasts, then it is asked after 250 ms first and once a second later on', async () => {
    finishAt(10_000);
    await run('register vm-1 --wait');
    const looks = controller.requests.filter(({ path }) => path === '/api/v1/commands/cmd-1').length;
    expect(looks).toBeGreaterThan(10);
    expect(looks).toBeLessThan(16);
  });

  it('when the VM is offline, then it says that the command is queued for its return', async () => {
    controller.changeVm('vm-1', { link: 'disconnected', liveness: 'lost' });
    const { code, stderr } = await run('register vm-1 --wait --timeout 30s');
    expect(code).toBe(3);
    expect(stderr).toBe(
      'vm-1: queued: the VM is disconnected and lost, and gets it when it returns\n' +
        'error: timed out after 30s: 1 of 1 VM not done\n' +
        '  vm-1: queued: the VM is disconnected and lost, and gets it when it returns\n' +
        'hint: the registration goes on; look at it with: migctl get commands --vm vm-1\n',
    );
    expect(clock.elapsedMs).toBe(30_000);
  });

  it.each(['failed', 'expired', 'cancelled', 'superseded'] as const)(
    'when the command ends %s, then it exits 1 and says why',
    async (state) => {
      clock.at(500, () => controller.changeCommandOf('vm-1', { state, message: 'so it is' }));
      expect(await run('register vm-1 --wait')).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringContaining(`error: vm-1: registration ${state}: so it is (cmd-1)\n`),
      });
    },
  );

  it('when the controller forgets the command, then it exits 1', async () => {
    clock.at(500, () => controller.commands.clear());
    expect(await run('register vm-1 --wait')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no longer knows command cmd-1'),
    });
  });

  it('when one of three fails and one is late, then each is named and the exit code is 1', async () => {
    controller.addVm('vm-2');
    controller.addVm('vm-3');
    finishAt(500);
    clock.at(600, () => controller.changeCommandOf('vm-2', { state: 'failed', message: 'no' }));
    const { code, stdout, stderr } = await run('register vm-1 vm-2 vm-3 --wait --timeout 10s');
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'vm-1: registered\n' });
    expect(stderr).toMatch(/^vm-1: done$/m);
    expect(stderr).toMatch(/^vm-2: failed$/m);
    expect(stderr).toMatch(/^error: vm-2: registration failed: no/m);
    expect(stderr).toMatch(/^error: timed out after 10s: 1 of 3 VMs not done\n {2}vm-3: queued$/m);
  });

  it('when an unknown VM is among them, then the others are waited for all the same', async () => {
    finishAt(500);
    expect(await run('register vm-1 ghost --wait')).toMatchObject({
      code: 1,
      stdout: 'vm-1: registered in 0s\n',
      stderr: expect.stringContaining('VM ghost has never been seen'),
    });
  });

  it('when -o is json, then it prints the command as it ended', async () => {
    finishAt(500);
    expect(JSON.parse((await run('register vm-1 --wait -o json')).stdout)).toMatchObject({
      id: 'cmd-1',
      state: 'completed',
    });
  });

  it('when Ctrl-C comes, then it says that the registration goes on and how to look, and exits 130', async () => {
    const interrupt = new AbortController();
    clock.at(3_000, () => interrupt.abort());
    expect(await run('register vm-1 --wait', { interrupt })).toMatchObject({
      code: 130,
      stderr: expect.stringMatching(
        /^no longer waiting for vm-1\nhint: the registration goes on; look at it with: migctl get commands --vm vm-1$/m,
      ),
    });
  });

  it('when it is a change of the log level, then the default timeout is a minute', async () => {
    expect((await run('set-log-level vm-1 debug --wait')).code).toBe(3);
    expect(clock.elapsedMs).toBe(60_000);
  });
});

describe('shutdown --wait', () => {
  beforeEach(() => {
    finishAt(1_000);
  });

  it('when the command has ended, then it still waits until the VM is disconnected and shut down', async () => {
    clock.at(1_000, () => controller.changeVm('vm-1', { state: 'shutdown.flushing' }));
    clock.at(5_000, () => controller.changeVm('vm-1', { state: 'shutdown.done', link: 'disconnected' }));
    const { code, stdout, stderr } = await run('shutdown vm-1 --wait');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^vm-1: shut down in [56]s\n$/),
    });
    expect(stderr).toContain('vm-1: shutdown.flushing: waits for its connection to end\n');
  });

  it('when the VM only loses its connection, then that is not the end', async () => {
    clock.at(2_000, () => controller.changeVm('vm-1', { link: 'disconnected' }));
    expect((await run('shutdown vm-1 --wait --timeout 10s')).code).toBe(3);
  });

  it('when the VM is back in a new life before its end was seen, then the old one has ended', async () => {
    clock.at(5_000, () => controller.changeVm('vm-1', { boot_id: 'boot-2', state: 'booting' }));
    expect((await run('shutdown vm-1 --wait --timeout 10s')).code).toBe(0);
  });
});

describe('many VMs', () => {
  it('when 80 are shut down, then lists are asked for, not every VM, and a line counts them', async () => {
    for (let index = 2; index <= 80; index += 1) controller.addVm(`vm-${index}`);
    for (let index = 1; index <= 80; index += 1) {
      clock.at(index * 250, () => {
        controller.changeCommandOf(`vm-${index}`, { state: 'completed' });
        controller.changeVm(`vm-${index}`, { state: 'shutdown.done', link: 'disconnected' });
      });
    }
    const { code, stdout, stderr } = await run('shutdown --all --yes --wait');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^80 VMs shut down in 2\ds\n$/),
    });
    expect(stderr).toMatch(/^0 of 80 VMs done, 80 waited for\n\d+ of 80 VMs done, \d+ waited for\n/);
    expect(stderr.trim().split('\n').length).toBeLessThan(6);
    expect(controller.requests.length).toBeLessThan(2_000);
  });
});

describe('a controller that restarts', () => {
  it('when it is away for 30 seconds, then the wait says so, goes on, and succeeds', async () => {
    clock.at(2_000, () => controller.stop());
    clock.at(32_000, async () => void (await controller.start()));
    finishAt(40_000);
    const { code, stdout, stderr } = await run('register vm-1 --wait');
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'vm-1: registered in 40s\n' });
    expect(stderr).toMatch(
      /^vm-1: queued\nthe controller does not answer \(.+\); trying again for (59|60)s\nthe controller answers again\n$/,
    );
  });

  it('when it stays away for a minute, then the wait gives up with exit code 1', async () => {
    clock.at(2_000, () => controller.stop());
    const { code, stderr } = await run('register vm-1 --wait');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^error: no controller answers .*\nhint: the registration goes on; look at it with: migctl get commands --vm vm-1$/m,
    );
    expect(clock.elapsedMs).toBeGreaterThanOrEqual(60_000);
    expect(clock.elapsedMs).toBeLessThan(70_000);
  });

  it('when the timeout ends while it is away, then it is a timeout', async () => {
    clock.at(2_000, () => controller.stop());
    expect((await run('register vm-1 --wait --timeout 5s')).code).toBe(3);
    expect(clock.elapsedMs).toBe(5_000);
  });

  it('when --reconnect-for is short, then it gives up after that', async () => {
    clock.at(2_000, () => controller.stop());
    expect((await run('register vm-1 --wait --reconnect-for 3s')).code).toBe(1);
    expect(clock.elapsedMs).toBeLessThan(7_000);
  });
});

describe('the live lines of a terminal', () => {
  it('when the state changes, then the lines are drawn anew, and are gone before the result', async () => {
    controller.addVm('vm-2');
    clock.at(900, () =>
      controller.changeVm('vm-1', { state: 'draining.finishingJob', current_job: makeJob('build') }),
    );
    clock.at(900, () => controller.changeCommandOf('vm-1', { state: 'received' }));
    finishAt(3_000);
    finishAt(2_000, 'vm-2');
    const { code, stderr } = await run('register vm-1 vm-2 --wait', { tty: true, env: { NO_COLOR: '1' } });
    expect(code).toBe(0);
    expect(stderr).toContain(
      '0 of 2 VMs done, 2 waited for\nvm-1: queued\nvm-2: queued\n\u001b[3A\r\u001b[J',
    );
    expect(stderr).toContain('vm-1: draining.finishingJob: job build runs for 2m15s\n');
    expect(stderr).toContain('1 of 2 VMs done, 1 waited for\nvm-1: ');
    expect(stderr.endsWith('\u001b[J')).toBe(true);
  });

  it('when a line is longer than the terminal is wide, then it is cut; when there are many VMs, then the rest is counted', async () => {
    controller.changeVm('vm-1', { state: 'draining', state_reason: 'x'.repeat(300) });
    for (let index = 2; index <= 15; index += 1) controller.addVm(`vm-${index}`);
    controller.firstState = 'received';
    const { stderr } = await run('register --all --wait --timeout 1s', { tty: true, env: { NO_COLOR: '1' } });
    const live = stderr.slice(0, stderr.lastIndexOf('\u001b[J'));
    expect(live).toContain('and 5 more VMs\n');
    expect(Math.max(...live.split('\n').map((line) => line.length))).toBeLessThan(115);
  });

  it('when the controller is away, then a line says for how long it is tried', async () => {
    clock.at(500, () => controller.stop());
    const { stderr } = await run('register vm-1 --wait --timeout 20s', { tty: true });
    expect(stderr).toMatch(/the controller does not answer \(connection refused\); trying again for 1\ds/);
  });
});
