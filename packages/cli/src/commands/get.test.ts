import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { migctl } from '../run-migctl.contract.js';
import { makeJob, ScriptedController } from '../scripted-controller.contract.js';

let controller: ScriptedController;
beforeEach(async () => {
  controller = await new ScriptedController().start();
});
afterEach(() => controller.stop());
const run = (...argv: string[]) => migctl(argv, { controller });

describe('get vms', () => {
  beforeEach(() => {
    controller.addVm('vm-1', { state: 'ready.busy', current_job: makeJob('build') });
    controller.addVm('vm-2', {
      pool_id: 'gpu',
      state: 'shutdown.done',
      link: 'disconnected',
      liveness: 'lost',
      outcome: 'drained',
      eligible: false,
    });
  });

  it('when nothing is asked for, then it prints a table with ages', async () => {
    const { code, stdout } = await run('get', 'vms');
    expect(code).toBe(0);
    expect(stdout).toBe(
      'NAME   POOL    STATE           LINK           LIVENESS   ELIGIBLE   HEARTBEAT   AGE   OUTCOME   JOB\n' +
        'vm-1   linux   ready.busy      connected      alive      yes        3s          3h    -         build\n' +
        'vm-2   gpu     shutdown.done   disconnected   lost       -          3s          3h    drained   -\n',
    );
  });

  it('when -o is json or yaml, then it prints the shape of the API', async () => {
    const vms = [...controller.vms.values()];
    expect(JSON.parse((await run('get', 'vms', '-o', 'json')).stdout)).toEqual({ vms });
    expect(parse((await run('get', 'vms', '-o', 'yaml')).stdout)).toEqual({ vms });
  });

  it('when one VM is named, then json is the object; when two are, then a list in that order', async () => {
    expect(JSON.parse((await run('get', 'vm', 'vm-2', '-o', 'json')).stdout)).toEqual(
      controller.vms.get('vm-2'),
    );
    const two = JSON.parse((await run('get', 'vms', 'vm-2', 'vm-1', '-o', 'json')).stdout) as {
      vms: { vm_id: string }[];
    };
    expect(two.vms.map(({ vm_id }) => vm_id)).toEqual(['vm-2', 'vm-1']);
  });

  it('when a newer controller says more than is known, then json shows it', async () => {
    controller.intercept = (_, response) => {
      response.end(JSON.stringify({ ...controller.vms.get('vm-1'), zone: 'b' }));
      return true;
    };
    expect(JSON.parse((await run('get', 'vm', 'vm-1', '-o', 'json')).stdout)).toMatchObject({ zone: 'b' });
  });

  it('when -o is name, then it prints names that other commands take', async () => {
    expect((await run('get', 'vms', '-o', 'name')).stdout).toBe('vm-1\nvm-2\n');
  });

  it('when -o is wide without headers, then it prints more columns and no titles', async () => {
    const health = { cpu_usage_percent: 12.4, memory_usage_percent: 50, disk_usage_percent: 7 };
    const bytes = { memory_total_bytes: 2, memory_used_bytes: 1, disk_total_bytes: 100, disk_used_bytes: 7 };
    controller.changeVm('vm-1', { health: { ...health, ...bytes } });
    const { stdout } = await run('get', 'vms', '-o', 'wide', '--no-headers');
    expect(stdout).not.toContain('NAME');
    expect(stdout).toMatch(/^vm-1 .* 12% +50% +7% +0\.1\.0 +acme +boot-vm-1 +- +-$/m);
  });

  it('when filters are given, then the controller applies them', async () => {
    expect((await run('get', 'vms', '--pool', 'gpu', '-o', 'name')).stdout).toBe('vm-2\n');
    expect((await run('get', 'vms', '--state', 'ready', '-o', 'name')).stdout).toBe('vm-1\n');
    expect((await run('get', 'vms', '--liveness', 'lost', '-o', 'name')).stdout).toBe('vm-2\n');
    expect((await run('get', 'vms', '--eligible', 'true', '-o', 'name')).stdout).toBe('vm-1\n');
    expect((await run('get', 'vms', '--eligible', 'false', '-o', 'name')).stdout).toBe('vm-2\n');
  });

  it('when no VM matches, then it says so on stderr and succeeds', async () => {
    expect(await run('get', 'vms', '--pool', 'none')).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringContaining('No VM matches'),
    });
  });

  it('when names and filters are mixed, then it is a usage error and nothing is sent', async () => {
    expect((await run('get', 'vms', 'vm-1', '--pool', 'gpu')).code).toBe(2);
    expect((await run('get', 'vms', 'not/a/name')).code).toBe(2);
    expect(controller.requests).toEqual([]);
  });

  it('when there are several pages, then it prints all of them', async () => {
    controller.pageSize = 10;
    for (let index = 3; index <= 25; index += 1) controller.addVm(`vm-${index}`);
    expect((await run('get', 'vms', '-o', 'name')).stdout.trim().split('\n')).toHaveLength(25);
    expect(controller.requests.map(({ query }) => query.get('cursor'))).toEqual([null, '10', '20']);
  });

  it('when a VM is unknown, then it repeats what the controller says and exits 1', async () => {
    const { code, stderr } = await run('get', 'vm', 'ghost');
    expect(code).toBe(1);
    expect(stderr).toBe(
      'error: VM ghost has never been seen by this controller: check the name with "migctl get vms"\n',
    );
  });
});

