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

describe('what is submitted', () => {
  it.each([
    ['shutdown vm-1', { type: 'shutdown', parameters: {} }],
    ['shutdown vm-1 --force', { type: 'shutdown', parameters: { force: true } }],
    ['undrain vm-1', { type: 'undrain', parameters: {} }],
    [
      'shutdown vm-1 --poweroff --reason r',
      { type: 'shutdown', parameters: { poweroff: true, reason: 'r' } },
    ],
    [
      'register vm-1 --labels gpu,large --runner-group g --runner-name n --runner-url https://github.com/acme',
      {
        type: 'register_runner',
        parameters: {
          labels: ['gpu', 'large'],
          runner_group: 'g',
          runner_name: 'n',
          runner_url: 'https://github.com/acme',
        },
      },
    ],
    ['set-log-level vm-1 debug', { type: 'set_log_level', parameters: { level: 'debug' } }],
    [
      'update-config vm-1 heartbeat_interval=1m30s',
      { type: 'update_config', parameters: { heartbeat_interval_ms: 90_000 } },
    ],
    [
      'update-config heartbeat_interval_ms=5000 vm-1',
      { type: 'update_config', parameters: { heartbeat_interval_ms: 5_000 } },
    ],
    [
      'update-config vm-1 drain_deadline=2h log_level=warn labels=a,b',
      {
        type: 'update_config',
        parameters: { drain_deadline_ms: 7_200_000, log_level: 'warn', labels: 'a,b' },
      },
    ],
    ['update-config vm-1 labels=', { type: 'update_config', parameters: { labels: '' } }],
    [
      'shutdown vm-1 --delivery-deadline 10m',
      { type: 'shutdown', parameters: {}, delivery_deadline_ms: 600_000 },
    ],
  ])('when the line is `migctl %s`, then that is the body', async (line, body) => {
    expect((await run(line)).code).toBe(0);
    expect(controller.submissions()).toEqual({ 'vm-1': body });
    expect(controller.requests.at(-1)?.key).toBe('key-1');
  });
});

describe('what is said of it', () => {
  it('when several VMs are named, one of them twice, then each gets its command once, with a key of its own', async () => {
    const { code, stdout } = await run('shutdown vm-2 vm-1 vm-2');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(
        /^vm-2: shutdown submitted \(cmd-\d\)\nvm-1: shutdown submitted \(cmd-\d\)\n$/,
      ),
    });
    const keys = controller.requests.map(({ key }) => key).filter((key) => key !== undefined);
    expect(keys.sort()).toEqual(['key-1', 'key-2']);
  });

  it('when -o is json, then one command is an object and several are a list; name gives their ids', async () => {
    expect(JSON.parse((await run('shutdown vm-1 -o json')).stdout)).toMatchObject({
      id: 'cmd-1',
      vm_id: 'vm-1',
      state: 'queued',
    });
    expect(JSON.parse((await run('shutdown vm-1 vm-2 -o json')).stdout)).toMatchObject({
      commands: [{ vm_id: 'vm-1' }, { vm_id: 'vm-2' }],
    });
    // The same key again, so the same command.
    expect((await run('shutdown vm-1 -o name')).stdout).toBe('cmd-1\n');
  });

  it('when one of several VMs is unknown, then the others get it, the unknown one is named, and the exit code is 1', async () => {
    const { code, stdout, stderr } = await run('shutdown vm-1 ghost vm-2');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^vm-1: .*\nvm-2: /);
    expect(stderr).toMatch(/^error: VM ghost has never been seen.*\n$/);
  });

  it('when the only VM is unknown, then the error is the whole answer', async () => {
    expect(await run('set-log-level ghost-vm debug')).toMatchObject({
      code: 1,
      stdout: '',
      stderr:
        'error: VM ghost-vm has never been seen by this controller: check the name with "migctl get vms"\n',
    });
  });

  it('when a fleet of 200 gets a command, then at most 16 requests run at once and one line sums them up', async () => {
    let open = 0;
    let most = 0;
    controller.intercept = (request, response) => {
      if (request.method === 'POST') {
        open += 1;
        most = Math.max(most, open);
        response.on('finish', () => (open -= 1));
      }
      return false;
    };
    for (let index = 0; index < 197; index += 1) controller.addVm(`fleet-${index}`);
    expect(await run('shutdown --all --yes')).toMatchObject({
      code: 0,
      stdout: 'shutdown submitted to 200 VMs\n',
      stderr: '',
    });
    expect(Object.keys(controller.submissions())).toHaveLength(200);
    expect(most).toBeLessThanOrEqual(16);
  });
});

