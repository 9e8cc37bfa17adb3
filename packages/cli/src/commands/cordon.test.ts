import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { JumpingClock, migctl, type RunOptions } from '../run-migctl.contract.js';
import { makeJob, ScriptedController } from '../scripted-controller.contract.js';

let controller: ScriptedController;
beforeEach(async () => {
  controller = await new ScriptedController().start();
  controller.addVm('vm-1');
  controller.addVm('vm-2', { current_job: makeJob('build'), state: 'ready.busy' });
  controller.addVm('gpu-1', { pool_id: 'gpu' });
});
afterEach(() => controller.stop());
const run = (line: string, options: RunOptions = {}) => migctl(line.split(' '), { controller, ...options });

const posts = () => controller.requests.filter(({ method }) => method === 'POST');
const cordoned = () =>
  [...controller.vms.values()].filter(({ cordon }) => cordon !== undefined).map(({ vm_id }) => vm_id);

describe('cordon', () => {
  it('when VMs are named, then each is cordoned with the reason, and a job that goes on is named', async () => {
    expect(await run('cordon vm-1 vm-2 vm-1 --reason disk')).toMatchObject({
      code: 0,
      stdout: 'vm-1: cordoned\nvm-2: cordoned; job build goes on\n',
      stderr: '',
    });
    expect(posts().map(({ path, body }) => [path, body])).toEqual([
      ['/api/v1/vms/vm-1/cordon', { reason: 'disk' }],
      ['/api/v1/vms/vm-2/cordon', { reason: 'disk' }],
    ]);
  });

  it('when a pool, or labels, are given, then their VMs are cordoned, but not those that have shut down', async () => {
    controller.addVm('gpu-2', { pool_id: 'gpu', state: 'shutdown.done' });
    expect((await run('cordon --pool gpu')).stdout).toBe('gpu-1: cordoned\n');
    const runner = { state: 'idle' as const, configured: true, runner_name: 'r' };
    controller.changeVm('vm-1', { runner: { ...runner, labels: ['large', 'fast'] } });
    controller.changeVm('vm-2', { labels: ['large'] });
    expect((await run('cordon --labels large,fast')).stdout).toBe('vm-1: cordoned\n');
    expect(cordoned()).toEqual(['vm-1', 'gpu-1']);
  });

  it('when no VM has the labels, or the pool none, then it exits 1', async () => {
    expect(await run('cordon --labels nobody')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no VM has a runner with the labels nobody'),
    });
    expect((await run('cordon --pool lunix')).code).toBe(1);
  });

  it('when all are cordoned, then a person is asked, and a script needs --yes', async () => {
    expect(await run('cordon --all', { answers: ['n'] })).toMatchObject({
      code: 1,
      asked: [`cordon all 3 VMs of ${controller.url}? [y/N] `],
    });
    expect(await run('cordon --all')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('add --yes'),
    });
    expect(cordoned()).toEqual([]);
    expect((await run('cordon --all --yes')).code).toBe(0);
    expect(cordoned()).toEqual(['vm-1', 'vm-2', 'gpu-1']);
  });

  it('when one of several is unknown, then the others are cordoned, and the exit code is 1', async () => {
    expect(await run('cordon vm-1 ghost')).toMatchObject({
      code: 1,
      stdout: 'vm-1: cordoned\n',
      stderr:
        'error: VM ghost has never been seen by this controller: check the name with "migctl get vms"\n',
    });
    expect(await run('cordon ghost')).toMatchObject({ code: 1, stdout: '' });
  });

  it('when -o is json, then one VM is an object and several are a list', async () => {
    expect(JSON.parse((await run('cordon vm-1 -o json')).stdout)).toMatchObject({
      vm_id: 'vm-1',
      eligible: false,
      cordon: { reason: '', by: 'operator' },
    });
    expect(JSON.parse((await run('cordon vm-1 vm-2 -o json')).stdout)).toMatchObject({
      vms: [{ vm_id: 'vm-1' }, { vm_id: 'vm-2' }],
    });
  });

  it('when a fleet of 200 is cordoned, then at most 16 requests run at once and one line sums them up', async () => {
    let open = 0;
    let most = 0;
    controller.intercept = (_, response) => {
      open += 1;
      most = Math.max(most, open);
      response.on('finish', () => (open -= 1));
      return false;
    };
    for (let index = 0; index < 197; index += 1) controller.addVm(`fleet-${index}`);
    expect(await run('cordon --all --yes')).toMatchObject({ code: 0, stdout: '200 VMs cordoned\n' });
    expect(most).toBeLessThanOrEqual(16);
  });

  it('when the controller restarts in the middle, then it is waited for, and none is left out', async () => {
    for (let index = 0; index < 60; index += 1) controller.addVm(`fleet-${index}`);
    const clock = new JumpingClock().at(5_000, async () => void (await controller.start()));
    let seen = 0;
    controller.intercept = ({ method }) => {
      seen += method === 'POST' ? 1 : 0;
      if (seen !== 30) return false;
      seen += 1;
      void controller.stop();
      return true;
    };
    expect(await run('cordon --all --yes', { clock })).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('the controller answers again'),
    });
    expect(cordoned()).toHaveLength(63);
  });

  it('when it goes away for good in the middle, then the rest is named, and the exit code is 1', async () => {
    for (let index = 0; index < 60; index += 1) controller.addVm(`fleet-${index}`);
    let seen = 0;
    controller.intercept = ({ method }) => {
      seen += method === 'POST' ? 1 : 0;
      if (seen < 30) return false;
      void controller.stop();
      return true;
    };
    expect(await run('cordon --all --yes')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/: not cordoned, as far as is known: .*fleet-59\n$/),
    });
  });
});

