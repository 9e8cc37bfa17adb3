/**
 * Peers that were written before this project, in both directions. They are built from the original contract alone
 * (packages/testkit/legacy/contract.proto), with grpc-js and proto-loader; none of our code speaks for them.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@mig/common/clock';
import type { CommandResource } from '@mig/common/api/command-resource';
import type { VmResource } from '@mig/common/api/vm-resource';
import { controllerConfigSchema } from '@mig/controller/config';
import { startController, type Controller } from '@mig/controller/controller';
import { createStandInGitHub, type StandInGitHub } from '@mig/testkit/github/stand-in-github';
import { until } from '@mig/testkit/github/until';
import { startLegacyController, type LegacyController } from '@mig/testkit/legacy/legacy-controller';
import { connectLegacyMiglet, type LegacyMiglet } from '@mig/testkit/legacy/legacy-miglet';
import type { LegacyMessage } from '@mig/testkit/legacy/contract';
import { startSimulatedVm, type SimulatedVm } from '@mig/testkit/fleet/simulated-vm';
import { createMemoryLog } from './memory-log.js';

const IDENTITY = { vm_id: 'old-vm', pool_id: 'old-pool', org_id: 'acme' };
const closing: (() => Promise<void> | void)[] = [];
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-legacy-'));
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  rmSync(folder, { recursive: true, force: true });
});

describe('a legacy MIGlet at our controller', () => {
  let github: StandInGitHub;
  let controller: Controller;
  let api: string;

  beforeEach(async () => {
    github = await createStandInGitHub({ tokens: ['t'], organization: 'acme' });
    closing.push(() => github.close());
    writeFileSync(path.join(folder, 'token'), 't');
    controller = await startController({
      config: controllerConfigSchema.parse({
        data_dir: path.join(folder, 'data'),
        insecure: true,
        http: { port: 0 },
        grpc: { port: 0 },
        github: {
          auth: 'token',
          api_url: github.url,
          web_url: github.url,
          token_file: path.join(folder, 'token'),
        },
        pools: { 'old-pool': { labels: ['linux'] } },
      }),
      clock: systemClock,
      logger: createMemoryLog().logger,
      random: Math.random,
      version: 'test',
    });
    closing.push(() => controller.stop());
    api = `http://127.0.0.1:${controller.httpPort}/api/v1`;
  });

  const connect = (): LegacyMiglet => {
    const miglet = connectLegacyMiglet(`127.0.0.1:${controller.grpcPort}`, IDENTITY);
    closing.push(() => miglet.close());
    return miglet;
  };
  const commandsOf = (miglet: LegacyMiglet): LegacyMessage[] =>
    miglet.received.flatMap((message) => (message['command'] ? [message['command'] as LegacyMessage] : []));
  const submit = async (type: string, parameters: object): Promise<CommandResource> => {
    const response = await fetch(`${api}/vms/old-vm/commands`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ type, parameters }),
    });
    expect(response.status).toBe(202);
    return (await response.json()) as CommandResource;
  };
  const command = async (id: string): Promise<CommandResource> =>
    (await (await fetch(`${api}/commands/${id}`)).json()) as CommandResource;
  const vm = async (): Promise<VmResource> => (await (await fetch(`${api}/vms/old-vm`)).json()) as VmResource;

  test('when it connects, it is accepted, told to register, and its one ack is the result', async () => {
    const miglet = connect();
    const register = await until('it is told to register', () => commandsOf(miglet)[0]);
    expect(miglet.received[0]).toMatchObject({ connect_ack: { accepted: true } });
    expect(register).toMatchObject({
      type: 'register_runner',
      string_params: { runner_url: `${github.url}/acme` },
      string_array_params: ['linux'],
    });
    expect((register['string_params'] as Record<string, string>)['jit_config']).toMatch(/.+/);
    miglet.acknowledge(String(register['id']), true, 'registered');
    await until(
      'the ack is the result',
      async () => (await command(String(register['id']))).state === 'completed',
    );
  });

  test('when it reports its states in its own words, the record has ours', async () => {
    const miglet = connect();
    await until('it is told to register', () => commandsOf(miglet)[0]);
    for (const [word, state] of [
      ['registering_runner', 'registering.configuring'],
      ['idle', 'ready.idle'],
      ['job_running', 'ready.busy'],
      ['error', 'ready.busy'],
      ['draining', 'draining'],
      ['shutting_down', 'shutdown'],
    ] as const) {
      miglet.send({ heartbeat: { ...IDENTITY, miglet_state: word, timestamp: 1_700_000_000 } });
      await until(`${word} is ${state}`, async () => (await vm()).state === state);
    }
  });

  test('when it sends events and heartbeats, they are stored', async () => {
    const miglet = connect();
    await until('it is told to register', () => commandsOf(miglet)[0]);
    miglet.send({
      event: { type: 'runner_registered', ...IDENTITY, data: { name: 'r' }, timestamp: 1_700_000_000 },
    });
    miglet.send({ heartbeat: { ...IDENTITY, miglet_state: 'idle', health: { cpu_usage_percent: 12.5 } } });
    const events = await until('the event is stored', async () => {
      const body = (await (await fetch(`${api}/vms/old-vm/events`)).json()) as { events: { type: string }[] };
      return body.events.length > 0 ? body.events : undefined;
    });
    expect(events).toMatchObject([
      { type: 'runner_registered', data: { name: 'r' }, timestamp: '2023-11-14T22:13:20.000Z', via: 'grpc' },
    ]);
    expect((await vm()).health).toMatchObject({ cpu_usage_percent: 12.5 });
  });

  test('when it is away, commands wait for it, go out after register_runner in their order, and not twice', async () => {
    const first = connect();
    const register = await until('it is told to register', () => commandsOf(first)[0]);
    first.acknowledge(String(register['id']), true, '');
    await until(
      'that is recorded',
      async () => (await command(String(register['id']))).state === 'completed',
    );
    first.close();
    await first.ended;
    await until('it is away', async () => (await vm()).link === 'disconnected');
    const one = await submit('set_log_level', { level: 'debug' });
    const two = await submit('drain', { reason: 'why', deadline_ms: 5_000, force: false });

    const second = connect();
    const sent = await until('all are sent', () =>
      commandsOf(second).length === 3 ? commandsOf(second) : undefined,
    );
    expect(sent.map((each) => each['type'])).toEqual(['register_runner', 'set_log_level', 'drain']);
    expect(sent.slice(1).map((each) => each['id'])).toEqual([one.id, two.id]);
    expect(sent[2]).toMatchObject({
      string_params: { reason: 'why' },
      int_params: { deadline_ms: 5_000 },
      bool_params: { force: false },
    });
    second.acknowledge(one.id, true, 'done');
    second.acknowledge(two.id, false, 'cannot');
    await until('both results are recorded', async () => {
      const states = await Promise.all([command(one.id), command(two.id)]);
      return (
        states[0].state === 'completed' && states[1].state === 'failed' && states[1].message === 'cannot'
      );
    });
  });

  test('when a job runs on it and it connects anew, it is not told to register', async () => {
    const first = connect();
    await until('it is told to register', () => commandsOf(first)[0]);
    const job = {
      job_id: '1',
      run_id: '2',
      repository: 'acme/app',
      status: 'running',
      started_at: 1_700_000_000,
    };
    first.send({ heartbeat: { ...IDENTITY, miglet_state: 'job_running', current_job: job } });
    await until('the job is known', async () => (await vm()).current_job?.job_id === '1');
    first.close();
    await first.ended;
    const probe = await submit('set_log_level', { level: 'info' });
    const second = connect();
    const sent = await until('the queued command comes', () => commandsOf(second)[0]);
    expect(sent['id']).toBe(probe.id);
  });
});

describe('our MIGlet at a legacy controller', () => {
  let controller: LegacyController;
  let miglet: SimulatedVm;
  const log = createMemoryLog();

  beforeEach(async () => {
    controller = await startLegacyController();
    closing.push(() => controller.close());
    miglet = startSimulatedVm({
      vmId: 'new-vm',
      poolId: 'pool',
      orgId: 'acme',
      endpoint: controller.httpEndpoint,
      grpcEndpoint: controller.grpcEndpoint,
      heartbeatInterval: '1s',
      clock: systemClock,
      logger: log.logger,
      random: () => 0.1,
    });
    closing.push(async () => {
      miglet.shutdown('the test ends', true);
      await miglet.ended;
    });
    await until('it is connected', () => miglet.status().state === 'registering.awaitingCommand');
  });

  const acksOf = (id: string): LegacyMessage[] =>
    controller.received.flatMap((message) => {
      const ack = message['command_ack'] as LegacyMessage | undefined;
      return ack?.['command_id'] === id ? [ack] : [];
    });
  const events = (): unknown[] =>
    controller.received.flatMap((message) => {
      const event = message['event'] as LegacyMessage | undefined;
      return event ? [event['type']] : [];
    });
  const register = (id: string): void =>
    controller.command({
      id,
      type: 'register_runner',
      string_params: { registration_token: 'T', runner_url: 'https://github.example/acme', runner_name: 'r' },
      string_array_params: ['linux'],
    });

  test('when it starts, it announces vm_started by HTTP and says who it is on the stream', () => {
    expect(controller.announcements).toMatchObject([
      { type: 'vm_started', vm_id: 'new-vm', pool_id: 'pool', org_id: 'acme' },
    ]);
    expect(controller.received[0]).toMatchObject({
      connect: { vm_id: 'new-vm', pool_id: 'pool', org_id: 'acme' },
    });
  });

  test('when it is told to register, drain and shut down, it does, with one ack for each', async () => {
    register('c1');
    await until('it is ready', () => miglet.status().state === 'ready.idle');
    miglet.startJob('a job');
    controller.command({ id: 'c2', type: 'drain', string_params: { reason: 'why' } });
    await until('it lets the job end', () => miglet.status().state === 'draining.finishingJob');
    expect(acksOf('c2')).toEqual([]);
    miglet.endJob('Succeeded');
    await until('it is drained', () => miglet.status().state === 'draining.drained');
    controller.command({ id: 'c3', type: 'shutdown' });
    expect(await miglet.ended).toMatchObject({ outcome: 'drained' });
    await until('the last ack is there', () => acksOf('c3').length > 0);
    for (const id of ['c1', 'c2', 'c3']) expect(acksOf(id)).toMatchObject([{ success: true }]);
    expect(events()).toEqual([
      'runner_registered',
      'job_started',
      'draining',
      'job_completed',
      'runner_exited',
      'vm_shutting_down',
    ]);
  });

  test.each([
    ['an unknown type', { type: 'reboot' }, /reboot.*unknown/],
    ['a missing parameter', { type: 'set_log_level' }, /level is missing/],
    [
      'a wrong type of parameter',
      { type: 'drain', string_params: { deadline_ms: 'soon' } },
      /deadline_ms.*whole number/,
    ],
    [
      'a missing token',
      { type: 'register_runner', string_params: { runner_url: 'u' } },
      /registration_token is missing/,
    ],
  ])('when a command has %s, it says so, names it, and does nothing', async (_, command, message) => {
    const before = miglet.status().state;
    controller.command({ id: 'bad', ...command });
    const [ack] = await until('it answers', () => (acksOf('bad').length > 0 ? acksOf('bad') : undefined));
    expect(ack?.['success']).toBe(false);
    expect(ack?.['message']).toMatch(message);
    expect(miglet.status().state).toBe(before);
  });

  test('when the stream ends, it stays as it is, connects anew, and a command that comes again is not done again', async () => {
    register('c1');
    await until('it is ready', () => miglet.status().state === 'ready.idle');
    controller.dropStreams();
    await until('it has connected anew', () => controller.streams === 2);
    expect(miglet.status().state).toBe('ready.idle');
    await until(
      'the second stream is up',
      () => controller.received.filter((message) => message['connect']).length === 2,
    );
    register('c1');
    await until('it answers from its journal', () => acksOf('c1').length === 2);
    expect(events().filter((type) => type === 'runner_registered')).toHaveLength(1);
    expect(controller.announcements).toHaveLength(1);
  });

  test('when it beats, the heartbeat has the fields of the contract', async () => {
    register('c1');
    const heartbeat = await until('a heartbeat in ready comes', () =>
      controller.received
        .map((message) => message['heartbeat'] as LegacyMessage | undefined)
        .find((each) => each?.['miglet_state'] === 'ready.idle'),
    );
    expect(heartbeat).toMatchObject({
      vm_id: 'new-vm',
      pool_id: 'pool',
      org_id: 'acme',
      runner_state: { state: 'idle', configured: true, runner_name: 'r', labels: ['linux'] },
      health: { memory_total_bytes: 16 * 2 ** 30 },
    });
  });
});
