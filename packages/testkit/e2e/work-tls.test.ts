/** Tasks and jobs where everybody shows a certificate: a MIGlet that joined by its own, over sessions that last for seconds. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { startControllerProcess, type ControllerProcess } from './controller-process.js';
import { createMigletFolder, type MigletFolder, type MigletProcess } from './miglet-process.js';
import { ROOT, run, type Running } from './system.js';

const MIGCTL = path.join(ROOT, 'packages', 'cli', 'bin', 'migctl.js');

let folder = '';
let controller: ControllerProcess;
let vm: MigletFolder;
let miglet: MigletProcess;
const inFolder = (name: string): string => path.join(folder, 'certs', name);

async function issue(...args: string[]): Promise<void> {
  const { code, stderr } = await run(MIGCTL, ['certs', ...args, '--dir', path.join(folder, 'certs')])
    .finished;
  expect([code, stderr]).toEqual([0, '']);
}
/** Ann is an operator by her certificate, and has no token. */
const ann = (...args: string[]): Running =>
  run(MIGCTL, args, {
    MIGCTL_SERVER: controller.http.replace('127.0.0.1', 'localhost'),
    MIGCTL_CONFIG: '/nowhere/at/all',
    MIGCTL_CA_FILE: inFolder('ca.pem'),
    MIGCTL_CERT_FILE: inFolder('ann.pem'),
    MIGCTL_KEY_FILE: inFolder('ann.key'),
  });

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-work-tls-'));
  await issue('init');
  await issue('issue', '--controller', 'localhost', '--host', '127.0.0.1');
  await issue('issue', '--vm', 'vm-1', '--pool', 'default');
  await issue('issue', '--operator', 'ann', '--role', 'operator');
  controller = await startControllerProcess(path.join(folder, 'data'), {
    CONTROLLER_TLS_CERT_FILE: inFolder('localhost.pem'),
    CONTROLLER_TLS_KEY_FILE: inFolder('localhost.key'),
    CONTROLLER_TLS_CLIENT_CA_FILE: inFolder('ca.pem'),
    CONTROLLER_TLS_CLIENT_CERTIFICATES: 'required',
    CONTROLLER_AUTH_JOIN_METHODS: 'mtls',
    CONTROLLER_AUTH_SESSION_LIFETIME: '3s',
  });
  vm = createMigletFolder({
    MIGLET_CONTROLLER_ENDPOINT: controller.http,
    MIGLET_CONTROLLER_GRPC_ENDPOINT: controller.grpc,
    MIGLET_CONTROLLER_JOIN_METHOD: 'mtls',
    MIGLET_CONTROLLER_TLS_CA_FILE: inFolder('ca.pem'),
    MIGLET_CONTROLLER_TLS_CERT_FILE: inFolder('vm-1.pem'),
    MIGLET_CONTROLLER_TLS_KEY_FILE: inFolder('vm-1.key'),
    MIGLET_TASKS_ENABLED: 'true',
    MIGLET_JOBS_ENABLED: 'true',
    MIGLET_JOBS_POLL: '200ms',
  });
  miglet = vm.start();
  await until('it takes tasks', () => vm.log.some(({ event }) => event === 'tasks_connected'), 20_000);
}, 90_000);

afterAll(async () => {
  miglet.signal('SIGKILL');
  await miglet.exited;
  vm.cleanUp();
  await controller.stop();
  rmSync(folder, { recursive: true, force: true });
}, 30_000);

describe('over TLS, with certificates alone', () => {
  test('a command runs on the VM, and a job that outlives sessions is reported to its end', async () => {
    expect(await ann('exec', 'vm-1', '--', 'echo over TLS').finished).toEqual({
      code: 0,
      stdout: 'over TLS\n',
      stderr: '',
    });
    const file = path.join(folder, 'job.yaml');
    writeFileSync(
      file,
      'name: long\ntasks: [{name: t, driver: exec, config: {command: "sleep 7; echo done"}}]\n',
    );
    const { stdout } = await ann('submit', file).finished;
    const id = stdout.split(':')[0] ?? '';
    expect(await ann('logs', 'job', id, '-f').finished).toMatchObject({ code: 0, stdout: 'done\n' });
    expect((await ann('get', 'job', id, '-o', 'json').finished).stdout).toContain('"state": "completed"');
    expect(await ann('exec', 'vm-1', '--', 'echo still there').finished).toMatchObject({
      code: 0,
      stdout: 'still there\n',
    });
    expect(vm.log.filter(({ event }) => event === 'queue_away' || event === 'tasks_disconnected')).toEqual(
      [],
    );
  }, 60_000);
});
