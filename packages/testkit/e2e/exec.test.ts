/**
 * `migctl exec` and `migctl docker` with everything between them and the VM as it is in production: the bundles of the
 * controller and the MIGlet as processes, and migctl as an operator runs it.
 */
import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startStandInEngine, type StandInEngine } from '@mig/testkit/docker/stand-in-engine';
import { until } from '@mig/testkit/github/until';
import { processesOf } from '@mig/testkit/system/processes-of';
import { startControllerProcess, type ControllerProcess } from './controller-process.js';
import { createMigletFolder, type MigletFolder, type MigletProcess } from './miglet-process.js';
import { ROOT, run, type Running } from './system.js';

const MIGCTL = path.join(ROOT, 'packages', 'cli', 'bin', 'migctl.js');

/** Some start migctl many times, on a machine that may be busy. */
const SLOW_MS = 90_000;

let folder = '';
let controller: ControllerProcess;
let vm: MigletFolder;
let miglet: MigletProcess;
let engine: StandInEngine;
let pids: { readonly controller: number; miglet: number };

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-exec-'));
  controller = await startControllerProcess(path.join(folder, 'data'));
  engine = await startStandInEngine(path.join(folder, 'docker.sock'), ['alpine']);
  vm = createMigletFolder({
    ...controller.member,
    MIGLET_TASKS_ENABLED: 'true',
    MIGLET_TASKS_GRACE: '1s',
    MIGLET_TASKS_DOCKER_SOCKET: engine.socketPath,
  });
  miglet = vm.start();
  await until('it takes tasks', () => vm.log.some(({ event }) => event === 'tasks_connected'), 20_000);
  pids = { controller: controller.pid, miglet: processesOf(vm.directory, 'miglet.mjs')[0] ?? 0 };
}, 60_000);

afterAll(async () => {
  miglet.signal('SIGTERM');
  await miglet.exited;
  vm.cleanUp();
  await engine.close();
  await controller.stop();
  rmSync(folder, { recursive: true, force: true });
}, 30_000);

const migctl = (...args: string[]): Running => run(MIGCTL, args, controller.operator);
/** Processes of tasks that live on the VM. */
const tasksOnVm = (text: string): number[] =>
  processesOf(vm.stateDirectory, text).filter((pid) => pid !== pids.miglet);
const rssOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;

