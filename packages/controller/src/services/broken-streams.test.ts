/** One malformed, oversized or out-of-order message ends only its own stream, with the status that says what was wrong. */
import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { MigletMessage } from '@mig/common/domain/messages';
import { encodeMigletMessage } from '@mig/common/wire/miglet-message';
import { until } from '@mig/testkit/github/until';
import { connectRequest } from '../parts.contract.js';
import { vmEvent, vmReport } from '../store/samples.contract.js';
import { startTestController, type TestController } from '../test-controller.contract.js';
import type { TestMiglet } from '../test-miglet.contract.js';

const CONNECT: MigletMessage = { kind: 'connect', request: connectRequest() };
const connectAs = (fields: Partial<ReturnType<typeof connectRequest>>): MigletMessage => ({
  kind: 'connect',
  request: connectRequest(fields),
});
const heartbeatOf = (vmId: string): MigletMessage => ({
  kind: 'heartbeat',
  heartbeat: {
    vmId,
    poolId: 'pool-a',
    orgId: 'acme',
    bootId: 'boot-1',
    at: 0,
    intervalMs: 0,
    report: vmReport(),
  },
});
const event = (fields: Parameters<typeof vmEvent>[0]): MigletMessage => ({
  kind: 'event',
  event: vmEvent(fields),
});
const ack = (commandId: string): MigletMessage => ({
  kind: 'ack',
  ack: { commandId, phase: 'completed', success: true, message: '', result: {} },
});
const bytes = (...values: number[]) => Uint8Array.from(values);
const oversized = encodeMigletMessage(event({ data: { text: 'x'.repeat(2 * 1024 * 1024) } }));

let test: TestController;
let witness: TestMiglet;
let witnessed = 0;

beforeAll(async () => {
  // What is tested is not how much is too much.
  test = await startTestController({
    config: { limits: { vm_messages_per_second: 10_000, vm_connects_per_minute: 10_000 } },
  });
  witness = await test.miglet({ vmId: 'witness' });
});
afterAll(() => test.dispose());
beforeEach(() => {
  witnessed += 1;
});
/** The stream of another VM is up, and works. */
afterEach(async () => {
  witness.send(event({ vmId: 'witness', sequence: witnessed }));
  await until('the witness is answered', () =>
    witness.received.some((message) => message.kind === 'eventAck' && message.sequence === witnessed),
  );
});

describe('the first message', () => {
  it.each<[string, MigletMessage | Uint8Array, number, RegExp]>([
    [
      'a heartbeat',
      heartbeatOf('vm-1'),
      status.FAILED_PRECONDITION,
      /the first message must be connect, not heartbeat/,
    ],
    [
      'one from the future',
      bytes(0xa2, 0x06, 0x00),
      status.FAILED_PRECONDITION,
      /must be connect, not unknown/,
    ],
    ['an empty one', bytes(), status.INVALID_ARGUMENT, /could not be decoded: the message is empty/],
    ['no protobuf', bytes(0x0a, 0xff, 0x01), status.INVALID_ARGUMENT, /could not be decoded/],
    ['2 MiB', oversized, status.RESOURCE_EXHAUSTED, /./],
    [
      'an empty vm_id',
      connectAs({ vmId: '' }),
      status.INVALID_ARGUMENT,
      /^vm_id "" is not valid: use 1 to 63/,
    ],
    [
      'a path as vm_id (I10)',
      connectAs({ vmId: '../../etc' }),
      status.INVALID_ARGUMENT,
      /^vm_id "\.\.\/\.\.\/etc" is not valid/,
    ],
    ['a bad pool_id', connectAs({ poolId: 'a b' }), status.INVALID_ARGUMENT, /^pool_id "a b" is not valid/],
    ['a bad org_id', connectAs({ orgId: '-x' }), status.INVALID_ARGUMENT, /^org_id "-x" is not valid/],
    [
      'a bad boot_id',
      connectAs({ bootId: 'x'.repeat(64) }),
      status.INVALID_ARGUMENT,
      /^boot_id "x+" is not valid/,
    ],
  ])('%s ends the stream', async (_, first, code, details) => {
    const stream = test.stream();
    if (first instanceof Uint8Array) stream.sendBytes(first);
    else stream.send(first);
    const end = await stream.ended;
    expect(end).toEqual({ code, details: expect.stringMatching(details) as unknown });
    expect(stream.received).toEqual([]);
  });

  it('never comes: the stream that ends before it is refused', async () => {
    const stream = test.stream();
    stream.finish();
    expect(await stream.ended).toEqual({
      code: status.FAILED_PRECONDITION,
      details: 'the stream ended before its connect message',
    });
  });

  it('an organization may be missing', async () => {
    const miglet = await test.miglet({ vmId: 'no-org', orgId: '' });
    expect(miglet.received[0]).toMatchObject({ kind: 'connectAck', ack: { accepted: true } });
  });
});

