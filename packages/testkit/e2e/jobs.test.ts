/** Jobs with everything between migctl and the VM as it is in production: bundles as processes, a MIGlet as the node. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { JobResource, NodeResource } from '@mig/common/api/job-resource';
import { until } from '@mig/testkit/github/until';
import { processesOf } from '@mig/testkit/system/processes-of';
import { startControllerProcess, type ControllerProcess } from './controller-process.js';
import { createMigletFolder, type MigletFolder, type MigletProcess } from './miglet-process.js';
import { ROOT, run, type Finished } from './system.js';

const MIGCTL = path.join(ROOT, 'packages', 'cli', 'bin', 'migctl.js');

let folder = '';
let controller: ControllerProcess;
let vm: MigletFolder;
let miglet: MigletProcess;

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-jobs-'));
  controller = await startControllerProcess(path.join(folder, 'data'));
  vm = createMigletFolder({
    ...controller.member,
    MIGLET_JOBS_ENABLED: 'true',
    MIGLET_JOBS_POLL: '100ms',
    MIGLET_JOBS_HEARTBEAT: '200ms',
    MIGLET_JOBS_DATACENTER: 'dc1',
    MIGLET_JOBS_RAM_MB: '4096',
  });
  miglet = vm.start();
  await until('the node is there', async () => (await nodes()).length === 1, 20_000);
}, 60_000);

afterAll(async () => {
  miglet.signal('SIGKILL');
  await miglet.exited;
  vm.cleanUp();
  await controller.stop();
  rmSync(folder, { recursive: true, force: true });
}, 30_000);

const start = (...args: string[]) => run(MIGCTL, args, controller.operator);
const migctl = (...args: string[]): Promise<Finished> => start(...args).finished;
const get = <T>(route: string): Promise<T> => controller.call('GET', route);
const nodes = async (): Promise<NodeResource[]> => (await get<{ nodes: NodeResource[] }>('nodes')).nodes;
const job = (id: string): Promise<JobResource> => get(`jobs/${id}`);

function write(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

async function submit(text: string): Promise<string> {
  const { code, stdout, stderr } = await migctl('submit', write('job.yaml', text));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout.split(':')[0] ?? '';
}

const ended = (id: string): Promise<JobResource> =>
  until(
    `${id} ends`,
    async () => {
      const now = await job(id);
      return ['completed', 'failed', 'cancelled'].includes(now.state) ? now : undefined;
    },
    20_000,
  );

describe('a job on a MIGlet', () => {
  test('is submitted, runs its tasks in their order, and its output is followed to its end', async () => {
    const id = await submit(`name: two-steps
datacenters: [dc1]
constraints: [{attribute: pool, operator: "==", value: default}]
resources: {ram_mb: 100}
tasks:
  - {name: first, driver: exec, config: {command: "echo one; sleep 1; echo two >&2"}, env: {A: "1"}}
  - {name: second, driver: exec, config: {command: "echo $A three"}, env: {A: "2"}}
`);
    const logs = await migctl('logs', 'job', id, '-f');
    expect(logs).toEqual({ code: 0, stdout: 'one\n2 three\n', stderr: 'two\n' });
    expect(await ended(id)).toMatchObject({ state: 'completed', node_id: 'vm-1', attempt: 1, exit_code: 0 });
    expect((await migctl('describe', 'job', id)).stdout).toMatch(/claimed +vm-1[^]*running[^]*completed/);
    expect((await migctl('get', 'jobs', '--name', 'two-steps')).stdout).toContain('completed');
  });

  test('that fails says which task and how; it is cancelled with all that it started', async () => {
    const failed = await ended(
      await submit(
        'name: f\nretry: {max_retries: 0}\ntasks: [{name: t, driver: exec, config: {command: exit 3}}]',
      ),
    );
    expect(failed).toMatchObject({ state: 'failed', exit_code: 3, message: 'task t: exit code 3' });
    const id = await submit(
      'name: c\ntasks: [{name: t, driver: exec, config: {command: "sleep 606 & sleep 607"}}]',
    );
    await until('it runs', () => processesOf(vm.stateDirectory, '607').length > 0, 10_000);
    expect((await migctl('cancel', 'job', id)).code).toBe(0);
    await until(
      'nothing is left of it',
      () => processesOf(vm.stateDirectory, '606').length + processesOf(vm.stateDirectory, '607').length === 0,
      20_000,
    );
  });

  test('that fits no node says why', async () => {
    const id = await submit(
      'name: big\nresources: {ram_mb: 8192}\ntasks: [{name: t, driver: exec, config: {command: ls}}]',
    );
    const { stdout } = await migctl('why', 'job', id);
    expect(stdout).toContain('1 node lacks 8192 MB of memory');
    await migctl('cancel', 'job', id);
  });

  test('whose MIGlet is killed is run again by the next one: the controller hears that it was lost', async () => {
    const id = await submit(
      `name: again\nretry: {backoff: 0s}\ntasks: [{name: t, driver: exec, config: {command: "echo run >> ${folder}/runs; [ -e ${folder}/go ] || sleep 608"}}]`,
    );
    await until('it runs', () => processesOf(vm.stateDirectory, '608').length > 0, 10_000);
    miglet.signal('SIGKILL');
    await miglet.exited;
    write('go', '');
    miglet = vm.start();
    const done = await until(
      'it is done',
      async () => {
        const now = await job(id);
        return now.state === 'completed' ? now : undefined;
      },
      30_000,
    );
    expect(done.attempt).toBe(2);
    expect(processesOf(vm.stateDirectory, '608')).toEqual([]);
  }, 60_000);

  test('is finished before a drain of its VM ends, and no other is begun', async () => {
    const id = await submit(
      `name: long\ntasks: [{name: t, driver: exec, config: {command: "sleep 3; echo done"}}]`,
    );
    await until('it runs', async () => (await job(id)).state === 'running', 10_000);
    const drained = await migctl('drain', 'vm-1', '--wait', '--timeout', '30s');
    expect(drained.code).toBe(0);
    expect(await job(id)).toMatchObject({ state: 'completed' });
    const later = await submit('name: later\ntasks: [{name: t, driver: exec, config: {command: ls}}]');
    expect((await migctl('why', 'job', later)).stdout).toContain('1 node is draining');
    await migctl('cancel', 'job', later);
  }, 60_000);
});

describe('a specification that is wrong', () => {
  test('names every fault with file, line and path; exit code 2, and nothing is queued', async () => {
    const before = (await get<{ jobs: JobResource[] }>('jobs')).jobs.length;
    const good = write('good.yaml', 'name: g\ntasks: [{name: t, driver: exec, config: {command: ls}}]\n');
    const bad = write(
      'bad.yaml',
      'name: "b b"\ntype: bach\ntasks:\n  - name: t\n    driver: exec\n    config: {comand: ls}\n',
    );
    const { code, stderr } = await migctl('submit', good, bad);
    expect(code).toBe(2);
    for (const place of [
      `${bad}:1: name: `,
      `${bad}:2: type: `,
      `${bad}:6: tasks[0].config.comand: `,
      `${bad}:6: tasks[0].config.command: `,
    ])
      expect(stderr).toContain(place);
    expect((await get<{ jobs: JobResource[] }>('jobs')).jobs.length).toBe(before);
  });

  test('that depends on a job that is not there is one, too; one that is submitted with it is there', async () => {
    const before = (await get<{ jobs: JobResource[] }>('jobs')).jobs.length;
    const tasks = 'tasks: [{name: t, driver: exec, config: {command: ls}}]\n';
    const first = write('first.yaml', `name: first\n${tasks}`);
    const second = write('second.yaml', `name: second\ndepends_on:\n  - first\n${tasks}`);
    const ghost = write('ghost.yaml', `name: g\ndepends_on:\n  - first\n  - ghost\n${tasks}`);
    const { code, stderr } = await migctl('submit', first, second, ghost);
    expect(code).toBe(2);
    expect(stderr).toContain(`${ghost}:4: depends_on[1]: there is no job with the id or the name ghost`);
    expect(stderr).toContain('1 fault; nothing was submitted');
    expect((await get<{ jobs: JobResource[] }>('jobs')).jobs.length).toBe(before);
    expect((await migctl('submit', first, second)).code).toBe(0);
  });

  test('the example is one that can be submitted', async () => {
    const { stdout } = await migctl('example', 'job');
    const { code } = await migctl('submit', write('example.yaml', stdout));
    expect(code).toBe(0);
  });
});
