/** The controller as a whole: starting, stopping, starting again on the same data. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { systemClock } from '@mig/common/clock';
import type { CommandResource } from '@mig/common/api/command-resource';
import { until } from '@mig/testkit/github/until';
import { createManualClock } from '../../common/src/manual-clock.contract.js';
import { controllerConfigSchema } from './config.js';
import { startController } from './controller.js';
import { vmEvent } from './store/samples.contract.js';
import { GITHUB_TOKEN, startTestController, type TestController } from './test-controller.contract.js';

const LOG_LEVEL = { type: 'set_log_level', parameters: { level: 'debug' } };

let test: TestController;
afterEach(() => test.dispose());

const submit = async (body: object = LOG_LEVEL, headers = {}) =>
  (await test.call<CommandResource>('POST', '/api/v1/vms/vm-1/commands', { body, headers })).json;
const command = async (id: string) =>
  (await test.call<CommandResource>('GET', `/api/v1/commands/${id}`)).json;
const ackOf = (commandId: string, phase: 'received' | 'completed') =>
  ({ kind: 'ack', ack: { commandId, phase, success: true, message: '', result: {} } }) as const;

describe('a restart', () => {
  it('reads everything back: VMs, events, commands, idempotency keys', async () => {
    test = await startTestController();
    const miglet = await test.miglet({ state: 'ready.busy' });
    miglet.send({ kind: 'event', event: vmEvent({ sequence: 4 }) });
    await miglet.next('eventAck');
    const key = { 'idempotency-key': 'k' };
    const sent = await submit(LOG_LEVEL, key);
    const taken = await submit();
    await until('both are delivered', () => miglet.commands().length === 2);
    miglet.send(ackOf(taken.id, 'received'));
    const done = await submit();
    await until('the third is delivered', () => miglet.commands().length === 3);
    miglet.send(ackOf(done.id, 'completed'));
    await miglet.next('resultAck');
    const before = (await test.call('GET', '/api/v1/vms/vm-1/events')).json;

    await test.restart();
    expect((await test.call('GET', '/api/v1/vms/vm-1')).json).toMatchObject({
      state: 'ready.busy',
      boot_id: 'boot-1',
      link: 'disconnected',
      // By the grace that a start gives to all (I7).
      liveness: 'alive',
    });
    expect((await test.call('GET', '/api/v1/vms/vm-1/events')).json).toEqual(before);
    const states = [await command(sent.id), await command(taken.id), await command(done.id)].map(
      ({ state }) => state,
    );
    expect(states).toEqual(['queued', 'received', 'completed']);
    expect((await submit(LOG_LEVEL, key)).id).toBe(sent.id);

    // What was taken is asked about, what was sent goes out again, in order; nothing that ended does.
    const again = await test.miglet({ state: 'ready.busy' });
    expect((await again.next('connectAck')).ack).toMatchObject({
      lastEventSequence: 4,
      announceAgain: false,
    });
    await until('both are delivered again', () => again.commands().length === 2);
    expect(again.commands()).toMatchObject([
      { id: taken.id, startWithinMs: -1 },
      { id: sent.id, attempt: 2 },
    ]);
  });

  it('a command that was accepted while its VM was away is delivered by the next controller (I1)', async () => {
    test = await startTestController();
    (await test.miglet()).close();
    await until('it is gone', () => test.log.text().includes('the stream of a VM ended'));
    const { id } = await submit();
    await test.restart();
    const miglet = await test.miglet();
    await until('it is delivered', () => miglet.commands().length === 1);
    expect(miglet.commands()[0]).toMatchObject({ id, attempt: 1 });
  });
});

describe('a file that is torn', () => {
  it('is set aside at the next start, which is an event of its VM and in the log', async () => {
    test = await startTestController();
    (await test.miglet()).close();
    await until('it is gone', () => test.log.text().includes('the stream of a VM ended'));
    const { id } = await submit();
    await test.controller.stop();
    const file = path.join(test.directory, 'data', 'vm-1', 'commands', 'cmd-torn.json');
    await writeFile(file, '{"id":');
    await test.restart();
    type List = { events: { type: string; via: string; data: Record<string, string> }[] };
    const { events } = await test.eventually<List>(
      'it is told',
      '/api/v1/vms/vm-1/events',
      (json) => json.events.length === 1,
    );
    expect(events[0]).toMatchObject({
      type: 'file_set_aside',
      via: 'controller',
      data: { file: expect.stringContaining('cmd-torn.json') as unknown },
    });
    expect(test.log.lines()).toContainEqual(
      expect.objectContaining({ event: 'file_set_aside', level: 'error', vmId: 'vm-1' }),
    );
    expect((await command(id)).state).toBe('queued');
    await test.restart();
    expect((await test.call<List>('GET', '/api/v1/vms/vm-1/events')).json.events).toHaveLength(1);
  });
});

describe('what cannot start', () => {
  const configFor = (fields: object) =>
    controllerConfigSchema.parse({ http: { port: 0 }, grpc: { port: 0 }, ...fields });
  const start = (fields: object) =>
    startController({
      config: configFor(fields),
      clock: systemClock,
      logger: test.log.logger,
      random: () => 0.5,
      version: '0.1.0',
    });

  it.each(['http', 'grpc'] as const)(
    'because its %s port is taken is refused, and leaves the data free',
    async (which) => {
      test = await startTestController();
      const server = net.createServer().listen(0, '127.0.0.1');
      await new Promise((resolve) => server.once('listening', resolve));
      const { port } = server.address() as net.AddressInfo;
      const data_dir = path.join(test.directory, 'other');
      await expect(start({ data_dir, [which]: { port } })).rejects.toThrow(/EADDRINUSE/);
      const controller = await start({ data_dir });
      await controller.stop();
      await new Promise((resolve) => server.close(resolve));
    },
  );

  it('because another controller has its data directory is refused, by name; the other is not disturbed', async () => {
    test = await startTestController();
    const data_dir = path.join(test.directory, 'data');
    await expect(start({ data_dir })).rejects.toMatchObject({
      code: 'data-directory-in-use',
      message: expect.stringMatching(
        new RegExp(`^the data directory ${data_dir} is in use .*process ${process.pid}`),
      ),
    });
    expect((await test.call('GET', '/healthz')).status).toBe(200);
  });

  it('because its data directory is no directory is refused with the error of the system', async () => {
    test = await startTestController();
    const file = path.join(test.directory, 'file');
    await writeFile(file, '');
    await expect(start({ data_dir: path.join(file, 'data') })).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});

describe('a stop', () => {
  it('ends once, lets go of ports and data, and leaves no temporary file', async () => {
    test = await startTestController();
    const miglet = await test.miglet();
    miglet.send({ kind: 'event', event: vmEvent({ sequence: 1 }) });
    await miglet.next('eventAck');
    await Promise.all([test.controller.stop(), test.controller.stop()]);
    await expect(test.call('GET', '/healthz')).rejects.toThrow(/ECONNREFUSED/);
    const names = await readdir(path.join(test.directory, 'data'), { recursive: true });
    expect(names.filter((name) => name.endsWith('.tmp') || name.endsWith('.lock'))).toEqual([]);
  });
});

describe('secrets', () => {
  it("neither a runner's configuration nor the controller's own token reaches a file or a log line (I8, I9)", async () => {
    test = await startTestController({ withGitHub: true });
    const miglet = await test.miglet({ state: 'registering.awaitingCommand' });
    await until('it is registered', () => miglet.commands().length === 1);
    const secret = String(miglet.commands()[0]?.parameters['jit_config']);
    expect(secret).toMatch(/^[A-Za-z0-9+/=]{200,}$/);
    miglet.send(ackOf(miglet.commands()[0]?.id ?? '', 'completed'));
    await miglet.next('resultAck');
    await test.controller.stop();
    const data = path.join(test.directory, 'data');
    const entries = await readdir(data, { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name));
    const contents = await Promise.all(files.map((file) => readFile(file, 'utf8')));
    expect(contents.length).toBeGreaterThan(1);
    for (const each of [secret, GITHUB_TOKEN])
      expect(`${contents.join()}${test.log.text()}`).not.toContain(each);
  });
});

describe('a registration that fails at once', () => {
  it('is not tried again and again without a pause', async () => {
    // Time stands still: what comes after a pause does not come.
    test = await startTestController({ withGitHub: true, clock: createManualClock() });
    // It names no organization, and the controller has none for it.
    await test.miglet({ state: 'registering.awaitingCommand', orgId: '' });
    const list = '/api/v1/commands';
    const failed = (commands: CommandResource[]) => commands.filter(({ state }) => state === 'failed');
    type List = { commands: CommandResource[] };
    await test.eventually<List>('it was tried twice', list, ({ commands }) => failed(commands).length >= 2);
    for (let n = 0; n < 20; n += 1) await test.call('GET', list);
    const { commands } = (await test.call<List>('GET', list)).json;
    expect(commands).toHaveLength(2);
    expect(commands[0]?.message).toContain('names no organization');
  });
});