describe('a later message', () => {
  it('of very many fields is not decoded, and ends the stream', async () => {
    const miglet = await test.miglet({ vmId: 'vm-1' });
    // 15,000 fields that the contract does not know, of two bytes each.
    miglet.sendBytes(Buffer.from('7801'.repeat(15_000), 'hex'));
    expect(await miglet.ended).toEqual({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining('it has more than 10000 fields') as unknown,
    });
  });

  it.each<[string, MigletMessage | Uint8Array, number, RegExp]>([
    ['a second connect', CONNECT, status.FAILED_PRECONDITION, /connect may come only once/],
    [
      "another VM's heartbeat (I10)",
      heartbeatOf('witness'),
      status.PERMISSION_DENIED,
      /^this is the stream of VM vm-1; it cannot speak for "witness"$/,
    ],
    [
      "another VM's event (I10)",
      event({ vmId: 'witness', sequence: 99 }),
      status.PERMISSION_DENIED,
      /cannot speak for "witness"/,
    ],
    [
      'an event whose type is a path (I10)',
      event({ type: '../x' }),
      status.INVALID_ARGUMENT,
      /event type "\.\.\/x" is not valid/,
    ],
    [
      'an ack whose id is a path (I10)',
      ack('../../x'),
      status.INVALID_ARGUMENT,
      /^command_id "\.\.\/\.\.\/x" is not valid/,
    ],
    ['no protobuf', bytes(0x0a, 0xff, 0x01), status.INVALID_ARGUMENT, /could not be decoded/],
    ['an empty one', bytes(), status.INVALID_ARGUMENT, /the message is empty/],
    ['2 MiB', oversized, status.RESOURCE_EXHAUSTED, /./],
  ])('%s ends the stream, and the VM can come again', async (_, message, code, details) => {
    const miglet = await test.miglet();
    if (message instanceof Uint8Array) miglet.sendBytes(message);
    else miglet.send(message);
    expect(await miglet.ended).toEqual({ code, details: expect.stringMatching(details) as unknown });
    expect((await test.call('GET', '/api/v1/vms/vm-1')).json).toMatchObject({
      link: 'disconnected',
      state: 'ready.idle',
    });
    const again = await test.miglet();
    again.send(event({ sequence: 0, type: 'hello' }));
    again.finish();
    expect((await again.ended).code).toBe(status.OK);
  });

  it('nothing of what was refused was taken', async () => {
    const { json } = await test.call<{ vms: { vm_id: string }[] }>('GET', '/api/v1/vms');
    expect(json.vms.map((vm) => vm.vm_id)).toEqual(['no-org', 'vm-1', 'witness']);
    const events = await test.call<{ events: { sequence: number }[] }>('GET', '/api/v1/vms/witness/events');
    expect(events.json.events.some((stored) => stored.sequence === 99)).toBe(false);
  });

  it('no peer is told of an inner error, and none occurred', () => {
    expect(test.log.lines().filter((line) => line['level'] === 'error')).toEqual([]);
  });
});

describe('a peer that does not read (I12)', () => {
  it('is cut when too much waits for it: disconnected at once, RESOURCE_EXHAUSTED when it reads again', async () => {
    const miglet = await test.miglet({ vmId: 'deaf' });
    miglet.pause();
    const requestId = 'x'.repeat(1_000);
    for (let n = 0; n < 4_000; n += 1) miglet.send({ kind: 'deregister', requestId, runnerName: 'r' });
    await test.eventually('it is disconnected', '/api/v1/vms/deaf', ({ link }) => link === 'disconnected');
    miglet.resume();
    expect(await miglet.ended).toEqual({
      code: status.RESOURCE_EXHAUSTED,
      details: 'VM deaf does not read: 2000 messages wait',
    });
  });
});