describe('which VMs', () => {
  it('when a pool is given, then its VMs get it, but not those that have shut down', async () => {
    controller.addVm('vm-3', { state: 'shutdown.done', link: 'disconnected' });
    expect((await run('shutdown --pool linux')).code).toBe(0);
    expect(Object.keys(controller.submissions()).sort()).toEqual(['vm-1', 'vm-2']);
  });

  it('when all of a pool have shut down, then it says so and there is nothing to do', async () => {
    controller.changeVm('gpu-1', { state: 'shutdown.done' });
    expect(await run('shutdown --pool gpu')).toMatchObject({
      code: 0,
      stderr: 'Nothing to do: 1 VM there, all shut down already.\n',
    });
  });

  it('when a VM that has shut down is named, then it is done at once: nothing waits for its next life', async () => {
    controller.changeVm('gpu-1', { state: 'shutdown.done' });
    expect(await run('shutdown gpu-1 --wait')).toMatchObject({
      code: 0,
      stderr: 'Nothing to do: 1 VM there, all shut down already.\n',
    });
    expect(controller.requests.filter(({ method }) => method === 'POST')).toEqual([]);
  });

  it('when the pool has no VM, then it fails: the pool may be misspelt', async () => {
    expect(await run('shutdown --pool lunix')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/no VM is in pool lunix\nhint: .*migctl get vms/),
    });
  });

  it('when it is no shutdown, then VMs that have shut down get it too', async () => {
    controller.changeVm('gpu-1', { state: 'shutdown.done' });
    expect((await run('set-log-level --all info')).code).toBe(0);
    expect(Object.keys(controller.submissions())).toHaveLength(3);
  });
});

describe('usage errors, before anything is sent', () => {
  it.each([
    ['shutdown', 'no VM is named'],
    ['shutdown vm-1 --all', 'VM names, --pool and --all exclude each other'],
    ['shutdown --pool p --all', 'exclude each other'],
    ['shutdown bad/name', 'cannot be the name of a VM'],
    ['shutdown vm-1 --timeout 5m', 'needs --wait'],
    ['shutdown vm-1 --timeout 5', 'Write a duration'],
    ['shutdown vm-1 --delivery-deadline 0', 'more than 0'],
    ['shutdown vm-1 --bogus', "unknown option '--bogus'"],
    ['shutdown vm-1 -o xml', 'Allowed choices are table'],
    ['shutdown --all', 'nobody is there to be asked\nhint: add --yes if that is meant'],
    ['set-log-level vm-1 debgu', '"debgu" is not a log level (did you mean debug?)'],
    ['set-log-level vm-1', '"vm-1" is not a log level'],
    ['set-log-level debug', 'no VM is named'],
    ['update-config vm-1', 'no setting is given'],
    ['update-config vm-1 heartbeat=3s', 'setting "heartbeat" is unknown'],
    ['update-config vm-1 heartbeat_interval=3', '"3" is not a duration'],
    ['update-config vm-1 heartbeat_interval_ms=3s', 'or heartbeat_interval=30s'],
    ['update-config vm-1 heartbeat_interval=1ms', 'setting heartbeat_interval: 1ms is less than 1s'],
    ['update-config vm-1 heartbeat_interval=2h', 'setting heartbeat_interval: 2h is more than 1h'],
    ['update-config vm-1 heartbeat_interval_ms=1', 'setting heartbeat_interval_ms: 1 is less than 1000'],
    ['update-config vm-1 log_level=loud', '"loud" is not one of trace'],
    ['update-config vm-1 log_level=info log_level=warn', 'given twice'],
    ['cancel command a/b', 'cannot be the id of a command'],
    ['cancel drain cmd-1', 'there is no resource "drain" to cancel'],
  ])('when the line is `migctl %s`, then it exits 2 and says: %s', async (line, message) => {
    const { code, stderr } = await run(line);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) });
    expect(controller.requests).toEqual([]);
  });
});

