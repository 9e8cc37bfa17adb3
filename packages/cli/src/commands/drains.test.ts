import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { migctl } from '../run-migctl.contract.js';
import { ScriptedController } from '../scripted-controller.contract.js';

let controller: ScriptedController;
beforeEach(async () => {
  controller = await new ScriptedController().start();
  for (const vm of ['vm-1', 'vm-2', 'vm-3', 'vm-4']) controller.addVm(vm);
  controller.drains.add(
    { 'vm-1': { state: 'done', finished_at: '2026-11-21T11:40:00.000Z', message: 'drained' } },
    {
      state: 'completed',
      created_at: '2026-11-21T11:38:00.000Z',
      finished_at: '2026-11-21T11:40:00.000Z',
      force: true,
    },
  );
  controller.drains.add(
    {
      'vm-1': { state: 'done', finished_at: '2026-11-21T11:58:00.000Z' },
      'vm-2': { started_at: '2026-11-21T11:57:00.000Z', reason: 'job 8431 of org/app runs for 12 min' },
      'vm-3': {
        state: 'waiting',
        started_at: undefined,
        reason: 'waits for its turn: 1 of at most 1 VMs drain now',
      },
      'vm-4': {
        state: 'gone',
        finished_at: '2026-11-21T11:59:00.000Z',
        message: 'came back as another boot',
      },
    },
    {
      selector: { pool_id: 'linux' },
      reason: 'new image',
      created_at: '2026-11-21T11:55:00.000Z',
      max_unavailable: 1,
      then: 'shutdown',
    },
  );
});
afterEach(() => controller.stop());
const run = (...argv: string[]) => migctl(argv, { controller });

describe('get drains', () => {
  it('when nothing is asked for, then all are listed, with how far they have come', async () => {
    expect((await run('get', 'drains')).stdout).toBe(
      'ID        STATE       DONE   FAILED   TARGET       DEADLINE   THEN       AGE   REASON\n' +
        'drain-1   completed   1/1    0        vm-1         now        keep       22m   -\n' +
        'drain-2   active      1/4    1        pool linux   1h         shutdown   5m    new image\n',
    );
  });

  it('when -o is wide, json, yaml or name, then it prints that', async () => {
    const drains = JSON.parse(JSON.stringify([...controller.drains.all.values()])) as unknown;
    expect((await run('get', 'drains', '-o', 'wide')).stdout).toMatch(
      /^drain-2 .* new image +1 +1 +0 +0 +1 +operator +-$/m,
    );
    expect((await run('get', 'drains', '-o', 'wide')).stdout).toMatch(/^drain-1 .* all +operator +2m$/m);
    expect(JSON.parse((await run('get', 'drains', '-o', 'json')).stdout)).toEqual({ drains });
    expect(parse((await run('get', 'drains', '-o', 'yaml')).stdout)).toEqual({ drains });
    expect((await run('get', 'drains', '-o', 'name')).stdout).toBe('drain-1\ndrain-2\n');
    expect(JSON.parse((await run('get', 'drain', 'drain-2', '-o', 'json')).stdout)).toMatchObject({
      id: 'drain-2',
    });
  });

  it('when a state is asked for, then the controller chooses; when none matches, then it says so', async () => {
    expect((await run('get', 'drains', '--state', 'active', '-o', 'name')).stdout).toBe('drain-2\n');
    expect(await run('get', 'drains', '--state', 'cancelled')).toMatchObject({
      code: 0,
      stdout: '',
      stderr: 'No drain matches.\n',
    });
    controller.drains.all.clear();
    expect((await run('get', 'drains')).stderr).toBe('No drain was made yet.\n');
  });

  it('when there are several pages, then all are printed', async () => {
    controller.drains.pageSize = 1;
    expect((await run('get', 'drains', '-o', 'name')).stdout).toBe('drain-1\ndrain-2\n');
  });

  it.each([
    [{ vm_ids: ['a', 'b', 'c', 'd', 'e'] }, 'a, b, c, and 2 more'],
    [{ labels: ['gpu', 'large'] }, 'labels gpu,large'],
    [{ all: true as const }, 'all VMs'],
  ])('when the target is %j, then it is written %s', async (selector, text) => {
    controller.drains.add({ 'vm-1': {} }, { id: 'drain-3', selector, deadline_ms: 0 });
    expect((await run('get', 'drain', 'drain-3', '--no-headers')).stdout).toContain(`   ${text}   none   `);
  });
});

describe('describe drain', () => {
  it('when it goes on, then the page has what it is to do, and each VM with its state, since when, and why', async () => {
    expect(await run('describe', 'drain', 'drain-2')).toMatchObject({
      code: 0,
      stdout:
        'Drain:     drain-2\n' +
        'State:     active\n' +
        'Target:    pool linux\n' +
        'Progress:  4 VMs: 1 waiting, 1 draining, 1 done, 1 gone\n' +
        'Reason:    new image\n' +
        'Deadline:  a job that still runs 1h after its VM begins to drain is ended\n' +
        'At a time: at most 1 VM\n' +
        'Then:      each VM is shut down\n' +
        'Made:      2026-11-21 11:55:00Z (5m ago), by operator\n' +
        'VMs:\n' +
        '  VM     STATE      SINCE   REASON\n' +
        '  vm-1   done       2m      -\n' +
        '  vm-2   draining   3m      job 8431 of org/app runs for 12 min\n' +
        '  vm-3   waiting    5m      waits for its turn: 1 of at most 1 VMs drain now\n' +
        '  vm-4   gone       60s     came back as another boot\n',
    });
  });

  it('when it has ended, then the page says when, and how long it took', async () => {
    const { stdout } = await run('describe', 'drains', 'drain-1', 'drain-2');
    expect(stdout).toContain('Ended:     2026-11-21 11:40:00Z (20m ago), after 2m\n');
    expect(stdout).toContain('Deadline:  running jobs are ended at once\n');
    expect(stdout).toMatch(/^ {2}vm-1 +done +20m +drained\n\nDrain: +drain-2$/m);
  });

  it('as data it is what the API says; several are a list', async () => {
    const one = JSON.parse((await run('describe', 'drain', 'drain-1', '-o', 'json')).stdout) as object;
    expect(one).toMatchObject({ id: 'drain-1' });
    const two = (await run('describe', 'drain', 'drain-1', 'drain-2', '-o', 'json')).stdout;
    expect(JSON.parse(two)).toMatchObject({ drains: [one, { id: 'drain-2' }] });
  });

  it('when the drain is unknown, then it exits 1 with a hint', async () => {
    expect(await run('describe', 'drain', 'drain-9')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('migctl get drains'),
    });
  });
});
