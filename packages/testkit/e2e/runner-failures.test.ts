/**
 * Runners that look alive and do nothing, and MIGlets that are killed meanwhile: the MIGlet's bundle as a process, its runner a
 * script that does what the real one does in each case.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { until } from '@mig/testkit/github/until';
import { createMigletFolder, type MigletFolder } from './miglet-process.js';
import { startScriptedController, type ScriptedController } from './scripted-controller.js';

let controller: ScriptedController;
let vm: MigletFolder;

/** @param listener what the listener does when it listens, in a shell that has `say`, and `first`: true in its first process */
async function setUp(listener: string, env: Readonly<Record<string, string>> = {}): Promise<void> {
  controller = await startScriptedController();
  vm = createMigletFolder({
    MIGLET_CONTROLLER_ENDPOINT: controller.http,
    MIGLET_CONTROLLER_GRPC_ENDPOINT: controller.grpc,
    MIGLET_RUNNER_ACKNOWLEDGE_TIMEOUT: '1s',
    MIGLET_RUNNER_WORKER_TIMEOUT: '1s',
    MIGLET_RUNNER_STOP_GRACE: '1s',
    ...env,
  });
  const bin = path.join(vm.directory, 'runner', 'bin');
  const write = (name: string, text: string): void => {
    writeFileSync(path.join(bin, name), `#!/bin/sh\n${text}`);
    chmodSync(path.join(bin, name), 0o755);
  };
  write('Runner.Worker', 'sleep 600; :\n');
  write(
    'Runner.Listener',
    `trap 'exit 0' INT
now() { date -u '+%Y-%m-%d %H:%M:%SZ'; }
say() { echo "$(now): $1"; }
acknowledge() { echo "[RUNNER $(now) INFO BrokerMessageListener] Acknowledging runner request '1'."; }
first() { [ ! -e '${vm.directory}/second' ] && : > '${vm.directory}/second'; }
say 'Listening for Jobs'
${listener}
while :; do sleep 0.1 & wait; done
`,
  );
}
afterEach(async () => {
  vm.cleanUp();
  await controller.close();
});

const DEADLINE_MS = 20_000;
const events = (type: string) =>
  controller.timeline.flatMap((entry) =>
    entry.kind === 'event' && entry.event.type === type ? [entry.event] : [],
  );
const heard = (type: string, count = 1) =>
  until(`${type} is told`, () => events(type)[count - 1], DEADLINE_MS);
const stateIs = (state: string): boolean => controller.heartbeats.at(-1)?.report.state === state;
const ready = () => until('the VM is ready', () => stateIs('ready.idle'), DEADLINE_MS);
const orders = (): string[] =>
  controller.commands.filter(({ type }) => type === 'register_runner').map(({ id }) => id);

describe('a runner that looks alive and does nothing', () => {
  test('when it took a job and does not begin it, it is told of, killed and registered anew', async () => {
    await setUp('first && acknowledge');
    vm.start();
    expect((await heard('runner_hung')).data).toMatchObject({
      hang: 'no_job_after_acknowledge',
      reason: expect.stringContaining('has not begun it'),
    });
    expect((await heard('runner_crashed')).data).toMatchObject({ signal: 'SIGKILL', outcome: 'hung' });
    await heard('runner_registered', 2);
    await ready();
    expect([orders().length, events('job_started')]).toEqual([2, []]);
  }, 60_000);

  test('when it ends with a job that it took and did not run, it is told of, and registered anew', async () => {
    await setUp('first && acknowledge && exit 0');
    vm.start();
    expect((await heard('runner_exited')).data).toMatchObject({ exit_code: '0', outcome: 'job_orphaned' });
    await heard('runner_registered', 2);
  }, 60_000);

  test('when its job is done and its worker does not end, GitHub is asked, and then all of it is ended', async () => {
    // As the runner does: the line, and then the worker (JobDispatcher.cs).
    await setUp(`first && {
  say 'Running job: build'
  "\${0%/*}/Runner.Worker" &
  sh -e "$ACTIONS_RUNNER_HOOK_JOB_COMPLETED"
}`);
    vm.start();
    expect((await heard('job_started')).data).toMatchObject({ name: 'build' });
    expect((await heard('runner_hung')).data).toMatchObject({ hang: 'worker_lingers', job: 'build' });
    expect((await heard('runner_crashed')).data).toMatchObject({ outcome: 'hung' });
    await heard('runner_registered', 2);
    await ready();
  }, 60_000);

  test('when a drain comes while it hangs, the drain ends', async () => {
    await setUp('acknowledge', { MIGLET_RUNNER_ACKNOWLEDGE_TIMEOUT: '2s' });
    vm.start();
    await ready();
    const drain = controller.submit('drain', { reason: 'a test' });
    await until(
      'the drain ends',
      () => controller.commands.find(({ id }) => id === drain)?.result?.success === true,
      DEADLINE_MS,
    );
    expect(stateIs('draining.drained') || stateIs('draining.stoppingRunner')).toBe(true);
  }, 60_000);
});

