import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DrainVmResource } from '@mig/common/api/drain-resource';
import { JumpingClock, migctl, type RunOptions } from '../run-migctl.contract.js';
import { ScriptedController } from '../scripted-controller.contract.js';

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

const changeAt = (atMs: number, vmId: string, fields: Partial<DrainVmResource>) =>
  clock.at(atMs, () => controller.drains.changeVm(vmId, fields, atMs));

const PLAN = 'a job that still runs 1h after its VM begins to drain is ended';
const RETURN =
  'return with `migctl wait drain drain-1`, see all with `migctl get drains`, take it back with `migctl undrain drain-1`';

describe('following a drain in a log', () => {
  it('when VMs move on, then each change is a line, time alone is none, and the end is told', async () => {
    controller.addVm('vm-2');
    controller.drains.firstVm = {
      state: 'waiting',
      reason: 'waits for its turn: 0 of at most 1 VMs drain now',
    };
    changeAt(1_000, 'vm-1', { state: 'draining', reason: 'job 8431 of org/app runs for 12 min' });
    changeAt(9_000, 'vm-1', { reason: 'job 8431 of org/app runs for 13 min' });
    changeAt(9_500, 'vm-2', { reason: 'waits for its turn: 1 of at most 1 VMs drain now' });
    changeAt(20_000, 'vm-1', { state: 'done', message: 'drained' });
    changeAt(20_500, 'vm-2', { state: 'draining', reason: 'is draining.deregistering' });
    changeAt(30_000, 'vm-2', { state: 'done', message: 'drained' });
    const { code, stdout, stderr } = await run('drain --pool linux --max-unavailable 1 --wait');
    expect({ code, stdout }).toEqual({ code: 0, stdout: '2 VMs drained in 30s (drain-1)\n' });
    expect(stderr).toBe(
      `drain-1: drains 2 VMs, at most 1 at a time; ${PLAN}\n` +
        'vm-1: waiting: waits for its turn: 0 of at most 1 VMs drain now\n' +
        'vm-2: waiting: waits for its turn: 0 of at most 1 VMs drain now\n' +
        '0 of 2 VMs done, 2 waiting\n' +
        'vm-1: draining: job 8431 of org/app runs for 12 min\n' +
        '0 of 2 VMs done, 1 draining, 1 waiting\n' +
        'vm-1: done\n' +
        '1 of 2 VMs done, 1 waiting\n' +
        'vm-2: draining: is draining.deregistering\n' +
        '1 of 2 VMs done, 1 draining\n',
    );
  });

  it('when it lasts, then it is asked after 250 ms first, and once a second later on', async () => {
    changeAt(10_000, 'vm-1', { state: 'done' });
    expect((await run('drain vm-1 --wait')).stdout).toBe('vm-1: drained in 10s (drain-1)\n');
    const looks = controller.requests.filter(({ path }) => path === '/api/v1/drains/drain-1').length;
    expect(looks).toBeGreaterThan(10);
    expect(looks).toBeLessThan(16);
  });

  it('when very many change at once, then 20 are named and the others counted, and a large drain is asked for less often', async () => {
    for (let index = 2; index <= 3_000; index += 1) controller.addVm(`vm-${index}`);
    const { code, stderr } = await run('drain --pool linux --wait --timeout 60s');
    expect(code).toBe(3);
    expect(stderr).toContain(
      'vm-20: draining\nand 2980 more VMs changed\n0 of 3000 VMs done, 3000 draining\n',
    );
    expect(stderr).toContain('error: timed out after 60s: 3000 of 3000 VMs not done\n');
    expect(stderr).toContain('  and 2980 more VMs; see `migctl describe drain drain-1`\n');
    const looks = controller.requests.filter(({ path }) => path === '/api/v1/drains/drain-1').length;
    expect(looks).toBeLessThan(30);
  });

  it('when the reason holds escape sequences, then the terminal gets only its text', async () => {
    controller.drains.firstVm = {
      state: 'draining',
      reason: 'job \u001b[31mx\u001b[0m\u0007\nvm-9: done of a/b',
    };
    const { stderr } = await run('drain vm-1 --wait --timeout 1s');
    expect(stderr).toContain('vm-1: draining: job x vm-9: done of a/b\n');
    expect(stderr).not.toMatch(/[^\n\P{Cc}]/u);
  });
});

