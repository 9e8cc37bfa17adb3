/** A command that is to be resumed, over a controller that is killed while its output comes. */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { processesOf } from '@mig/testkit/system/processes-of';
import { startControllerProcess, type ControllerProcess } from './controller-process.js';
import { createMigletFolder, type MigletFolder, type MigletProcess } from './miglet-process.js';
import { ROOT, run } from './system.js';

const MIGCTL = path.join(ROOT, 'packages', 'cli', 'bin', 'migctl.js');
const LINES = 60_000;

let folder = '';
let controller: ControllerProcess;
let vm: MigletFolder;
let miglet: MigletProcess;

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-resume-'));
  controller = await startControllerProcess(path.join(folder, 'data'));
  vm = createMigletFolder({
    ...controller.member,
    MIGLET_TASKS_ENABLED: 'true',
    MIGLET_TASKS_GRACE: '500ms',
    MIGLET_CONTROLLER_RECONNECT_MAX: '1s',
  });
  miglet = vm.start();
  await until('it takes tasks', () => vm.log.some(({ event }) => event === 'tasks_connected'), 20_000);
}, 60_000);

afterAll(async () => {
  miglet.signal('SIGKILL');
  await miglet.exited;
  vm.cleanUp();
  await controller.stop();
  rmSync(folder, { recursive: true, force: true });
}, 30_000);

const exec = (...args: string[]) => run(MIGCTL, ['exec', 'vm-1', ...args], controller.operator);

describe('a controller that is killed while a command runs', () => {
  test('with --resume, the command goes on, and its output arrives whole and in order', async () => {
    const script = `i=1; while [ $i -le ${LINES} ]; do echo line $i; i=$((i+1)); done; exit 5`;
    const running = exec('--resume', '--', `${script}`);
    for (const at of [2_000, 20_000, 40_000]) {
      await until(`line ${at}`, () => running.output().includes(`line ${at}\n`), 60_000);
      await controller.killAndStart();
    }
    const { code, stdout, stderr } = await running.finished;
    expect({ code, stderr }).toEqual({ code: 5, stderr: '' });
    expect(stdout).toBe(Array.from({ length: LINES }, (_, at) => `line ${at + 1}\n`).join(''));
  }, 120_000);

  test('without it, the command is ended on the VM, and whoever waits hears why', async () => {
    await until('it takes tasks', () => vm.log.at(-1) !== undefined, 10_000);
    const running = exec('--', 'echo up; exec sleep 609');
    await until('it runs', () => running.output().includes('up'), 20_000);
    await controller.killAndStart();
    const { code, stderr } = await running.finished;
    expect(code).toBe(255);
    expect(stderr).toContain('agent disconnected');
    await until('it is ended', () => processesOf(vm.stateDirectory, '609').length === 0, 10_000);
  }, 60_000);
});