describe('what a VM says about itself', () => {
  const EVIL = 'build\u001b[2J\u001b]0;owned\u0007\u009b31m\u202egnp\nfake-vm   linux\u0000';

  it('when it holds escape sequences, then the terminal gets only its text', async () => {
    controller.addVm('vm-1', { state: 'ready.busy', state_reason: EVIL, current_job: makeJob(EVIL) });
    controller.addEvent('vm-1', 'e1', 'job_started', { name: EVIL });
    controller.addCommand('cmd-1', 'vm-1', { message: EVIL });
    for (const argv of [
      ['get', 'vms', '-o', 'wide'],
      ['describe', 'vm', 'vm-1'],
      ['get', 'events'],
      ['events'],
      ['get', 'commands'],
    ]) {
      const { stdout } = await migctl(argv, { controller });
      expect(stdout).toContain('buildgnp fake-vm');
      expect(stdout).not.toMatch(/[^\n\P{Cc}]|\p{Cf}/u);
    }
  });

  it('when it is printed as json or yaml, then it is whole, and still without a raw control character', async () => {
    controller.addVm('vm-1', { current_job: makeJob(EVIL) });
    const json = (await run('get', 'vm', 'vm-1', '-o', 'json')).stdout;
    const yaml = (await run('get', 'vm', 'vm-1', '-o', 'yaml')).stdout;
    expect(JSON.parse(json)).toMatchObject({ current_job: { name: EVIL } });
    expect(parse(yaml)).toMatchObject({ current_job: { name: EVIL } });
    expect(json + yaml).not.toMatch(/[^\n\P{Cc}]|\p{Cf}/u);
  });
});

describe('get commands', () => {
  beforeEach(() => {
    controller.addVm('vm-1');
    controller.addVm('vm-2', { pool_id: 'gpu' });
    controller.addCommand('cmd-1', 'vm-1', { state: 'failed', message: 'no such thing' });
    controller.addCommand('cmd-2', 'vm-2', {
      type: 'update_config',
      parameters: { labels: 'a b', log_level: 'info' },
    });
  });

  it('when nothing is asked for, then it lists them with state and message', async () => {
    expect((await run('get', 'commands')).stdout).toMatch(
      /^cmd-1 +vm-1 +drain +failed +0 +60s +no such thing$/m,
    );
  });

  it('when -o is wide, then it shows the boot that it is for and the parameters', async () => {
    controller.addCommand('cmd-3', 'vm-1', { boot_id: 'boot-7', parameters: { force: true } });
    const { stdout } = await run('get', 'commands', '-o', 'wide');
    expect(stdout).toMatch(/- +labels="a b" log_level=info$/m);
    expect(stdout).toMatch(/^cmd-3 .* boot-7 +force=true$/m);
    expect((await run('get', 'commands')).stdout).not.toContain('boot-7');
  });

  it('when it is filtered, then only those are shown', async () => {
    expect((await run('get', 'commands', '--vm', 'vm-2', '-o', 'name')).stdout).toBe('cmd-2\n');
    expect((await run('get', 'commands', '--state', 'failed', '-o', 'name')).stdout).toBe('cmd-1\n');
    expect((await run('get', 'commands', '--pool', 'gpu', '-o', 'name')).stdout).toBe('cmd-2\n');
  });

  it('when the VM of the filter is unknown, then it says so instead of showing nothing', async () => {
    expect(await run('get', 'commands', '--vm', 'ghost')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('ghost'),
    });
  });

  it('when an id is given, then it shows that one; when it is unknown, then it exits 1 with a hint', async () => {
    expect(JSON.parse((await run('get', 'command', 'cmd-1', '-o', 'json')).stdout)).toMatchObject({
      id: 'cmd-1',
    });
    expect(await run('get', 'command', 'cmd-9')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('migctl get commands'),
    });
  });

  it('when ids and filters are mixed, then it is a usage error', async () => {
    expect((await run('get', 'commands', 'cmd-1', '--state', 'failed')).code).toBe(2);
    expect((await run('get', 'commands', '../x')).code).toBe(2);
  });
});