describe('migctl exec', () => {
  test('output comes on its own stream, and the exit code is passed on', async () => {
    const ran = await migctl('exec', 'vm-1', '-e', 'NAME=a b', '--', 'echo "$NAME"; echo oh >&2; exit 7')
      .finished;
    expect(ran).toEqual({ code: 7, stdout: 'a b\n', stderr: 'oh\n' });
  });

  test('words are passed on as they stand, and a signal as 128 and its number', async () => {
    const words = await migctl('exec', 'vm-1', '--', 'printf', '[%s]', "it's", '$HOME', 'a  b').finished;
    expect(words.stdout).toBe("[it's][$HOME][a  b]");
    expect((await migctl('exec', 'vm-1', '--', 'kill -KILL $$').finished).code).toBe(137);
  });

  test('a command has an environment of its own, outside of the folders of the MIGlet and its runner', async () => {
    const { stdout } = await migctl('exec', 'vm-1', '--', 'env; pwd').finished;
    expect(stdout).toContain('PATH=');
    expect(stdout).not.toMatch(/^(MIGLET_|ACTIONS_|RUNNER_|MIG_RUNNER_TREE)/m);
    expect(stdout).not.toContain('join');
    expect(stdout.trimEnd().split('\n').at(-1)).not.toContain(vm.directory);
    const inside = ['--workdir', path.join(vm.directory, 'runner'), 'vm-1', '--', 'ls'];
    const refused = await migctl('exec', ...inside).finished;
    expect(refused.code).toBe(255);
    expect(refused.stderr).toContain("runner's folder");
  });

  test('output comes while the command runs', async () => {
    const running = migctl('exec', 'vm-1', '--', 'echo now; sleep 600');
    await until('the first line', () => running.output().includes('now'), 10_000);
    expect(tasksOnVm('sleep').length).toBeGreaterThan(0);
    running.signal('SIGINT');
    expect((await running.finished).code).toBe(130);
  });

  test(
    'Ctrl-C leaves no process on the VM, whatever the command started',
    async () => {
      const running = migctl(
        'exec',
        'vm-1',
        '--',
        'sh',
        '-c',
        `trap '' TERM; sleep 601 & setsid sleep 602 & echo up; sleep 600; sleep 603`,
      );
      await until('it runs', () => running.output().includes('up'), 10_000);
      running.signal('SIGINT');
      const { code } = await running.finished;
      expect(code).toBe(130);
      expect(tasksOnVm('sleep')).toEqual([]);
    },
    SLOW_MS,
  );

  test('a command whose time runs out is ended: 124', async () => {
    const ran = await migctl('exec', 'vm-1', '--timeout', '300ms', '--', 'sleep', '600').finished;
    expect(ran.code).toBe(124);
    expect(tasksOnVm('sleep')).toEqual([]);
  });

  test('a pool: each line with the name of its VM, a summary, and exit code 1 if one failed', async () => {
    const ran = await migctl('exec', '--pool', 'default', '--', 'echo one; echo two; exit 3').finished;
    expect(ran.code).toBe(1);
    expect(ran.stdout).toBe('vm-1 | one\nvm-1 | two\n');
    expect(ran.stderr).toBe('1 VM: 0 ok, 1 not\n  exit code 3: vm-1\n');
  });

  test('200 MB arrive whole and in order, and neither the controller nor the MIGlet grows by 64 MB', async () => {
    const before = { controller: rssOf(pids.controller), miglet: rssOf(pids.miglet) };
    const most = { ...before };
    const sampling = setInterval(() => {
      most.controller = Math.max(most.controller, rssOf(pids.controller));
      most.miglet = Math.max(most.miglet, rssOf(pids.miglet));
    }, 100);
    const digest = createHash('sha256');
    let bytes = 0;
    const child = spawn(
      process.execPath,
      [MIGCTL, 'exec', 'vm-1', '--', 'sh', '-c', 'yes 0123456789 | head -c 200M'],
      { env: { ...process.env, ...controller.operator }, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      digest.update(chunk);
      bytes += chunk.length;
    }
    clearInterval(sampling);
    const expected = createHash('sha256');
    const line = '0123456789\n';
    const block = line.repeat(2 ** 16);
    for (let left = 200 * 2 ** 20; left > 0; left -= block.length) expected.update(block.slice(0, left));
    expect(bytes).toBe(200 * 2 ** 20);
    expect(digest.digest('hex')).toBe(expected.digest('hex'));
    expect(most.controller - before.controller).toBeLessThan(64 * 2 ** 20);
    expect(most.miglet - before.miglet).toBeLessThan(64 * 2 ** 20);
  }, 180_000);

  test(
    'a reader that stops reading holds the command up, not the memory; another task goes on meanwhile',
    async () => {
      const child = spawn(process.execPath, [MIGCTL, 'exec', 'vm-1', '--', 'yes'], {
        env: { ...process.env, ...controller.operator },
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      await until('it has filled all on its way', () => tasksOnVm('yes').length > 0, 10_000);
      const other = await migctl('exec', 'vm-1', '--', 'echo', 'through').finished;
      expect(other.stdout).toBe('through\n');
      child.kill('SIGINT');
      child.stdout.resume();
      await new Promise((resolve) => child.once('close', resolve));
      await until('it has ended', () => tasksOnVm('yes').length === 0, 10_000);
    },
    SLOW_MS,
  );
});

describe('migctl docker', () => {
  test(
    'a container is run, listed, followed, stopped and removed',
    async () => {
      const ran = await migctl(
        'docker',
        'run',
        '--rm',
        '-e',
        'A=1',
        'vm-1',
        'alpine',
        '--',
        'sh',
        '-c',
        'echo $A; exit 4',
      ).finished;
      expect(ran).toMatchObject({ code: 4, stdout: '1\n' });
      const started = await migctl(
        'docker',
        'run',
        '-d',
        '--name',
        'web',
        'vm-1',
        'alpine',
        '--',
        'sh',
        '-c',
        'echo up; exec sleep 600',
      ).finished;
      expect(started.stdout).toMatch(/^[0-9a-f]{64}\n$/);
      expect((await migctl('docker', 'ls', 'vm-1').finished).stdout).toMatch(/web +alpine +running/);
      const logs = migctl('docker', 'logs', '-f', 'vm-1', 'web');
      await until('its log is seen', () => logs.output() === 'up\n', 10_000);
      logs.signal('SIGINT');
      expect((await logs.finished).code).toBe(130);
      expect((await migctl('docker', 'stop', 'vm-1', 'web').finished).code).toBe(0);
      expect((await migctl('docker', 'rm', 'vm-1', 'web').finished).code).toBe(0);
      const gone = await migctl('docker', 'rm', 'vm-1', 'web').finished;
      expect(gone).toMatchObject({ code: 255 });
      expect(gone.stderr).toContain('No such container');
    },
    SLOW_MS,
  );

  test('a pull shows how it goes', async () => {
    const { code, stderr, stdout } = await migctl('docker', 'pull', 'vm-1', 'busybox:1').finished;
    expect(code).toBe(0);
    expect(stderr).toContain('Downloading');
    expect(stdout).toBe('busybox:1\n');
  });
});

describe('what there is of tasks', () => {
  test(
    'is listed, and one that runs is cancelled by its id',
    async () => {
      const started = await migctl('exec', '-d', 'vm-1', '--', 'sleep', '604').finished;
      const id = started.stdout.trim();
      expect((await migctl('get', 'tasks', '--state', 'in_progress').finished).stdout).toContain(id);
      expect((await migctl('cancel', 'task', id).finished).code).toBe(0);
      await until(
        'it has ended',
        async () => (await migctl('get', 'task', id).finished).stdout.includes('cancelled'),
        10_000,
      );
      expect(tasksOnVm('604')).toEqual([]);
    },
    SLOW_MS,
  );

  test(
    'a MIGlet that is killed leaves tasks behind, and the next one ends them',
    async () => {
      const running = migctl('exec', 'vm-1', '--', 'echo up; exec sleep 605');
      await until('it runs', () => running.output().includes('up'), 10_000);
      miglet.signal('SIGKILL');
      await miglet.exited;
      const { code, stderr } = await running.finished;
      expect(code).toBe(255);
      expect(stderr).toContain('agent disconnected');
      expect(tasksOnVm('605').length).toBe(1);
      miglet = vm.start();
      await until('they are ended', () => tasksOnVm('605').length === 0, 10_000);
    },
    SLOW_MS,
  );
});
