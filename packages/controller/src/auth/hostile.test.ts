/**
 * Whatever comes, the controller answers it, goes on, and grows no more: requests and messages at random, on every route and
 * every RPC, from nobody, from a VM and from an admin; ids that would leave their folder; a VM that means harm.
 *
 * FUZZ_RUNS is how many on each; in the suite few, so that it stays quick.
 */
import { readdirSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { Client, Metadata, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { until } from '@mig/testkit/github/until';
import { commandServiceDefinition } from '@mig/common/wire/command-service';
import { encodeMigletMessage } from '@mig/common/wire/miglet-message';
import { migletMessage } from '../../../common/src/wire/arbitraries.contract.js';
import { connectRequest } from '../parts.contract.js';
import { openStream, type TestMiglet } from '../test-miglet.contract.js';
import { ROUTE_RIGHTS } from './route-rights.js';
import { bearer, startSecureController, type SecureController } from './test-auth.contract.js';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 60);
const PATIENCE_MS = 30_000 + RUNS * 60;
/** gRPC statuses that blame the controller. */
const OURS = [2, 13, 15];
const SETTINGS = { numRuns: RUNS, seed: Number(process.env['FUZZ_SEED'] ?? 5) };
const GROWTH_BYTES = 64 * 2 ** 20;

let test: SecureController;
let session: string;
let agent: http.Agent;
beforeAll(async () => {
  test = await startSecureController({
    // What is tested is not how much is too much.
    config: {
      insecure: false,
      auth: { lockout: { failures_per_minute: 100_000, time: '1s' } },
      limits: {
        body_bytes: 1_048_576,
        open_commands_per_vm: 1_000,
        vm_messages_per_second: 1_000_000,
        vm_message_burst: 10_000_000,
        vm_heartbeats_per_second: 1_000_000,
        strangers_per_second: 1_000_000,
        vm_bytes_per_second: 1_073_741_824,
        vm_connects_per_minute: 100_000,
        operator_requests_per_second: 1_000_000,
      },
    },
  });
  session = await test.joinVm('vm-1');
  agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
});
afterAll(async () => {
  agent.destroy();
  await test.dispose();
});

function send(
  method: string,
  target: string,
  headers: Record<string, string>,
  body: string | undefined,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host: '127.0.0.1', port: test.controller.httpPort, method, path: target, headers, agent },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

/** That GitHub cannot be asked, or not for this VM, is 503 by contract. */
const isFault = ({ status, text }: { status: number; text: string }): boolean =>
  status >= 500 && !text.includes('urn:mig:problem:github-unavailable');

/** Ids as nobody should send them. */
const badId = fc.oneof(
  fc.constantFrom(
    '..',
    '.',
    '../../../etc/passwd',
    '..\\..\\x',
    '/etc/passwd',
    '.auth',
    '.audit',
    '.wal',
    'a/../../b',
    '\u0000',
    'vm\u0000.json',
    '%2e%2e%2f',
    '__proto__',
    'constructor',
    '\u202e',
    'a'.repeat(64),
    ' vm-1',
  ),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 80 }),
);
const anyId = fc.oneof(fc.constantFrom('vm-1', 'some-id', 'toString'), badId);
/** Without halves of characters, which no URL can hold. */
const wellFormed = (text: string): string => Buffer.from(text).toString();
/** A path must be one: what cannot be sent as one is escaped. */
const segment = anyId.map((id) => encodeURIComponent(wellFormed(id)));
/** Also of no VM that is there: its session is used by the tests that follow. */
const strangeSegment = badId.map((id) => encodeURIComponent(wellFormed(id)));

const keys = fc.constantFrom(
  ...'type vm_id pool_id org_id data timestamp boot_id sequence join method token parameters selector vm_ids'.split(
    ' ',
  ),
  ...'labels all reason kind name roles expires_in_ms success result health runner_state current_job'.split(
    ' ',
  ),
  ...'shell docker cmd env working_dir timeout_ms tasks driver config command constraints attribute'.split(
    ' ',
  ),
  ...'operator value schedule cron depends_on resources retry deadline datacenters'.split(' '),
);
const value = fc.oneof(
  { depthSize: 'small' },
  fc.jsonValue({ maxDepth: 3 }),
  badId,
  fc.constantFrom('vm-1', 'linux', 'vm_started', 'shutdown', 'token', 'operator', -1, 2 ** 53, 1e308, null),
);
const body = fc.oneof(
  fc.dictionary(keys, value, { maxKeys: 8 }).map((object) => JSON.stringify(object)),
  fc.jsonValue().map((json) => JSON.stringify(json)),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.constantFrom('', '{', '[]', 'null', '{"__proto__":{"role":"admin"}}', '['.repeat(10_000)),
);
const query = fc.oneof(
  fc.constant(''),
  fc
    .dictionary(fc.constantFrom('limit', 'cursor', 'after', 'state', 'pool_id', 'vm_id', 'count'), badId, {
      maxKeys: 3,
    })
    .map((object) => `?${new URLSearchParams(object).toString()}`),
);
const contentType = fc.constantFrom(
  'application/json',
  'text/plain',
  'application/x-www-form-urlencoded',
  '',
);

