/** `npm start`, and what it does when something is in the way: one clear line, a non-zero exit code, no process left. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { WorkflowJobResource } from '@mig/common/api/workflow-job-resource';
import { until } from '@mig/testkit/github/until';
import { startDemoProcess, startSystem } from './system.js';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-start-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const errorLines = (stderr: string): string[] => stderr.split('\n').filter((line) => line !== '');

async function takePort(): Promise<{ server: Server; port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return { server, port: typeof address === 'object' && address !== null ? address.port : 0 };
}

describe('a start', () => {
  test('when it is the first one, the controller is signed in as an App, and hears of every job by webhook', async () => {
    const system = await startSystem({ dataDirectory: folder });
    for (const file of ['github-app.pem', 'webhook-secret'])
      expect([file, (statSync(path.join(folder, file)).mode & 0o777).toString(8)]).toEqual([file, '600']);
    await until('the VM is ready', () => system.demo.output().includes('ready: waits for a job'), 20_000);
    await system.queueJob('the job', 100);
    const job = await until(
      'the controller knows that the job has ended',
      async () => {
        const authorization = `Bearer ${system.adminToken}`;
        const response = await fetch(`${system.http}/api/v1/workflow-jobs`, { headers: { authorization } });
        const { workflow_jobs: jobs } = (await response.json()) as { workflow_jobs: WorkflowJobResource[] };
        return jobs.find(({ status }) => status === 'completed');
      },
      20_000,
    );
    expect(job).toMatchObject({ name: 'the job', conclusion: 'success', vm_id: 'demo-vm-1' });
    await system.cleanUp();
  }, 60_000);
});

describe('what is in the way of a start', () => {
  test.each(['--http-port', '--grpc-port'])(
    'when the port of %s is taken, it says which and what to do',
    async (flag) => {
      const { server, port } = await takePort();
      const other = flag === '--http-port' ? '--grpc-port' : '--http-port';
      const demo = startDemoProcess([flag, String(port), other, '0', '--data-dir', folder]);
      const { code, stderr } = await demo.finished;
      server.close();
      expect(code).toBe(1);
      expect(errorLines(stderr)).toHaveLength(1);
      expect(stderr).toContain(String(port));
      expect(stderr).toContain(flag);
    },
    30_000,
  );

  test('when the data directory cannot be used, it says so', async () => {
    const file = path.join(folder, 'a-file');
    writeFileSync(file, '');
    const { code, stderr } = await startDemoProcess(['--data-dir', path.join(file, 'data')]).finished;
    expect(code).toBe(1);
    expect(errorLines(stderr)).toHaveLength(1);
    expect(stderr).toContain('--data-dir');
  }, 30_000);

  test('when an earlier start was killed, what it left behind is ended, and the new one runs', async () => {
    const first = await startSystem({ dataDirectory: folder });
    await until('the VM is ready', () => first.demo.output().includes('ready: waits for a job'), 20_000);
    const left = first.processes('controller.mjs');
    first.demo.signal('SIGKILL');
    await first.demo.finished;
    const second = await startSystem({ dataDirectory: folder });
    await until(
      'the VM is ready again',
      () => second.demo.output().includes('ready: waits for a job'),
      30_000,
    );
    expect(second.demo.output()).toMatch(/Ended \d+ processes that an earlier start left behind/);
    expect(second.processes('controller.mjs')).not.toEqual(left);
    expect(second.processes('controller.mjs')).toHaveLength(1);
    expect((await second.stop()).code).toBe(0);
    expect(second.processes('')).toEqual([]);
  }, 90_000);

  test('when another controller uses the data directory, it is named, and goes on', async () => {
    const system = await startSystem({ dataDirectory: folder, vms: 0 });
    const second = startDemoProcess(['--data-dir', folder, '--http-port', '0', '--grpc-port', '0']);
    const { code, stderr } = await second.finished;
    expect(code).toBe(1);
    expect(errorLines(stderr)).toHaveLength(1);
    expect(stderr).toMatch(/in use by another controller \(process \d+ /);
    expect((await fetch(`${system.http}/healthz`)).status).toBe(200);
    await system.cleanUp();
  }, 30_000);

  test('when flags are wrong, all of them are named at once, and the exit code is 2', async () => {
    const { code, stderr } = await startDemoProcess(['--vms', 'many', '--jobs-every', 'soon']).finished;
    expect(code).toBe(2);
    expect(stderr).toContain('--vms "many"');
    expect(stderr).toContain('--jobs-every "soon"');
  }, 30_000);
});
