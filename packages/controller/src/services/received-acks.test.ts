/**
 * What becomes of "received": it is recorded by itself, unless the result comes right behind it. A MIGlet that writes both at once is
 * an HTTP/2 client here, so that both are in one frame.
 */
import http2, { type ClientHttp2Session } from 'node:http2';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { CommandAck } from '@mig/common/domain/command';
import type { ConnectRequest, MigletMessage } from '@mig/common/domain/messages';
import { commandServiceDefinition } from '@mig/common/wire/command-service';
import { decodeControllerMessage } from '@mig/common/wire/controller-message';
import { encodeMigletMessage } from '@mig/common/wire/miglet-message';
import { until } from '@mig/testkit/github/until';
import {
  openRawCall,
  rawFrame,
  startTestServer,
  type RawCall,
  type TestServer,
} from '../grpc/test-grpc.contract.js';
import { connectRequest, createParts, type Parts } from '../parts.contract.js';
import { createEventLog } from '../fleet/event-log.js';
import { createCommandService } from './command-service.js';
import { createInFlight } from './in-flight.js';
import { createFailureLog } from './middleware/log-failures.js';

let parts: Parts;
let server: TestServer;
let session: ClientHttp2Session;
let call: RawCall;

beforeEach(async () => {
  parts = createParts();
  const { path } = commandServiceDefinition.streamCommands;
  server = await startTestServer([[path, createCommandService(serviceDeps(parts))]]);
  session = http2.connect(`http://127.0.0.1:${server.port}`);
  call = openRawCall(session, path);
  say({ kind: 'connect', request: connectRequest() });
  await until('it is welcomed', () => told('connectAck').length === 1);
});
afterEach(async () => {
  session.destroy();
  await server.dispose();
});

/** The parts, and nobody who refuses anything. */
const serviceDeps = ({ fleet, links, store, queue, delivery, registration, feed, log, clock }: Parts) => ({
  fleet,
  links,
  queue,
  delivery,
  feed,
  logger: log.logger,
  events: createEventLog(store, feed, fleet.apply, log.logger),
  autoRegistration: registration,
  deregistration: { remove: () => Promise.reject(new Error('nobody deregisters here')) },
  version: '0.1.0',
  heartbeatIntervalMs: () => 15_000,
  reconnectWindowMs: () => 0,
  stopping: new AbortController().signal,
  inFlight: createInFlight(),
  admission: {
    admit: ({ vmId, poolId, bootId }: ConnectRequest) =>
      Promise.resolve({ kind: 'vm' as const, vmId, poolId, bootId, via: 'none' as const }),
    impersonated: () => undefined,
  },
  sessions: { keep: () => undefined, end: () => undefined },
  limits: { meter: () => ({ count: () => undefined, heartbeat: () => undefined, pace: () => 0 }) },
  door: { refuse: () => undefined },
  failures: createFailureLog(log.logger, clock),
  now: clock.now,
});

/** All in one frame. */
function say(...messages: MigletMessage[]): void {
  call.stream.write(Buffer.concat(messages.map((message) => rawFrame(encodeMigletMessage(message)))));
}
const told = (kind: string) =>
  call.messages.map((bytes) => decodeControllerMessage(bytes)).filter((message) => message.kind === kind);
const ack = (commandId: string, phase: CommandAck['phase']): MigletMessage => ({
  kind: 'ack',
  ack: { commandId, phase, success: phase === 'completed', message: '', result: {} },
});
/** Every state that the command was in, in their order. */
const statesOf = (id: string) =>
  parts.changes.flatMap((change) =>
    change.kind === 'command' && change.command.id === id ? [change.command.state] : [],
  );
async function order(): Promise<string> {
  const { id } = await parts.submit();
  parts.delivery.kick('vm-1');
  await until('it is delivered', () => statesOf(id).includes('sent'));
  return id;
}

describe('"received"', () => {
  it('with the result right behind it is not recorded by itself; when it was, the record has', async () => {
    const id = await order();
    parts.clock.advance(1_000);
    say(ack(id, 'received'), ack(id, 'completed'));
    await until('the result is confirmed', () => told('resultAck').length === 1);
    expect(statesOf(id)).toEqual(['queued', 'sent', 'completed']);
    expect(parts.queue.get(id)).toMatchObject({
      receivedAt: parts.clock.now(),
      finishedAt: parts.clock.now(),
    });
  });

  it('by itself is recorded, and the result when it comes', async () => {
    const id = await order();
    say(ack(id, 'received'));
    await until('it is recorded', () => statesOf(id).includes('received'));
    say(ack(id, 'completed'));
    await until('the result is confirmed', () => told('resultAck').length === 1);
    expect(statesOf(id)).toEqual(['queued', 'sent', 'received', 'completed']);
  });

  it('of one command is recorded when what is behind it is of another', async () => {
    const [first, second] = [await order(), await order()];
    say(ack(first, 'received'), ack(second, 'received'), ack(second, 'completed'));
    await until('the result is confirmed', () => told('resultAck').length === 1);
    await until('the other is recorded', () => statesOf(first).includes('received'));
    expect(statesOf(first)).toEqual(['queued', 'sent', 'received']);
    expect(statesOf(second)).toEqual(['queued', 'sent', 'completed']);
  });

  it('is recorded where a message that breaks the contract is right behind it', async () => {
    const id = await order();
    say(ack(id, 'received'), { kind: 'connect', request: connectRequest() });
    expect(await call.ended).toMatchObject({ message: 'connect may come only once, as the first message' });
    await until('it is recorded', () => statesOf(id).includes('received'));
  });

  it('is recorded where the stream ends with it', async () => {
    const id = await order();
    say(ack(id, 'received'));
    call.stream.end();
    await call.ended;
    await until('it is recorded', () => statesOf(id).includes('received'));
  });
});