describe('questions at a terminal', () => {
  it('when a person shuts all down, then it asks first, and `n` sends nothing', async () => {
    const ran = await run('shutdown --all', { answers: ['n'] });
    expect(ran).toMatchObject({
      code: 1,
      stderr: 'Nothing was sent.\n',
      asked: [`shutdown all 3 VMs of ${controller.url}? [y/N] `],
    });
    expect(controller.submissions()).toEqual({});
  });

  it('when the answer is yes, or --yes is given, then it goes ahead', async () => {
    expect((await run('shutdown --all', { answers: ['yes'] })).code).toBe(0);
    expect(await run('shutdown --all --yes', { answers: [] })).toMatchObject({ code: 0, asked: [] });
    expect((await run('shutdown --all --yes')).code).toBe(0);
    expect(Object.keys(controller.submissions())).toHaveLength(3);
  });

  it('when --force would end jobs, then it names them; when none runs, then it asks nothing', async () => {
    expect((await run('shutdown vm-1 --force', { answers: [] })).asked).toEqual([]);
    controller.changeVm('vm-1', { current_job: makeJob('build') });
    const { asked } = await run('shutdown vm-1 ghost --force', { answers: ['n'] });
    expect(asked).toEqual([
      `shutdown 2 VMs of ${controller.url}, and end at once 1 running job (build on vm-1)? [y/N] `,
    ]);
  });

  it('when Ctrl-C is the answer, then nothing is sent and the exit code is 130', async () => {
    const interrupt = new AbortController();
    const answers = { shift: () => void interrupt.abort() } as unknown as string[];
    expect((await run('shutdown --all', { answers, interrupt })).code).toBe(130);
    expect(controller.submissions()).toEqual({});
  });

  it('when one VM is shut down, or a log level set on all, then nothing is asked', async () => {
    expect((await run('shutdown vm-1', { answers: [] })).asked).toEqual([]);
    expect((await run('set-log-level --all info', { answers: [] })).asked).toEqual([]);
  });
});

describe('a controller in trouble', () => {
  it('when the connection breaks after the command was taken, then the repeated request gives no second command', async () => {
    let broken = false;
    controller.intercept = ({ method }, response) => {
      if (method !== 'POST' || broken) return false;
      broken = true;
      // Taken, but the answer is lost.
      controller.intercept = () => false;
      response.socket?.destroy();
      return true;
    };
    expect((await run('shutdown vm-1')).code).toBe(0);
    const posts = controller.requests.filter(({ method }) => method === 'POST');
    expect(posts.map(({ key }) => key)).toEqual(['key-1', 'key-1']);
  });

  it('when it goes away for good in the middle, then the rest is named, nothing more is sent, and the exit code is 1', async () => {
    for (let index = 0; index < 40; index += 1) controller.addVm(`fleet-${index}`);
    let posts = 0;
    controller.intercept = ({ method }, response) => {
      posts += method === 'POST' ? 1 : 0;
      if (posts <= 20) return false;
      response.socket?.destroy();
      void controller.stop();
      return true;
    };
    const { code, stdout, stderr } = await run('shutdown --all --yes');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^shutdown submitted to \d+ VMs|vm-1: shutdown submitted/);
    expect(stderr).toMatch(/not submitted to, as far as is known: .*fleet-39/);
    expect(stderr).toContain('the controller does not answer');
  });

  it('when it cannot store, then it says so and hints at the remedy', async () => {
    controller.intercept = ({ method }, response) => {
      if (method === 'POST') problem(response, 503, 'store-unavailable', 'the disk is full');
      return method === 'POST';
    };
    expect(await run('shutdown vm-1')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^error: the disk is full\nhint: .*disk/),
    });
  });

  it('when Ctrl-C comes while commands go out, then it stops and names where none went', async () => {
    for (let index = 0; index < 40; index += 1) controller.addVm(`fleet-${index}`);
    const interrupt = new AbortController();
    let posts = 0;
    controller.intercept = ({ method }) => {
      posts += method === 'POST' ? 1 : 0;
      if (posts === 20) interrupt.abort();
      return false;
    };
    const { code, stderr } = await run('shutdown --all --yes', { interrupt });
    expect(code).toBe(130);
    expect(stderr).toMatch(/^error: interrupted: not submitted to.*fleet-39/);
  });
});

describe('cancel command', () => {
  it('when the VM has not taken it, then it is cancelled', async () => {
    controller.addCommand('cmd-7', 'vm-1');
    expect(await run('cancel command cmd-7')).toMatchObject({
      code: 0,
      stdout: 'cmd-7: cancelled (drain of vm-1)\n',
    });
  });

  it('when one of two cannot be cancelled, then the other is, and the exit code is 1', async () => {
    controller.addCommand('cmd-7', 'vm-1', { state: 'received' });
    controller.addCommand('cmd-8', 'vm-1');
    expect(await run('cancel command cmd-7 cmd-8')).toMatchObject({
      code: 1,
      stdout: 'cmd-8: cancelled (drain of vm-1)\n',
      stderr: expect.stringContaining('command cmd-7 is received'),
    });
  });

  it('when it is unknown, then it exits 1', async () => {
    expect(await run('cancel command cmd-9')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('cmd-9 is not known'),
    });
  });

  it('when the connection breaks, then it is not repeated: nobody knows whether it took effect', async () => {
    controller.addCommand('cmd-7', 'vm-1');
    controller.intercept = (_, response) => {
      response.socket?.destroy();
      return true;
    };
    expect((await run('cancel command cmd-7', { clock: new JumpingClock() })).code).toBe(1);
    expect(controller.requests).toHaveLength(1);
  });
});