describe('uncordon', () => {
  const cordon = { reason: '', by: 'operator', at: '2026-11-21T11:00:00.000Z' };

  it('when VMs are named, then they may take jobs again', async () => {
    controller.changeVm('vm-1', { cordon, eligible: false });
    expect(await run('uncordon vm-1')).toMatchObject({ code: 0, stdout: 'vm-1: uncordoned\n' });
    expect(posts().map(({ path }) => path)).toEqual(['/api/v1/vms/vm-1/uncordon']);
    expect(controller.vms.get('vm-1')).toMatchObject({ eligible: true });
  });

  it('when a VM drains as well, then it is said that it still takes no jobs', async () => {
    controller.changeVm('vm-1', { cordon, drain_id: 'drain-7' });
    controller.changeVm('vm-2', { cordon, state: 'draining.drained' });
    expect((await run('uncordon vm-1 vm-2')).stdout).toBe(
      'vm-1: uncordoned, but it is being drained by drain-7\n' +
        'vm-2: uncordoned, but it takes no new jobs yet (draining.drained)\n',
    );
  });

  it('when all are uncordoned, then only those are asked of that are cordoned, and nobody is asked', async () => {
    controller.changeVm('gpu-1', { cordon });
    expect(await run('uncordon --all', { answers: [] })).toMatchObject({
      code: 0,
      stdout: 'gpu-1: uncordoned\n',
      asked: [],
    });
    expect(posts()).toHaveLength(1);
    expect(await run('uncordon --all')).toMatchObject({
      code: 0,
      stderr: 'Nothing to do: none of these VMs is cordoned.\n',
    });
  });
});

describe('wrong usage', () => {
  it.each([
    ['cordon', 'no VM is named'],
    ['cordon vm-1 --pool p', 'VM names, --pool, --labels and --all exclude each other'],
    [`cordon vm-1 --reason ${'x'.repeat(1_001)}`, 'At most 1000 characters'],
    ['uncordon a/b', 'cannot be the name of a VM'],
    ['uncordon vm-1 --reason r', "unknown option '--reason'"],
  ])('when the line is `migctl %s`, then it exits 2 and says: %s', async (line, message) => {
    expect(await run(line)).toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
    expect(controller.requests).toEqual([]);
  });
});