describe('how it ends', () => {
  it.each<[DrainVmResource['state'], string]>([
    ['failed', 'the VM was not reached within 60 min'],
    ['gone', 'the VM came back as another boot, which is not drained'],
    ['cancelled', 'undrained'],
  ])('when a VM ends %s, then it is named with the reason and the exit code is 1', async (state, message) => {
    controller.addVm('vm-2');
    changeAt(500, 'vm-1', { state: 'done', message: 'drained' });
    changeAt(2_000, 'vm-2', { state, message });
    const { code, stdout, stderr } = await run('drain vm-1 vm-2 --wait');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '1 of 2 VMs drained in 2s (drain-1)\n' });
    expect(stderr).toMatch(new RegExp(`error: vm-2: ${state}: ${message}\n1 of 2 VMs not drained\n$`));
  });

  it('when it is to shut VMs down, then the summary says that it did', async () => {
    changeAt(500, 'vm-1', { state: 'shuttingDown' });
    changeAt(1_000, 'vm-1', { state: 'done', message: 'the VM has ended (drained)' });
    const { stdout, stderr } = await run('drain vm-1 --then shutdown --wait');
    expect(stdout).toBe('vm-1: drained and shut down in 1s (drain-1)\n');
    expect(stderr).toContain('vm-1: shuttingDown\n');
  });

  it('when somebody takes the drain back meanwhile, then it exits 1 and says so', async () => {
    clock.at(3_000, async () => {
      await fetch(`${controller.url}/api/v1/drains/drain-1`, { method: 'DELETE' });
    });
    const { code, stdout, stderr } = await run('drain vm-1 --wait');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/error: drain-1 was taken back\nerror: vm-1: cancelled: undrained\n$/);
  });

  it('when the timeout ends first, then it says what is not done and how to return, and exits 3', async () => {
    controller.drains.firstVm = { state: 'draining', reason: 'job 8431 of org/app runs for 12 min' };
    const { code, stdout, stderr } = await run('drain vm-1 --wait --timeout 30s');
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toBe(
      `drain-1: drains vm-1; ${PLAN}\n` +
        'vm-1: draining: job 8431 of org/app runs for 12 min\n' +
        'error: timed out after 30s: 1 of 1 VM not done\n' +
        '  vm-1: draining: job 8431 of org/app runs for 12 min\n' +
        `hint: the drain goes on; ${RETURN}\n`,
    );
    expect(clock.elapsedMs).toBe(30_000);
    expect(controller.drains.all.get('drain-1')?.state).toBe('active');
  });

  it('when -o is json, then it prints the drain as it ended', async () => {
    changeAt(500, 'vm-1', { state: 'done' });
    expect(JSON.parse((await run('drain vm-1 --wait -o json')).stdout)).toMatchObject({
      id: 'drain-1',
      state: 'completed',
      counts: { done: 1 },
    });
  });
});

describe('leaving and coming back', () => {
  it('when Ctrl-C comes, then the drain is left as it is, and it says how to return; the exit code is 130', async () => {
    const interrupt = new AbortController();
    clock.at(3_000, () => interrupt.abort());
    expect(await run('drain vm-1 --wait', { interrupt })).toEqual({
      code: 130,
      stdout: '',
      stderr: expect.stringMatching(/\nno longer following drain-1, which goes on\nhint: return with /),
      asked: [],
    });
    expect(controller.drains.all.get('drain-1')?.state).toBe('active');
    expect(controller.requests.filter(({ method }) => method === 'DELETE')).toEqual([]);
  });

  it('when Ctrl-C comes while the controller is away, then it is the same', async () => {
    const interrupt = new AbortController();
    clock.at(1_000, () => controller.stop());
    clock.at(5_000, () => interrupt.abort());
    expect(await run('drain vm-1 --wait', { interrupt })).toMatchObject({
      code: 130,
      stderr: expect.stringContaining(`no longer following drain-1, which goes on\nhint: ${RETURN}\n`),
    });
  });

  it('when `wait drain` returns to it, then it follows it to its end', async () => {
    controller.drains.add({ 'vm-1': { reason: 'is draining.deregistering' } });
    changeAt(2_000, 'vm-1', { state: 'done' });
    expect(await run('wait drain drain-1')).toEqual({
      code: 0,
      stdout: 'vm-1: drained in 2s (drain-1)\n',
      stderr: `drain-1: drains vm-1; ${PLAN}\nvm-1: draining: is draining.deregistering\n`,
      asked: [],
    });
  });

  it('when the drain has ended before, then it is told at once; when it is unknown, then that is said', async () => {
    controller.drains.add({ 'vm-1': {} });
    controller.drains.changeVm('vm-1', { state: 'done' });
    expect(await run('wait drain drain-1')).toMatchObject({ code: 0, stderr: '' });
    expect(await run('wait drain drain-9')).toMatchObject({
      code: 1,
      stderr:
        'error: drain drain-9 is not known\nhint: see `migctl get drains` for the drains that this controller knows\n',
    });
  });
});