describe('get events and heartbeats', () => {
  it('when several VMs have events, then the newest of all are shown in order, asking only those VMs', async () => {
    for (const vm of ['vm-1', 'vm-2', 'vm-3']) controller.addVm(vm);
    controller.addEvent('vm-1', '20261121T100000', 'vm_started');
    controller.addEvent('vm-2', '20261121T110000', 'vm_started', { image: 'a b' });
    controller.addEvent('vm-1', '20261121T120000', 'job_started');
    const { stdout } = await run('get', 'events', '--tail', '2');
    expect(stdout).toBe(
      'AGE   VM     TYPE          DATA\n60s   vm-2   vm_started    image="a b"\n60s   vm-1   job_started   -\n',
    );
    expect(controller.requests.filter(({ path }) => path.endsWith('/events'))).toHaveLength(2);
  });

  it('when a VM is named, then json is the list of its events', async () => {
    controller.addVm('vm-1');
    controller.addEvent('vm-1', 'e1', 'vm_started');
    expect(JSON.parse((await run('get', 'events', 'vm-1', '-o', 'json')).stdout)).toEqual({
      events: controller.events.get('vm-1'),
    });
  });

  it('when names and a pool are mixed, then it is a usage error', async () => {
    expect((await run('get', 'events', 'vm-1', '--pool', 'p')).code).toBe(2);
  });

  it('when heartbeats are asked for, then they are shown newest last', async () => {
    controller.addVm('vm-1');
    const beat = {
      vm_id: 'vm-1',
      pool_id: 'linux',
      org_id: 'acme',
      health: null,
      runner_state: null,
      current_job: null,
    };
    controller.heartbeats.set('vm-1', [
      { ...beat, id: 'h1', miglet_state: 'ready.idle', received_at: '2026-11-21T11:59:00.000Z' },
      { ...beat, id: 'h2', miglet_state: 'ready.busy', received_at: '2026-11-21T11:59:30.000Z' },
    ]);
    const { stdout } = await run('get', 'heartbeats', 'vm-1', '--tail', '2', '--no-headers');
    expect(stdout).toMatch(/^60s +vm-1 +ready\.idle .*\n30s +vm-1 +ready\.busy /);
    expect((await run('get', 'heartbeats')).code).toBe(2);
  });
});

describe('who may take new jobs', () => {
  const cordon = { reason: 'disk full', by: 'operator', at: '2026-11-21T11:00:00.000Z' };

  it.each([
    [{}, 'yes'],
    [{ eligible: false, cordon }, 'no (cordoned)'],
    [{ eligible: false, state: 'draining.finishingJob' }, 'no (draining)'],
    [{ eligible: false, drain_id: 'drain-1' }, 'no (draining)'],
    [{ eligible: false, cordon, drain_id: 'drain-1' }, 'no (cordoned, draining)'],
    [{ eligible: false }, 'no'],
    [{ eligible: false, state: 'shutdown.done' }, '-'],
    [{ eligible: false, state: 'shutdown.done', cordon }, 'no (cordoned)'],
  ])('when a VM is %j, then ELIGIBLE is %s', async (fields, text) => {
    controller.addVm('vm-1', fields);
    const { stdout } = await run('get', 'vms');
    expect(stdout).toContain(`   alive      ${text}   `);
  });

  it('when a VM is cordoned and drained, then its page says why, by whom, since when, and by which drain', async () => {
    controller.addVm('vm-1', { eligible: false, cordon, drain_id: 'drain-1' });
    controller.addVm('vm-2', { cordon: { ...cordon, reason: '' } });
    const { stdout } = await run('describe', 'vm', 'vm-1', 'vm-2');
    for (const line of [
      'Eligible:      no (cordoned, draining)',
      'Cordon:        disk full, by operator, 2026-11-21 11:00:00Z (60m ago)',
      'Drain:         drain-1 (migctl describe drain drain-1)',
      'Cordon:        no reason given, by operator, 2026-11-21 11:00:00Z (60m ago)',
    ]) {
      expect(stdout).toContain(`${line}\n`);
    }
  });
});

