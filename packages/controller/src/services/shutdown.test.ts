/** The orderly end of a controller: who is told what, what is refused, and that nothing is accepted and lost (I1, I4). */
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { CommandResource } from '@mig/common/api/command-resource';
import type { EventResource } from '@mig/common/api/history-resource';
import { until } from '@mig/testkit/github/until';
import { vmEvent } from '../store/samples.contract.js';
import { startTestController, type TestController } from '../test-controller.contract.js';

const LOG_LEVEL = { type: 'set_log_level', parameters: { level: 'debug' } };
const STOPPING = { code: status.UNAVAILABLE, details: 'the controller is stopping: connect again' };

let test: TestController;
beforeEach(async () => {
  test = await startTestController({ withGitHub: true });
});
afterEach(() => test.dispose());

describe('the streams', () => {
  it('of our MIGlets are told when to come back, spread over a window; a legacy one is ended at once', async () => {
    const miglets = await Promise.all(['vm-1', 'vm-2', 'vm-3'].map((vmId) => test.miglet({ vmId })));
    const legacy = await test.miglet({ vmId: 'legacy', bootId: '', state: '' });
    const stopped = test.controller.stop();
    expect(await legacy.ended).toEqual(STOPPING);
    expect(legacy.received.some(({ kind }) => kind === 'reconnect')).toBe(false);
    for (const miglet of miglets) {
      // Its random number is 0.5, the window 2 s.
      expect(await miglet.next('reconnect')).toEqual({
        kind: 'reconnect',
        afterMs: 1_000,
        reason: 'the controller is stopping',
      });
      miglet.finish();
      expect(await miglet.ended).toMatchObject({ code: status.OK });
    }
    await stopped;
  });

  it('that their MIGlets do not close are ended, and the stop does not wait for a peer that reads nothing', async () => {
    const deaf = await test.miglet({ vmId: 'deaf' });
    deaf.pause();
    const miglet = await test.miglet();
    await test.controller.stop();
    expect(await miglet.ended).toEqual(STOPPING);
    expect(miglet.received.at(-1)).toMatchObject({ kind: 'reconnect' });
  });

  it('that open while the controller stops, or have not said whose they are, are refused', async () => {
    const silent = test.stream();
    const miglet = await test.miglet();
    const stopped = test.controller.stop();
    expect(await silent.ended).toEqual(STOPPING);
    const late = test.stream();
    late.send({
      kind: 'connect',
      request: {
        vmId: 'late',
        poolId: 'pool-a',
        orgId: 'acme',
        version: '',
        bootId: 'b',
        state: '',
        labels: [],
      },
    });
    expect(await late.ended).toEqual(STOPPING);
    miglet.finish();
    await stopped;
  });
});

describe('HTTP', () => {
  it('answers what is read, says that it is not ready, and takes nothing new', async () => {
    const miglet = await test.miglet();
    const stopped = test.controller.stop();
    expect((await test.call('GET', '/readyz')).json).toMatchObject({
      status: 'not_ready',
      reasons: ['the controller is stopping'],
    });
    expect((await test.call('GET', '/api/v1/vms/vm-1')).status).toBe(200);
    for (const [path, body] of [
      ['/api/v1/vms/vm-1/commands', LOG_LEVEL],
      ['/api/v1/drains', { selector: { all: true }, reason: 'x' }],
      ['/api/v1/vms/vm-2/events', { type: 'vm_started', pool_id: 'p' }],
      ['/api/v1/vms/vm-1/cordon', {}],
    ] as const) {
      expect(await test.call('POST', path, { body })).toMatchObject({
        status: 503,
        headers: { 'retry-after': '5' },
        json: { type: 'urn:mig:problem:stopping' },
      });
    }
    miglet.finish();
    await stopped;
    expect(test.log.lines().filter((line) => line['level'] === 'error')).toEqual([]);
  });

  it('lets a request that is under way end', async () => {
    await test.miglet();
    const hold = test.github.faults.hold('registration-token');
    const asked = test.call('POST', '/api/v1/vms/vm-1/registration-token', { body: {} });
    await until('GitHub is asked', () => hold.waiting() === 1);
    const stopped = test.controller.stop();
    await until('it stops', () => test.log.text().includes('MIGlets are told to connect again'));
    hold.release();
    expect((await asked).status).toBe(200);
    await stopped;
  });
});

describe('what was accepted', () => {
  it('is there after the restart: every command with its 202, and no other', async () => {
    await test.miglet();
    const accepted: string[] = [];
    const asked = Array.from({ length: 100 }, async (_, n) => {
      if (n >= 50) await until('it stops', () => test.log.text().includes('told to connect'));
      const answer = await test
        .call<CommandResource>('POST', '/api/v1/vms/vm-1/commands', { body: LOG_LEVEL })
        .catch(() => undefined);
      if (answer?.status === 202) accepted.push(answer.json.id);
      else expect(answer?.status ?? 503).toBe(503);
    });
    const restarted = test.restart();
    await Promise.all(asked);
    await restarted;
    const { json } = await test.call<{ commands: CommandResource[] }>('GET', '/api/v1/commands?vm_id=vm-1');
    expect(json.commands.map(({ id }) => id).sort()).toEqual([...accepted].sort());
  });

  it('is there after the restart: every event with its EventAck, without a hole', async () => {
    const miglet = await test.miglet();
    for (let sequence = 1; sequence <= 500; sequence += 1)
      miglet.send({ kind: 'event', event: vmEvent({ sequence }) });
    await until('the first are taken', () => miglet.received.some(({ kind }) => kind === 'eventAck'));
    await test.restart();
    await miglet.ended;
    const acked = miglet.received.flatMap((m) => (m.kind === 'eventAck' ? [m.sequence] : []));
    const { json } = await test.call<{ events: EventResource[] }>(
      'GET',
      '/api/v1/vms/vm-1/events?limit=1000',
    );
    const stored = json.events.map(({ sequence }) => sequence);
    expect(stored).toEqual(Array.from({ length: stored.length }, (_, n) => n + 1));
    expect(acked.filter((sequence) => sequence > stored.length)).toEqual([]);
  });

  it('and can be answered before the end is: an event and a result that are under way', async () => {
    const miglet = await test.miglet();
    const { json } = await test.call<CommandResource>('POST', '/api/v1/vms/vm-1/commands', {
      body: LOG_LEVEL,
    });
    await until('it is delivered', () => miglet.commands().length === 1);
    const stopped = test.controller.stop();
    await miglet.next('reconnect');
    miglet.send({ kind: 'event', event: vmEvent({ sequence: 1 }) });
    miglet.send({
      kind: 'ack',
      ack: { commandId: json.id, phase: 'completed', success: true, message: '', result: {} },
    });
    expect(await miglet.next('eventAck')).toMatchObject({ sequence: 1 });
    expect(await miglet.next('resultAck')).toMatchObject({ commandId: json.id });
    await stopped;
  });
});