describe('a controller that restarts', () => {
  it('when it is away for five minutes, then that is said once, and the wait goes on', async () => {
    clock.at(2_000, () => controller.stop());
    clock.at(302_000, async () => void (await controller.start()));
    changeAt(310_000, 'vm-1', { state: 'done' });
    const { code, stderr } = await run('drain vm-1 --wait');
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /^drain-1: .*\nvm-1: draining\nthe controller does not answer \(.+\); trying again for (9m59s|10m)\nthe controller answers again\n$/,
    );
  });

  it('when it stays away, then the wait gives up with exit code 1, and says that the drain goes on', async () => {
    clock.at(2_000, () => controller.stop());
    expect(await run('drain vm-1 --wait --reconnect-for 30s')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^error: no controller answers .*\nhint: the drain goes on; return with `/m,
      ),
    });
    expect(clock.elapsedMs).toBeLessThan(40_000);
  });

  it('when the timeout ends while it is away, then it is a timeout', async () => {
    clock.at(2_000, () => controller.stop());
    expect((await run('drain vm-1 --wait --timeout 5s')).code).toBe(3);
    expect(clock.elapsedMs).toBe(5_000);
  });
});

describe('following a drain on a terminal', () => {
  // eslint-disable-next-line no-control-regex -- what takes the lines away is what parts the frames
  const framesOf = (stderr: string): string[] => stderr.split(/\u001b\[\d+A\r\u001b\[J/);
  const terminal = { tty: true, env: { NO_COLOR: '1' } };

  it('when VMs move on, then a bar and the VMs that are not done are drawn anew, and are gone before the result', async () => {
    controller.addVm('vm-2');
    controller.addVm('vm-10');
    controller.drains.firstVm = { state: 'waiting', reason: 'waits for its turn' };
    changeAt(900, 'vm-10', { state: 'draining', reason: 'job 8431 of org/app runs for 12 min' });
    changeAt(1_000, 'vm-2', { state: 'failed', message: 'so it is' });
    changeAt(2_000, 'vm-10', { state: 'done' });
    changeAt(4_000, 'vm-1', { state: 'done' });
    const { code, stdout, stderr } = await run('drain --pool linux --wait', terminal);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '2 of 3 VMs drained in 4s (drain-1)\n' });
    const frames = framesOf(stderr);
    expect(frames[0]).toBe(
      `drain-1: drains 3 VMs; ${PLAN}\n` +
        '[....................] 0 of 3 VMs done, 3 waiting\n' +
        'vm-1   waiting  waits for its turn\n' +
        'vm-2   waiting  waits for its turn\n' +
        'vm-10  waiting  waits for its turn\n',
    );
    expect(frames).toContain(
      '[xxxxxx..............] 0 of 3 VMs done, 1 failed, 1 draining, 1 waiting\n' +
        'vm-10  draining  job 8431 of org/app runs for 12 min\n' +
        'vm-2   failed    so it is\n' +
        'vm-1   waiting   waits for its turn\n',
    );
    expect(frames.at(-1)).toBe('error: vm-2: failed: so it is\n1 of 3 VMs not drained\n');
  });

  it('when there are more VMs than lines, or a line is too long, then it stays within the terminal', async () => {
    controller.drains.firstVm = { state: 'draining', reason: '日本語🚀'.repeat(40) };
    for (let index = 2; index <= 100; index += 1) controller.addVm(`vm-${index}`);
    const { stderr } = await run('drain --pool linux --wait --timeout 1s', terminal);
    const frame = (framesOf(stderr)[1] ?? '').trimEnd().split('\n');
    expect(frame).toHaveLength(28);
    expect(frame.at(-1)).toBe('and 74 more VMs');
    // 100 columns; each of these characters fills two.
    expect(frame[1]).toMatch(/^vm-1 {3}draining {2}(日本語🚀)+…$/u);
    expect(Array.from(frame[1] ?? '').length).toBeLessThan(60);
  });

  it('when the terminal is made narrower, then the broken lines are taken away too', async () => {
    changeAt(1_000, 'vm-1', { reason: 'x'.repeat(80) });
    changeAt(3_000, 'vm-1', { state: 'done' });
    let columns = 100;
    clock.at(2_000, () => void (columns = 50));
    const { stderr } = await run('drain vm-1 --wait', { ...terminal, columns: () => columns });
    // The bar is one line, the 96 places of the VM's line are two by now.
    expect(stderr).toContain('\u001b[3A\r\u001b[J');
  });

  it('when the controller is away, then a line says for how long it is tried', async () => {
    clock.at(500, () => controller.stop());
    const { stderr } = await run('drain vm-1 --wait --timeout 20s', terminal);
    expect(stderr).toMatch(/the controller does not answer \(connection refused\); trying again for 1\ds\n/);
  });
});
