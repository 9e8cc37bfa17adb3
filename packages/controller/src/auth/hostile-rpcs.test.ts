/**
 * Messages at random on every RPC that there is: those of proto/, by its descriptors, and those of gRPC's own services. Whatever
 * comes, the caller is told, and the controller goes on.
 *
 * FUZZ_RUNS is how many on each; in the suite few, so that it stays quick.
 */
import { Client, Metadata, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { HealthDefinition } from 'nice-grpc-server-health';
import { ServerReflectionService } from 'nice-grpc-server-reflection';
import { fieldSoup, protoRpcs, type Rpc } from './rpc-messages.contract.js';
import { startSecureController, type SecureController } from './test-auth.contract.js';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 60);
const SEED = Number(process.env['FUZZ_SEED'] ?? 7);
const PATIENCE_MS = 30_000 + RUNS * 60;
/** gRPC statuses that blame the controller: UNKNOWN, INTERNAL, DATA_LOSS. */
const OURS = [2, 13, 15];
const UNIMPLEMENTED = 12;
const GROWTH_BYTES = 96 * 2 ** 20;

const { check, watch } = HealthDefinition.methods;
const RPCS: readonly Rpc[] = [
  ...protoRpcs(),
  ...[check, watch].map(({ name }) => ({
    path: `/${HealthDefinition.fullName}/${name}`,
    requestStream: false,
    message: fieldSoup,
  })),
  { path: ServerReflectionService.serverReflectionInfo.path, requestStream: true, message: fieldSoup },
];

let test: SecureController;
let client: Client;
let bearers: (string | undefined)[];
beforeAll(async () => {
  test = await startSecureController({
    // What is tested is not how much is too much.
    config: {
      insecure: false,
      auth: { lockout: { failures_per_minute: 100_000, time: '1s' } },
      limits: {
        vm_messages_per_second: 1_000_000,
        vm_message_burst: 10_000_000,
        vm_heartbeats_per_second: 1_000_000,
        vm_bytes_per_second: 1_073_741_824,
        vm_connects_per_minute: 100_000,
        strangers_per_second: 1_000_000,
      },
    },
  });
  const session = await test.joinVm('vm-1');
  bearers = [undefined, session, await test.joinToken('linux'), test.adminToken, 'a.b.c', 'x'];
  client = connect();
});
afterAll(async () => {
  client.close();
  await test.dispose();
});

interface Ending {
  readonly code: number;
  readonly details: string;
}

/** Who resets more than a thousand streams of a connection in a short time loses it: nghttp2's guard against rapid resets. */
const CALLS_OF_A_CONNECTION = 500;
let callCount = 0;

const connect = (): Client =>
  new Client(`127.0.0.1:${test.controller.grpcPort}`, credentials.createInsecure(), {
    'grpc.max_send_message_length': -1,
    'grpc.use_local_subchannel_pool': 1,
  });

/** A call that says all of it, and waits for its end; what never ends by itself is ended. */
function call(path: string, bearer: string | undefined, messages: readonly Uint8Array[]): Promise<Ending> {
  const metadata = new Metadata();
  if (bearer !== undefined) {
    metadata.set('authorization', `Bearer ${bearer}`);
    metadata.set('agent_id', 'vm-1');
    metadata.set('agent_token', bearer);
  }
  const identity = (bytes: Buffer): Buffer => bytes;
  callCount += 1;
  if (callCount % CALLS_OF_A_CONNECTION === 0) {
    client.close();
    client = connect();
  }
  const stream = client.makeBidiStreamRequest(path, identity, identity, metadata);
  // One that goes on, as Watch does, has answered.
  stream.on('data', () => stream.cancel());
  stream.on('error', () => undefined); // the status tells it
  for (const message of messages) stream.write(Buffer.from(message));
  stream.end();
  return new Promise((resolve) => stream.once('status', ({ code, details }) => resolve({ code, details })));
}

describe('messages at random', () => {
  it.each(RPCS)(
    'on $path end their own call at most',
    async ({ path, requestStream, message }) => {
      const isServed = new Set<boolean>();
      const bytes = fc.oneof(message, fieldSoup, fc.uint8Array({ maxLength: 300 }));
      await fc.assert(
        fc.asyncProperty(
          fc.nat({ max: bearers.length - 1 }),
          fc.array(bytes, requestStream ? { maxLength: 8 } : { minLength: 1, maxLength: 1 }),
          async (who, messages) => {
            const { code, details } = await call(path, bearers[who], messages);
            isServed.add(code !== UNIMPLEMENTED);
            expect({ details, isOurs: OURS.includes(code) }).toMatchObject({ isOurs: false });
          },
        ),
        { numRuns: RUNS, seed: SEED },
      );
      expect({ path, isServed: isServed.has(true) }).toEqual({ path, isServed: true });
    },
    PATIENCE_MS,
  );

  it(
    'leave a controller that answers, has logged no error of its own, and grows no more',
    async () => {
      const errors = test.log
        .lines()
        .filter((line) => line['level'] === 'error' || line['level'] === 'fatal');
      expect(errors).toEqual([]);
      global.gc?.();
      const before = process.memoryUsage().heapUsed;
      for (let count = 0; count < RUNS; count += 1)
        await call(RPCS[count % RPCS.length]?.path ?? '', bearers[count % bearers.length], [
          Buffer.alloc(100, 0xff),
        ]);
      global.gc?.();
      expect(process.memoryUsage().heapUsed - before).toBeLessThan(GROWTH_BYTES);
      expect((await test.call('GET', '/readyz')).status).toBe(200);
    },
    PATIENCE_MS,
  );
});
