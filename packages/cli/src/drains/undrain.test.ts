import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { JumpingClock, migctl, type RunOptions } from '../run-migctl.contract.js';
import { ScriptedController } from '../scripted-controller.contract.js';

let controller: ScriptedController;
beforeEach(async () => {
  controller = await new ScriptedController().start();
  for (const vm of ['vm-1', 'vm-2', 'vm-3']) controller.addVm(vm);
});
afterEach(() => controller.stop());
const run = (line: string, options: RunOptions = {}) => migctl(line.split(' '), { controller, ...options });

describe('undrain of a drain', () => {
  it('when it goes on, then it is taken back, and what had been drained is named', async () => {
    controller.drains.add({
      'vm-1': { state: 'done' },
      'vm-2': {},
      'vm-3': { state: 'waiting' },
    });
    expect(await run('undrain drain-1')).toEqual({
      code: 0,
      stdout: 'drain-1: taken back: 2 VMs undrained; 1 drained before: `migctl undrain VM` brings one back\n',
      stderr: '',
      asked: [],
    });
    expect(controller.drains.all.get('drain-1')?.state).toBe('cancelled');
    expect(controller.submissions()).toEqual({});
  });

  it('when VMs shut down already, then it says that they do so all the same', async () => {
    controller.drains.add(
      { 'vm-1': { state: 'shuttingDown' }, 'vm-2': {}, 'vm-3': { state: 'done' } },
      { then: 'shutdown' },
    );
    expect((await run('undrain drain-1')).stdout).toBe(
      'drain-1: taken back: 1 VM undrained; 1 shut down all the same; 1 shut down before\n',
    );
  });

  it('when it has ended, then it exits 1; with others, then those are taken back all the same', async () => {
    controller.drains.add({ 'vm-1': { state: 'done' } }, { state: 'completed' });
    controller.drains.add({ 'vm-2': {} });
    expect(await run('undrain drain-1')).toMatchObject({
      code: 1,
      stderr: 'error: drain drain-1 has ended: there is nothing to take back\n',
    });
    expect(await run('undrain drain-1 drain-2')).toMatchObject({
      code: 1,
      stdout: 'drain-2: taken back: 1 VM undrained\n',
      stderr: 'error: drain drain-1 has ended: there is nothing to take back\n',
    });
  });

  it('when the answer is lost, then it is asked again, and that is no failure', async () => {
    controller.drains.add({ 'vm-1': {} });
    controller.intercept = ({ method }, response) => {
      if (method !== 'DELETE') return false;
      controller.intercept = () => false;
      response.end = (() => response.socket?.destroy()) as unknown as typeof response.end;
      return false;
    };
    expect(await run('undrain drain-1', { clock: new JumpingClock() })).toMatchObject({ code: 0 });
    expect(controller.requests.filter(({ method }) => method === 'DELETE')).toHaveLength(2);
  });

  it('when -o is json, then it prints the drain', async () => {
    controller.drains.add({ 'vm-1': {} });
    expect(JSON.parse((await run('undrain drain-1 -o json')).stdout)).toMatchObject({ state: 'cancelled' });
  });

  it('when the id looks like one and is unknown, then it is not taken for a VM', async () => {
    expect(await run('undrain drain-0123456789abcdefghij')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        'drain drain-0123456789abcdefghij is not known\nhint: see `migctl get drains`',
      ),
    });
  });
});

describe('undrain of VMs', () => {
  it('when VMs are named, then each gets an undrain, whatever drained it', async () => {
    controller.drains.add({ 'vm-1': {}, 'vm-2': {} });
    expect(await run('undrain vm-1 vm-3')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /^vm-1: undrain submitted \(cmd-\d\)\nvm-3: undrain submitted \(cmd-\d\)\n$/,
      ),
      stderr: '',
    });
    expect(controller.submissions()).toEqual({
      'vm-1': { type: 'undrain', parameters: {} },
      'vm-3': { type: 'undrain', parameters: {} },
    });
    expect(controller.drains.all.get('drain-1')?.state).toBe('active');
  });

  it('when it is waited for, then it ends with the command', async () => {
    const clock = new JumpingClock().at(2_000, () =>
      controller.changeCommandOf('vm-1', { state: 'completed' }),
    );
    expect(await run('undrain vm-1 --wait', { clock })).toMatchObject({
      code: 0,
      stdout: 'vm-1: undrained in 2s\n',
    });
  });

  it('when all are undrained, then nothing is asked, and VMs that have shut down are left out', async () => {
    controller.changeVm('vm-2', { state: 'shutdown.done' });
    expect(await run('undrain --all', { answers: [] })).toMatchObject({ code: 0, asked: [] });
    expect(Object.keys(controller.submissions()).sort()).toEqual(['vm-1', 'vm-3']);
  });

  it('when the VM is unknown, then it exits 1', async () => {
    expect(await run('undrain ghost')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('VM ghost has never been seen'),
    });
  });
});

describe('wrong usage of undrain', () => {
  it.each([
    ['undrain', 'no VM is named'],
    ['undrain drain-1 vm-1', 'drain-1 is a drain, and vm-1 is none'],
    ['undrain drain-1 --wait', 'a drain is taken back at once'],
    ['undrain drain-1 --all', 'exclude each other'],
  ])(
    'when the line is `migctl %s`, then it exits 2 and says: %s, and nothing is changed',
    async (line, message) => {
      controller.drains.add({ 'vm-2': {} });
      expect(await run(line)).toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
      expect(controller.requests.filter(({ method }) => method !== 'GET')).toEqual([]);
    },
  );
});
