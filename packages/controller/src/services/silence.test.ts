/** A VM that falls silent on a real stream, and comes back; what MIGlets are asked for. Time stands still until it is moved. */
import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { CommandResource } from '@mig/common/api/command-resource';
import type { EventResource } from '@mig/common/api/history-resource';
import type { VmResource } from '@mig/common/api/vm-resource';
import { until } from '@mig/testkit/github/until';
import { createManualClock, type ManualClock } from '../../../common/src/manual-clock.contract.js';
import { vmEvent, vmReport } from '../store/samples.contract.js';
import { startTestController, type TestController } from '../test-controller.contract.js';
import type { TestMiglet } from '../test-miglet.contract.js';

const PATH = '/api/v1/vms/vm-1';
const JOB = {
  jobId: '8431',
  runId: '1',
  name: 'build',
  repository: 'acme/app',
  branch: 'main',
  commit: 'c0ffee',
  status: 'running',
  startedAt: 0,
} as const;

let test: TestController;
let clock: ManualClock;
async function start(config = {}): Promise<void> {
  clock = createManualClock();
  test = await startTestController({ clock, config });
}
afterEach(() => test.dispose());

const beat = (miglet: TestMiglet, intervalMs = 0): void =>
  miglet.send({
    kind: 'heartbeat',
    heartbeat: {
      vmId: 'vm-1',
      poolId: 'pool-a',
      orgId: 'acme',
      bootId: 'boot-1',
      at: 0,
      intervalMs,
      report: vmReport({ state: 'ready.busy', currentJob: JOB }),
    },
  });
const isBusy = ({ current_job: job }: VmResource): boolean => job?.status === 'running';
const submit = async (type: string, parameters: object) =>
  (await test.call<CommandResource>('POST', `${PATH}/commands`, { body: { type, parameters } })).json.id;
const stateOf = async (id: string) =>
  (await test.call<CommandResource>('GET', `/api/v1/commands/${id}`)).json.state;
const events = async () =>
  (await test.call<{ events: EventResource[] }>('GET', `${PATH}/events`)).json.events;

/** Time goes by second by second, as the controller's sweep does. */
function pass(seconds: number): void {
  for (let n = 0; n < seconds; n += 1) clock.advance(1_000);
}

describe('a VM whose stream is half-open', () => {
  it('is lost after its TTL; when it returns it is told what the controller still expects', async () => {
    await start();
    const miglet = await test.miglet();
    beat(miglet);
    await test.eventually('it is busy', PATH, isBusy);
    const taken = await submit('drain', { reason: 'x', deadline_ms: 0 });
    await until('it is delivered', () => miglet.commands().length === 1);
    const ack = { commandId: taken, success: true, message: '', result: {} };
    miglet.send({ kind: 'ack', ack: { ...ack, phase: 'received' } });
    await test.eventually<CommandResource>(
      'it is taken',
      `/api/v1/commands/${taken}`,
      (command) => command.state === 'received',
    );
    const sent = await submit('set_log_level', { level: 'debug' });
    await until('the other is delivered', () => miglet.commands().length === 2);
    pass(45);
    expect((await test.call<VmResource>('GET', PATH)).json).toMatchObject({
      liveness: 'suspect',
      link: 'connected',
    });
    pass(45);
    expect(await miglet.ended).toEqual({
      code: status.DEADLINE_EXCEEDED,
      details: 'nothing was heard of VM vm-1 for 90 s: connect again',
    });
    const lost = await test.eventually<VmResource>('it is lost', PATH, (vm) => vm.lost_at !== undefined);
    expect(lost).toMatchObject({
      liveness: 'lost',
      link: 'disconnected',
      current_job: { status: 'unknown', job_id: '8431' },
    });
    expect([await stateOf(taken), await stateOf(sent)]).toEqual(['received', 'queued']);
    await until('it is in the history', async () => (await events()).length === 1);
    expect((await events())[0]).toMatchObject({
      type: 'vm_lost',
      via: 'controller',
      sequence: 0,
      data: { job: 'build', repository: 'acme/app', silent_ms: '90000' },
    });

    const again = await test.miglet();
    await until('both are delivered again', () => again.commands().length === 2);
    expect(again.commands()).toMatchObject([
      { id: taken, startWithinMs: -1 },
      { id: sent, attempt: 2 },
    ]);
    beat(again);
    await test.eventually('its job runs', PATH, isBusy);
    pass(1);
    await until('its return is in the history', async () => (await events()).length === 2);
    expect((await events())[1]).toMatchObject({ type: 'vm_returned', via: 'controller' });
    expect((await test.call<VmResource>('GET', PATH)).json).toMatchObject({ liveness: 'alive' });
  });

  it('and that says more after its stream was ended: its heartbeats are not taken any more, its events are', async () => {
    await start();
    const miglet = await test.miglet();
    beat(miglet);
    await test.eventually('it is busy', PATH, isBusy);
    miglet.pause();
    // More than the transport holds waits for it, so it never learns of the end, and its call stays open.
    for (let n = 0; n < 200; n += 1)
      miglet.send({ kind: 'deregister', requestId: 'x'.repeat(1_000), runnerName: 'vm-1' });
    miglet.send({ kind: 'event', event: vmEvent({ sequence: 1 }) });
    await until('all of it is taken', async () => (await events()).length === 1);
    pass(90);
    await test.eventually<VmResource>('it is lost', PATH, (vm) => vm.lost_at !== undefined);
    beat(miglet);
    miglet.send({ kind: 'event', event: vmEvent({ type: 'later', sequence: 2 }) });
    miglet.send({ kind: 'error', error: { code: 'x', message: '', details: {} } });
    await until('a later message is handled', () => test.log.text().includes('the VM reports an error'));
    pass(2);
    const { json } = await test.call<VmResource>('GET', PATH);
    expect(json.current_job?.status).toBe('unknown');
    await until('the event is stored', async () => (await events()).some(({ type }) => type === 'later'));
  });

  it('that says that its heartbeats come once a minute is given four times as long', async () => {
    await start();
    const miglet = await test.miglet();
    beat(miglet, 60_000);
    await test.eventually('it is busy', PATH, isBusy);
    pass(359);
    expect((await test.call<VmResource>('GET', PATH)).json).toMatchObject({ liveness: 'suspect' });
    pass(1);
    await test.eventually<VmResource>('it is lost', PATH, (vm) => vm.lost_at !== undefined);
  });
});