describe('describe vm', () => {
  it('when a VM works, then the page has its identity, job, runner, health, open commands and events', async () => {
    controller.addVm('vm-1', {
      state: 'draining.finishingJob',
      state_reason: 'drain: new image',
      current_job: makeJob('build'),
      runner: { state: 'running', configured: true, runner_name: 'vm-1-x', labels: ['linux', 'x64'] },
      health: {
        cpu_usage_percent: 12,
        memory_usage_percent: 50,
        disk_usage_percent: 25,
        memory_total_bytes: 8 * 1024 ** 3,
        memory_used_bytes: 4 * 1024 ** 3,
        disk_total_bytes: 100 * 1024 ** 3,
        disk_used_bytes: 25 * 1024 ** 3,
      },
    });
    controller.addCommand('cmd-1', 'vm-1', { state: 'received' });
    controller.addCommand('cmd-0', 'vm-1', { state: 'completed' });
    controller.addEvent('vm-1', 'e1', 'draining', { reason: 'new image' });
    const { code, stdout } = await run('describe', 'vm', 'vm-1');
    expect(code).toBe(0);
    for (const line of [
      'Name:          vm-1',
      'State:         draining.finishingJob (drain: new image)',
      'Link:          connected',
      'Liveness:      alive, last heartbeat 3s ago',
      'Job:           build (acme/app, main, 0123456), runs for 2m13s',
      'Runner:        vm-1-x, running, labels linux, x64',
      'Health:        CPU 12%, memory 50% (4.0 of 8.0 GiB), disk 25% (25.0 of 100.0 GiB)',
      'First seen:    2026-11-21 09:00:00Z (3h ago)',
      '  60s   draining   reason="new image"',
    ]) {
      expect(stdout).toContain(`${line}\n`);
    }
    expect(stdout).toMatch(/^ {2}cmd-1 +drain +received /m);
    expect(stdout).not.toContain('cmd-0');
  });

  it('when nothing is known of a new VM, then the page says so', async () => {
    controller.addVm('vm-1', { last_heartbeat_at: null, outcome: 'failed', link: 'disconnected' });
    const { stdout } = await run('describe', 'vm', 'vm-1');
    expect(stdout).toContain('no heartbeat yet');
    expect(stdout).toContain('Outcome:       failed');
    expect(stdout).toMatch(/^Open commands: none\nRecent events: none$/m);
  });

  it('as data it is the VM with its open commands and recent events; several are a list', async () => {
    controller.addVm('vm-1');
    controller.addVm('vm-2');
    controller.addCommand('cmd-1', 'vm-1', { state: 'received' });
    controller.addCommand('cmd-0', 'vm-1', { state: 'completed' });
    controller.addEvent('vm-1', 'e1', 'draining', { reason: 'new image' });
    expect(JSON.parse((await run('describe', 'vm', 'vm-1', '-o', 'json')).stdout)).toMatchObject({
      vm_id: 'vm-1',
      open_commands: [{ id: 'cmd-1' }],
      recent_events: [{ type: 'draining' }],
    });
    expect(parse((await run('describe', 'vm', 'vm-1', 'vm-2', '-o', 'yaml')).stdout)).toMatchObject({
      vms: [{ vm_id: 'vm-1' }, { vm_id: 'vm-2', open_commands: [], recent_events: [] }],
    });
  });

  it('when the VM is unknown, then it exits 1', async () => {
    expect(await run('describe', 'vm', 'ghost')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('ghost'),
    });
  });
});
