import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { JumpingClock, migctl, type RunOptions } from '../run-migctl.contract.js';
import { makeJob, problem, ScriptedController } from '../scripted-controller.contract.js';

let controller: ScriptedController;
beforeEach(async () => {
  controller = await new ScriptedController().start();
  controller.addVm('vm-1');
  controller.addVm('vm-2');
  controller.addVm('gpu-1', { pool_id: 'gpu' });
});
afterEach(() => controller.stop());
const run = (line: string, options: RunOptions = {}) => migctl(line.split(' '), { controller, ...options });

const posts = () => controller.requests.filter(({ method }) => method === 'POST');
const HOUR_MS = 3_600_000;
const PLAIN = { reason: '', deadline_ms: HOUR_MS, force: false, then: 'keep' };

describe('what is asked of the controller', () => {
  it.each<[string, object]>([
    ['drain vm-1', { ...PLAIN, selector: { vm_ids: ['vm-1'] } }],
    ['drain vm-2 vm-1 vm-2', { ...PLAIN, selector: { vm_ids: ['vm-2', 'vm-1'] } }],
    ['drain --pool gpu', { ...PLAIN, selector: { pool_id: 'gpu' } }],
    ['drain --all --yes', { ...PLAIN, selector: { all: true } }],
    ['drain vm-1 --deadline none', { ...PLAIN, selector: { vm_ids: ['vm-1'] }, deadline_ms: 0 }],
    ['drain vm-1 --deadline 0', { ...PLAIN, selector: { vm_ids: ['vm-1'] }, deadline_ms: 0 }],
    ['drain vm-1 --force', { ...PLAIN, selector: { vm_ids: ['vm-1'] }, force: true }],
    [
      'drain --pool linux --reason image --deadline 30m --max-unavailable 10 --then shutdown',
      {
        selector: { pool_id: 'linux' },
        reason: 'image',
        deadline_ms: 1_800_000,
        force: false,
        max_unavailable: 10,
        then: 'shutdown',
      },
    ],
  ])('when the line is `migctl %s`, then it makes one drain with %j', async (line, body) => {
    expect((await run(line)).code).toBe(0);
    expect(posts()).toMatchObject([{ path: '/api/v1/drains', key: 'key-1' }]);
    expect(posts()[0]?.body).toEqual(body);
  });

  it('when labels are given, then the controller chooses by them', async () => {
    controller.changeVm('vm-1', { labels: ['a', 'b'] });
    expect((await run('drain --labels a,b')).code).toBe(0);
    expect(posts()[0]?.body).toMatchObject({ selector: { labels: ['a', 'b'] } });
  });
});

describe('what is said of it', () => {
  it('when it is made, then one line has its id, how many, and what becomes of jobs; then how to return', async () => {
    expect(await run('drain --pool linux --max-unavailable 1 --then shutdown')).toEqual({
      code: 0,
      stdout:
        'drain-1: drains 2 VMs, at most 1 at a time; a job that still runs 1h after its VM begins to drain is ended; each VM is shut down then\n',
      stderr:
        'hint: return with `migctl wait drain drain-1`, see all with `migctl get drains`, take it back with `migctl undrain drain-1`\n',
      asked: [],
    });
    expect((await run('drain vm-1 --deadline none')).stdout).toBe(
      'drain-1: drains 2 VMs, at most 1 at a time; a job that still runs 1h after its VM begins to drain is ended; each VM is shut down then\n',
    );
  });

  it('when --server was given, then the hints lead to the same controller', async () => {
    const { stderr } = await migctl(['--server', controller.url, 'drain', 'vm-1']);
    expect(stderr).toContain(`migctl wait drain drain-1 --server ${controller.url}\``);
    expect(stderr).toContain(`migctl undrain drain-1 --server ${controller.url}\``);
  });

  it('when -o is json or name, then that is all of the output', async () => {
    expect(JSON.parse((await run('drain vm-1 -o json')).stdout)).toEqual(
      JSON.parse(JSON.stringify(controller.drains.all.get('drain-1'))),
    );
    expect(await run('drain vm-1 -o name')).toMatchObject({ stdout: 'drain-1\n', stderr: '' });
  });
});

describe('what is refused', () => {
  it.each([
    ['drain ghost vm-1', '1 of the VMs were never seen by this controller: ghost'],
    ['drain --pool lunix', 'pool lunix has no VM that could be drained'],
    ['drain --labels none-has-it', 'that could be drained'],
  ])('when the line is `migctl %s`, then it exits 1 and says: %s', async (line, message) => {
    expect(await run(line)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(new RegExp(`^error: .*${message}.*\nhint: no drain was made`)),
    });
    expect(controller.drains.all.size).toBe(0);
  });

  it.each([
    ['drain', 'no VM is named\nhint: name VMs, or give --pool POOL, --labels A,B, or --all'],
    ['drain vm-1 --all', 'VM names, --pool, --labels and --all exclude each other'],
    ['drain --pool p --labels a', 'exclude each other'],
    ['drain bad/name', 'cannot be the name of a VM'],
    ['drain --labels a,,b', 'none of them empty'],
    ['drain vm-1 --deadline 30', 'Write a duration'],
    ['drain vm-1 --deadline 31d', 'At most 30d'],
    ['drain vm-1 --deadline never', 'Write a duration'],
    ['drain vm-1 --force --deadline 5m', 'give one of them'],
    ['drain vm-1 --max-unavailable 0', 'from 1 to 100000'],
    ['drain vm-1 --max-unavailable 20%', 'from 1 to 100000'],
    ['drain vm-1 --then reboot', 'Allowed choices are shutdown, keep'],
    ['drain vm-1 --timeout 5m', 'needs --wait'],
    ['drain vm-1 --delivery-deadline 5m', "unknown option '--delivery-deadline'"],
    [`drain vm-1 --reason ${'x'.repeat(1_001)}`, 'At most 1000 characters; these are 1001.'],
    ['drain --all', 'takes every VM of'],
  ])(
    'when the line is `migctl %s`, then it exits 2 and says: %s, and nothing is sent',
    async (line, message) => {
      const { code, stderr } = await run(line);
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) });
      expect(controller.requests).toEqual([]);
    },
  );

  it('when 10,001 VMs are named, then one drain cannot take them', async () => {
    const names = Array.from({ length: 10_001 }, (_, index) => `vm-${index}`);
    expect(await migctl(['drain', ...names], { controller })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('one drain takes 10000'),
    });
  });
});