describe('what MIGlets are asked for', () => {
  it('is an interval that keeps all heartbeats together to the rate; who is connected is told when it changes', async () => {
    await start({ heartbeat: { max_per_second: 1 } });
    const first = await test.miglet();
    const legacy = await test.miglet({ vmId: 'vm-2', bootId: '', state: '' });
    const third = await test.miglet({ vmId: 'vm-3' });
    const asked = async (miglet: TestMiglet) => (await miglet.next('connectAck')).ack.heartbeatIntervalMs;
    expect([await asked(first), await asked(third)]).toEqual([1_000, 3_000]);
    pass(1);
    await until('the first is told', () =>
      first.received.some((message) => message.kind === 'heartbeatPolicy' && message.intervalMs === 3_000),
    );
    expect(legacy.received.some(({ kind }) => kind === 'heartbeatPolicy')).toBe(false);
    third.close();
    legacy.close();
    await until('it is told again', () => {
      pass(1);
      const last = first.received.at(-1);
      return last?.kind === 'heartbeatPolicy' && last.intervalMs === 1_000;
    });
  });

  it('is to come back over a window if the stream breaks, long enough for all', async () => {
    await start({ shutdown: { deadline: '2s', reconnect_per_second: 1 } });
    const windows = [];
    for (let n = 1; n <= 7; n += 1) {
      const miglet = await test.miglet({ vmId: `vm-${n}` });
      windows.push((await miglet.next('connectAck')).ack.reconnectWindowMs);
    }
    expect(windows).toEqual([5_000, 5_000, 5_000, 5_000, 5_000, 6_000, 7_000]);
  });
});

describe('a heartbeat over HTTP', () => {
  const post = (body: object) =>
    test.call('POST', `${PATH}/heartbeat`, { body: { pool_id: 'pool-a', ...body } });

  it('of another boot is refused, and says so; of this boot, or of a legacy MIGlet, it is received', async () => {
    await start();
    await test.call('POST', `${PATH}/events`, {
      body: { type: 'vm_started', pool_id: 'pool-a', boot_id: 'boot-1' },
    });
    const refused = await post({ boot_id: 'boot-0', miglet_state: 'ready.busy' });
    expect(refused).toMatchObject({
      status: 409,
      json: {
        type: 'urn:mig:problem:other-boot',
        detail: expect.stringContaining('VM vm-1 is in boot boot-1') as unknown,
      },
    });
    expect((await post({ boot_id: 'boot-1', miglet_state: 'ready.idle' })).json).toEqual({
      status: 'received',
    });
    expect((await post({ miglet_state: 'idle' })).json).toEqual({ status: 'received' });
    expect((await test.call<VmResource>('GET', PATH)).json).toMatchObject({
      state: 'ready.idle',
      liveness: 'alive',
    });
  });

  it('says when the next one comes, as on a stream', async () => {
    await start();
    await test.call('POST', `${PATH}/events`, { body: { type: 'vm_started', pool_id: 'pool-a' } });
    await post({ miglet_state: 'idle', interval_ms: '60000' });
    pass(179);
    expect((await test.call<VmResource>('GET', PATH)).json).toMatchObject({ liveness: 'alive' });
  });
});