const filesOf = (): string[] =>
  readdirSync(test.directory, { recursive: true, encoding: 'utf8' }).filter(
    (file) => !/\.(tmp|log)$/.test(file),
  );

describe('requests at random', () => {
  it.each(Object.keys(ROUTE_RIGHTS).filter((route) => !route.includes('webhooks')))(
    '%s is answered with a status of the caller, never of the controller',
    async (route) => {
      const [method = '', pattern = ''] = route.split(' ');
      const who = fc.constantFrom<Record<string, string>>({}, bearer(test.adminToken), bearer(session), {
        authorization: 'Bearer a.b.c',
      });
      await fc.assert(
        fc.asyncProperty(
          route.includes('release') ? strangeSegment : segment,
          segment,
          who,
          body,
          query,
          contentType,
          async (vm, id, auth, text, search, type) => {
            const target = pattern.replace(':vm_id', vm).replace(':id', id) + search;
            const hasBody = method === 'POST';
            const headers = { ...auth, ...(hasBody && type !== '' ? { 'content-type': type } : {}) };
            const answer = await send(method, target, headers, hasBody ? text : undefined);
            expect({ target, text: answer.text, isOurs: isFault(answer) }).toMatchObject({
              isOurs: false,
            });
            expect(answer.text).not.toMatch(/at .*\.(ts|js):\d+|node_modules/);
          },
        ),
        SETTINGS,
      );
    },
    PATIENCE_MS,
  );
});

describe('an id that would leave its folder', () => {
  it('makes no file outside the folders of VMs, and none in those of the controller', async () => {
    for (const id of [
      '..',
      '../evil',
      '.auth',
      '.audit',
      '.wal',
      'a/../../evil',
      '..%2fevil',
      '%2e%2e',
      '\u0000',
    ]) {
      const escaped = encodeURIComponent(id);
      for (const auth of [bearer(session), bearer(test.adminToken), bearer(await test.joinToken('linux'))]) {
        const headers = { ...auth, 'content-type': 'application/json' };
        const event = JSON.stringify({ type: 'vm_started', pool_id: 'linux', boot_id: id, vm_id: id });
        for (const target of [
          `/api/v1/vms/${escaped}/events`,
          `/api/v1/vms/${escaped}/join`,
          '/api/v1/vms/vm-1/events',
        ])
          expect((await send('POST', target, headers, event)).status).toBeGreaterThanOrEqual(400);
      }
    }
    const known =
      /^(github-token|data(\/(\.(auth|audit|wal|drains|work)(\/.*)?|\.controller\.lock|controller-id|[A-Za-z0-9][\w.-]*(\/.*)?))?)$/;
    expect(filesOf().filter((file) => !known.test(file.split(path.sep).join('/')))).toEqual([]);
    expect(filesOf().filter((file) => /evil|passwd/.test(file))).toEqual([]);
  });
});

function stream(token: string | undefined): TestMiglet {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  return openStream(test.controller.grpcPort, metadata);
}
const hello = (vmId = 'vm-1') => connectRequest({ vmId, poolId: 'linux', bootId: 'boot-1' });