describe('questions at a terminal', () => {
  const END = 'a job that still runs 1h after its VM begins to drain is ended';

  it('when a person drains all, then it asks, says what becomes of jobs, and `n` makes no drain', async () => {
    controller.addVm('old', { state: 'shutdown.done' });
    expect(await run('drain --all --then shutdown', { answers: ['n'] })).toMatchObject({
      code: 1,
      stderr: 'Nothing was sent.\n',
      asked: [`drain all 3 VMs of ${controller.url} (${END}; each VM is shut down then)? [y/N] `],
    });
    expect(posts()).toEqual([]);
  });

  it('when the answer is yes, or --yes is given, then it goes ahead', async () => {
    expect((await run('drain --all', { answers: ['yes'] })).code).toBe(0);
    expect(await run('drain --all --yes', { answers: [] })).toMatchObject({ code: 0, asked: [] });
  });

  it('when nobody is there to ask, then --all needs --yes, and a pool does not', async () => {
    expect(await run('drain --all')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('hint: add --yes if that is meant'),
    });
    expect(controller.drains.all.size).toBe(0);
    expect((await run('drain --pool linux')).code).toBe(0);
  });

  it('when --force would end jobs, then it names them; when none runs, then it asks nothing', async () => {
    expect((await run('drain --pool linux --force', { answers: [] })).asked).toEqual([]);
    controller.changeVm('vm-1', { current_job: makeJob('build') });
    expect((await run('drain --pool linux --force', { answers: ['n'] })).asked).toEqual([
      `drain 2 VMs of ${controller.url}, and end at once 1 running job (build on vm-1)? [y/N] `,
    ]);
  });

  it('when Ctrl-C is the answer, then no drain is made and the exit code is 130', async () => {
    const interrupt = new AbortController();
    const answers = { shift: () => void interrupt.abort() } as unknown as string[];
    expect((await run('drain --all', { answers, interrupt })).code).toBe(130);
    expect(posts()).toEqual([]);
  });
});

describe('a controller in trouble', () => {
  it('when the drain is made and the answer is lost, then the request is repeated and there is one drain', async () => {
    controller.intercept = ({ method }, response) => {
      if (method !== 'POST') return false;
      controller.intercept = () => false;
      // As if the controller had died with the answer on its lips.
      response.end = (() => response.socket?.destroy()) as unknown as typeof response.end;
      return false;
    };
    expect((await run('drain vm-1')).stdout).toContain('drain-1: drains vm-1;');
    expect(posts().map(({ key }) => key)).toEqual(['key-1', 'key-1']);
    expect(controller.drains.all.size).toBe(1);
  });

  it('when it dies with the answer and is away for 30 seconds, then it is waited for, and there is one drain', async () => {
    const clock = new JumpingClock().at(30_000, async () => void (await controller.start()));
    controller.intercept = ({ method }, response) => {
      if (method !== 'POST') return false;
      controller.intercept = () => false;
      response.end = (() => void controller.stop()) as unknown as typeof response.end;
      return false;
    };
    const { code, stderr } = await run('drain vm-1', { clock });
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /^the controller does not answer .*\nthe controller answers again\nhint: return with/,
    );
    expect(controller.drains.all.size).toBe(1);
  });

  it('when it never comes back, then it is said that nobody knows whether the drain was made', async () => {
    controller.intercept = ({ method }) => {
      if (method === 'POST') void controller.stop();
      return method === 'POST';
    };
    const { code, stderr } = await run('drain vm-1 --reconnect-for 20s');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^error: .*\nhint: whether the drain was made is not known: look with `migctl get drains` before you try again$/m,
    );
  });

  it('when none was there from the start, then it says so at once', async () => {
    await controller.stop();
    const clock = new JumpingClock();
    expect(await run('drain vm-1', { clock })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^error: no controller answers .*\nhint: start one with/),
    });
    expect(clock.elapsedMs).toBe(0);
  });

  it('when its disk is full, then it is tried for a minute and no longer, however long --wait would be patient', async () => {
    controller.intercept = ({ method }, response) => {
      if (method !== 'POST') return false;
      response.setHeader('retry-after', '5');
      problem(response, 503, 'store-unavailable', 'the disk is full');
      return true;
    };
    const clock = new JumpingClock();
    expect(await run('drain vm-1 --wait', { clock })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^error: the disk is full\nhint: no drain was made/m),
    });
    expect(clock.elapsedMs).toBeGreaterThanOrEqual(60_000);
    expect(clock.elapsedMs).toBeLessThan(70_000);
  });

  it('when it cannot store, then no drain was made, and it says why', async () => {
    controller.intercept = ({ method }, response) => {
      if (method === 'POST') problem(response, 503, 'store-unavailable', 'the disk is full');
      return method === 'POST';
    };
    expect(await run('drain vm-1')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^error: the disk is full\nhint: no drain was made; look at .*disk/),
    });
  });
});
