/** What a stream carries when both sides keep the contract. What breaks it: broken-streams.test.ts. */
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { vmEvent, vmReport } from '../store/samples.contract.js';
import { startTestController, type TestController } from '../test-controller.contract.js';

const WAITING = { state: 'registering.connecting' };
const LOG_LEVEL = { type: 'set_log_level', parameters: { level: 'debug' } };
const IDENTITY = { vmId: 'vm-1', poolId: 'pool-a', orgId: 'acme' };
const heartbeatOf = (state: string) => ({
  kind: 'heartbeat' as const,
  heartbeat: { ...IDENTITY, bootId: 'boot-1', at: 0, intervalMs: 0, report: vmReport({ state }) },
});
const AWAITS = heartbeatOf('registering.awaitingCommand');

let test: TestController;
const vm = async () => (await test.call('GET', '/api/v1/vms/vm-1')).json;
const submit = async (body: object = LOG_LEVEL) =>
  String((await test.call('POST', '/api/v1/vms/vm-1/commands', { body })).json['id']);
const command = async (id: string) => (await test.call('GET', `/api/v1/commands/${id}`)).json;

describe('a stream', () => {
  beforeEach(async () => {
    test = await startTestController({ withGitHub: true });
  });
  afterEach(() => test.dispose());

  it('begins with ConnectAck, then register_runner by itself, then what is queued, in its order', async () => {
    (await test.miglet({ state: 'ready.idle' })).close();
    await until('the stream has ended', () => test.log.text().includes('the stream of a VM ended'));
    const queued = [
      await submit(),
      await submit({ type: 'drain', parameters: { reason: 'x', deadline_ms: 5, force: false } }),
      await submit({ type: 'update_config', parameters: { heartbeat_interval_ms: 5_000 } }),
    ];
    const miglet = await test.miglet(WAITING);
    await until('all is delivered', () => miglet.commands().length === 4);
    expect(miglet.received[0]).toMatchObject({
      kind: 'connectAck',
      ack: { accepted: true, serverVersion: '0.1.0', lastEventSequence: 0, announceAgain: false },
    });
    const [registration, ...others] = miglet.commands();
    expect(registration).toMatchObject({
      type: 'register_runner',
      attempt: 1,
      parameters: {
        jit_config: expect.stringMatching(/^[A-Za-z0-9+/=]{200,}$/) as unknown,
        runner_url: `${test.github.url}/acme`,
        runner_name: 'mig-k3x9f2-vm-1-boot1000',
        labels: ['self-hosted', 'Linux', 'X64'],
      },
    });
    expect(others.map((sent) => sent.id)).toEqual(queued);
    expect(others[1]).toMatchObject({
      type: 'drain',
      parameters: { reason: 'x', deadline_ms: 5, force: false },
    });
    expect(others[0]?.startWithinMs).toBeGreaterThan(0);
    // The same stream takes what comes later.
    const later = await submit();
    await until('the later one is delivered', () => miglet.commands().at(-1)?.id === later);
  });

  it('carries received, then the result of a command, which is confirmed (I2)', async () => {
    const miglet = await test.miglet();
    const id = await submit();
    await until('it is delivered', () => miglet.commands().length === 1);
    expect(await command(id)).toMatchObject({ state: 'sent', attempts: 1 });
    const ack = { commandId: id, success: true, message: 'ok', result: { level: 'debug' } };
    miglet.send({ kind: 'ack', ack: { ...ack, phase: 'received' } });
    miglet.send({ kind: 'ack', ack: { ...ack, phase: 'completed' } });
    expect(await miglet.next('resultAck')).toEqual({ kind: 'resultAck', commandId: id });
    expect(await command(id)).toMatchObject({
      state: 'completed',
      message: 'ok',
      result: { level: 'debug' },
    });
  });

  it('carries heartbeats: state, load and job are known, and kept', async () => {
    const miglet = await test.miglet();
    miglet.send(heartbeatOf('ready.busy'));
    const path = '/api/v1/vms/vm-1';
    expect(await test.eventually('it is busy', path, ({ state }) => state === 'ready.busy')).toMatchObject({
      link: 'connected',
      liveness: 'alive',
      health: { cpu_usage_percent: 5 },
      runner: { runner_name: 'vm-1', labels: ['gpu'] },
    });
  });

  it('carries events: each is acknowledged when it is stored, a repeated one is stored once (I4)', async () => {
    const miglet = await test.miglet();
    for (const sequence of [1, 2, 2, 1, 3]) miglet.send({ kind: 'event', event: vmEvent({ sequence }) });
    await until(
      'five acks',
      () => miglet.received.filter((message) => message.kind === 'eventAck').length === 5,
    );
    const { json } = await test.call<{ events: { sequence: number; via: string }[] }>(
      'GET',
      '/api/v1/vms/vm-1/events',
    );
    expect(json.events.map((event) => [event.sequence, event.via])).toEqual([
      [1, 'grpc'],
      [2, 'grpc'],
      [3, 'grpc'],
    ]);
    miglet.close();
    const again = await test.miglet();
    expect((await again.next('connectAck')).ack).toMatchObject({
      lastEventSequence: 3,
      announceAgain: false,
    });
    const reborn = await test.miglet({ bootId: 'boot-2' });
    expect((await reborn.next('connectAck')).ack).toMatchObject({
      lastEventSequence: 0,
      announceAgain: true,
    });
  });

  it('a deregistration is answered with what GitHub said (I5)', async () => {
    const miglet = await test.miglet();
    miglet.send({ kind: 'deregister', requestId: 'r-1', runnerName: 'mig-k3x9f2-vm-1-0123abcd' });
    expect((await miglet.next('deregisterResult')).result).toMatchObject({
      requestId: 'r-1',
      outcome: 'deleted',
    });
  });

  it("a deregistration of somebody else's runner is refused, and GitHub is not asked (I10)", async () => {
    const miglet = await test.miglet();
    miglet.send({ kind: 'deregister', requestId: 'r-2', runnerName: 'somebody-elses' });
    const { result } = await miglet.next('deregisterResult');
    expect(result.outcome).toBe('unavailable');
    expect(result.message).toContain('somebody-elses');
  });

  it('a legacy MIGlet gets a registration at each connect, and neither event nor result acks', async () => {
    const legacy = await test.miglet({ bootId: '', state: '' });
    await until('it is registered', () => legacy.commands().length === 1);
    const id = legacy.commands()[0]?.id ?? '';
    legacy.send({ kind: 'event', event: vmEvent({ bootId: '' }) });
    legacy.send({
      kind: 'ack',
      ack: { commandId: id, phase: 'completed', success: true, message: '', result: {} },
    });
    await test.eventually('it is completed', `/api/v1/commands/${id}`, ({ state }) => state === 'completed');
    expect(new Set(legacy.received.map((message) => message.kind))).toEqual(
      new Set(['connectAck', 'command']),
    );
  });

  it('of a VM that had its runner and its job while the controller was away gets it another registration', async () => {
    const before = await test.miglet(WAITING);
    await until('it is told to register', () => before.commands().length === 1);
    const commandId = before.commands()[0]?.id ?? '';
    await test.restart();
    const miglet = await test.miglet(WAITING);
    miglet.send(AWAITS);
    await until('it is asked what became of the first', () => miglet.commands().length === 1);
    expect(miglet.commands()[0]).toMatchObject({ id: commandId });
    miglet.send({
      kind: 'ack',
      ack: { commandId, phase: 'completed', success: true, message: 'registered', result: {} },
    });
    await miglet.next('resultAck');
    expect(miglet.commands()).toHaveLength(1);
    miglet.send(AWAITS);
    const another = await until('it is told to register again', () => miglet.commands()[1]);
    expect(another).toMatchObject({ type: 'register_runner' });
    expect(another.id).not.toBe(commandId);
  });

  it('a message from the future, and an error of the VM, end nothing', async () => {
    const miglet = await test.miglet();
    miglet.sendBytes(Uint8Array.from([0xa2, 0x06, 0x00])); // field 100
    miglet.send({ kind: 'error', error: { code: 'x', message: 'y\n', details: {} } });
    miglet.send({ kind: 'event', event: vmEvent({ sequence: 1 }) });
    expect(await miglet.next('eventAck')).toEqual({ kind: 'eventAck', bootId: 'boot-1', sequence: 1 });
    expect(test.log.text()).toContain('the VM reports an error');
  });

  it('that is newer replaces the older of its VM, which ends with ABORTED; what was not acknowledged goes out again (I11)', async () => {
    const older = await test.miglet();
    const id = await submit();
    await until('it is delivered', () => older.commands().length === 1);
    const newer = await test.miglet();
    expect(await older.ended).toEqual({
      code: status.ABORTED,
      details: expect.stringContaining('replaced by a newer stream of VM vm-1') as unknown,
    });
    await until('it is delivered again', () => newer.commands().length === 1);
    expect(newer.commands()[0]).toMatchObject({ id, attempt: 2 });
    expect(await vm()).toMatchObject({ link: 'connected' });
  });

  it('that ends leaves the VM as it was, disconnected', async () => {
    const miglet = await test.miglet();
    miglet.finish();
    expect(await miglet.ended).toMatchObject({ code: status.OK });
    expect(await vm()).toMatchObject({ state: 'ready.idle', link: 'disconnected', liveness: 'suspect' });
  });

  it('ends with UNAVAILABLE when the controller stops', async () => {
    const all = [await test.miglet(), await test.miglet({ vmId: 'vm-2' })];
    await test.controller.stop();
    for (const miglet of all) {
      expect(await miglet.ended).toEqual({
        code: status.UNAVAILABLE,
        details: 'the controller is stopping: connect again',
      });
    }
  });
});