describe('a MIGlet that is killed', () => {
  test('when its runner waits to be started again, the next one registers it anew', async () => {
    await setUp('first && exit 2');
    const first = vm.start();
    await heard('runner_crashed');
    first.signal('SIGKILL');
    await first.exited;
    vm.start();
    await heard('runner_registered', 2);
    await ready();
  }, 60_000);

  test('when its runner has ended and is not deleted, the next one has it deleted, before anything else', async () => {
    await setUp('first && exit 1');
    const first = vm.start({
      env: { MIGLET_REGISTRATION_RETRY_FIRST: '10m', MIGLET_REGISTRATION_RETRY_MAX: '10m' },
    });
    await heard('runner_crashed');
    first.signal('SIGKILL');
    await first.exited;
    const boot = (): { registered_as: string[] } =>
      JSON.parse(readFileSync(path.join(vm.stateDirectory, 'boot.json'), 'utf8')) as never;
    const left = boot().registered_as;
    expect(left).toHaveLength(1);
    controller.registers = false;
    vm.start();
    await until('nothing is left', () => boot().registered_as.length === 0, DEADLINE_MS);
  }, 60_000);

  test('while a job runs without a line, the next one finds it by its worker, and lets it end (I5)', async () => {
    await setUp(`first && {
  "\${0%/*}/Runner.Worker" &
  worker=$!
  while [ ! -e "\${0%/*}/end" ]; do sleep 0.1; done
  kill $worker
}`);
    const first = vm.start();
    expect((await heard('job_started')).data).toMatchObject({ name: 'unknown' });
    first.signal('SIGKILL');
    await first.exited;
    writeFileSync(path.join(vm.stateDirectory, 'runner.json'), '{"pid":');
    const beats = controller.heartbeats.length;
    vm.start();
    await until(
      'the VM is busy',
      () => controller.heartbeats.slice(beats).some(({ report }) => report.currentJob?.name === 'unknown'),
      DEADLINE_MS,
    );
    expect(existsSync(path.join(vm.directory, 'runner', 'bin', 'end'))).toBe(false);
    expect(events('runner_crashed')).toEqual([]);
  }, 60_000);
});

describe('the output of a runner that writes without end', () => {
  test('when all of it is told, it does not grow without end (I12)', async () => {
    await setUp(`i=0; while [ $i -lt 40 ]; do
  i=$((i + 1)); yes '[RUNNER 2026-01-01 00:00:00Z INFO Terminal] nothing of any interest to anybody' | head -c 262144; echo
done
touch "\${0%/*}/../written"`);
    vm.start();
    await ready();
    const output = path.join(vm.stateDirectory, 'runner-output.log');
    await until(
      'it has grown',
      () => existsSync(path.join(vm.directory, 'runner', 'written')) || statSync(output).size > 8 * 2 ** 20,
      DEADLINE_MS,
    );
    await until('it is emptied', () => statSync(output).size < 2 ** 20, DEADLINE_MS);
    expect(stateIs('ready.idle')).toBe(true);
  }, 60_000);
});