describe('messages at random on the stream', () => {
  it(
    'before connect, and after it, of the contract or of bytes, end their own stream at most',
    async () => {
      const bytes = fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        migletMessage.map((message) =>
          message.kind === 'unknown' || message.kind === 'malformed'
            ? new Uint8Array()
            : encodeMigletMessage(message),
        ),
      );
      await fc.assert(
        fc.asyncProperty(
          fc.boolean(),
          fc.boolean(),
          fc.array(bytes, { maxLength: 8 }),
          async (greets, knows, all) => {
            const miglet = stream(knows ? session : undefined);
            if (greets) miglet.send({ kind: 'connect', request: hello() });
            for (const one of all) miglet.sendBytes(one);
            miglet.finish();
            const { code, details } = await miglet.ended;
            miglet.close();
            expect({ details, isOurs: OURS.includes(code) }).toMatchObject({ isOurs: false });
          },
        ),
        SETTINGS,
      );
      expect((await send('GET', '/healthz', {}, undefined)).status).toBe(200);
    },
    PATIENCE_MS,
  );

  it(
    'of agents and nodes, of the contract or of bytes, end their own call at most',
    async () => {
      const token = await test.joinToken('linux');
      const client = new Client(`127.0.0.1:${test.controller.grpcPort}`, credentials.createInsecure());
      const same = (bytes: Buffer): Buffer => bytes;
      const isOurs = (code: number, details: string): boolean =>
        // Bytes that are no message of a unary call: by the word of gRPC that is INTERNAL, and nobody's fault but its sender's.
        OURS.includes(code) && details !== 'Error deserializing request';
      const tag = (field: number, text: string): Buffer => {
        const bytes = Buffer.from(text).subarray(0, 100);
        return Buffer.concat([Buffer.from([(field << 3) | 2, bytes.length]), bytes]);
      };
      const message = fc.oneof(
        fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
        fc
          .array(fc.tuple(fc.integer({ min: 1, max: 8 }), anyId), { maxLength: 6 })
          .map((fields) => Buffer.concat(fields.map(([field, text]) => tag(field, wellFormed(text))))),
      );
      await fc.assert(
        fc.asyncProperty(anyId, fc.boolean(), fc.array(message, { maxLength: 6 }), async (id, knows, all) => {
          const metadata = new Metadata();
          const printableId = Buffer.from(id).toString('base64url').slice(0, 40);
          metadata.set('agent_id', knows ? `agent-${printableId}` : 'vm-1');
          metadata.set('agent_token', knows ? token : printableId);
          const stream = client.makeBidiStreamRequest(
            '/miglet.tasks.TaskService/StreamTasks',
            same,
            same,
            metadata,
          );
          stream.on('error', () => undefined).on('data', () => undefined);
          const ended = new Promise<{ code: number; details: string }>((resolve) =>
            stream.on('status', resolve),
          );
          for (const one of all) stream.write(one);
          stream.end();
          const { code, details } = await ended;
          expect({ details, isOurs: isOurs(code, details) }).toMatchObject({ isOurs: false });
        }),
        SETTINGS,
      );
      const methods = fc.constantFrom('Heartbeat', 'GetJob', 'ClaimJob', 'UpdateStatus');
      await fc.assert(
        fc.asyncProperty(methods, fc.boolean(), message, async (method, knows, bytes) => {
          const metadata = new Metadata();
          if (knows) metadata.set('authorization', `Bearer ${token}`);
          const error = await new Promise<{ code: number; details: string } | null>((resolve) =>
            client.makeUnaryRequest(`/talk.NodeAgentService/${method}`, same, same, bytes, metadata, resolve),
          );
          const { code, details } = error ?? { code: 0, details: '' };
          expect({ details, isOurs: isOurs(code, details) }).toMatchObject({ isOurs: false });
        }),
        SETTINGS,
      );
      client.close();
      expect((await send('GET', '/healthz', {}, undefined)).status).toBe(200);
    },
    PATIENCE_MS,
  );

  it('a method or a service that is not there is UNIMPLEMENTED', async () => {
    const client = new Client(`127.0.0.1:${test.controller.grpcPort}`, credentials.createInsecure());
    for (const method of [
      '/miglet.commands.CommandService/Nothing',
      '/x/y',
      commandServiceDefinition.streamCommands.path + 'x',
    ]) {
      const code = await new Promise<number>((resolve) => {
        client.makeUnaryRequest(method, Buffer.from, Buffer.from, Buffer.from('x'), (error) =>
          resolve(error?.code ?? 0),
        );
      });
      expect(code).toBe(12);
    }
    client.close();
  });
});

describe('a VM that means harm', () => {
  it('by messages that are too large, streams without end, never reading, and bytes that are no HTTP/2, harms only itself', async () => {
    const quiet = stream(await test.joinVm('vm-quiet'));
    quiet.send({ kind: 'connect', request: hello('vm-quiet') });
    await quiet.next('connectAck');

    const fat = stream(session);
    fat.send({ kind: 'connect', request: hello() });
    fat.sendBytes(Buffer.alloc(8 * 2 ** 20, 0x0a));
    expect((await fat.ended).code).toBe(8);

    const many = Array.from({ length: 100 }, () => stream(session));
    for (const one of many) one.send({ kind: 'connect', request: hello() });
    await until('one of them is left (I11)', async () => {
      const { json } = await test.call('GET', '/health');
      return json['connected_agents'] === 2;
    });
    for (const one of many) one.close();

    const slow = Array.from({ length: 50 }, () => net.connect(test.controller.grpcPort, '127.0.0.1'));
    for (const socket of slow) {
      socket.on('error', () => undefined);
      socket.write('PRI * HTTP/2.0\r\n');
    }
    const { status } = await test.call('POST', '/api/v1/vms/vm-quiet/commands', {
      headers: bearer(test.adminToken),
      body: { type: 'set_log_level', parameters: { level: 'debug' } },
    });
    expect(status).toBe(202);
    await until('the quiet one has its command', () =>
      quiet.commands().some(({ type }) => type === 'set_log_level'),
    );
    for (const socket of slow) socket.destroy();
    quiet.close();
  }, 30_000);
});

describe('after all that', () => {
  it(
    'the controller has logged no error of its own, and has not grown',
    async () => {
      const failed = test.log
        .lines()
        .filter((line) => line['level'] === 'error' || line['level'] === 'fatal')
        .filter((line) => (line['err'] as { code?: string } | undefined)?.code !== 'github-unavailable');
      expect(failed).toEqual([]);
      global.gc?.();
      const before = process.memoryUsage().heapUsed;
      for (let count = 0; count < RUNS; count += 1)
        await send(
          'POST',
          `/api/v1/vms/stranger-${count}/events`,
          { 'content-type': 'application/json' },
          '{}',
        );
      global.gc?.();
      expect(process.memoryUsage().heapUsed - before).toBeLessThan(GROWTH_BYTES);
      expect((await test.call('GET', '/readyz')).status).toBe(200);
    },
    PATIENCE_MS,
  );
});
