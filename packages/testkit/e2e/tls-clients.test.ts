/**
 * Certificates of clients, in each mode, on both ports; and what becomes of a connection that lives longer than its certificate, or
 * than the trust in whoever signed it.
 */
import { writeFileSync } from 'node:fs';
import https from 'node:https';
import tls from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import {
  createCertsFolder,
  createMovedClock,
  handshake,
  startTlsController,
  type CertsFolder,
  type GrpcClient,
  type OpenStream,
  type TlsController,
} from './tls-world.js';

const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;
const YEARS_MS = 2 * 365 * 86_400_000;

let ours: CertsFolder;
let others: CertsFolder;
let started: TlsController[] = [];
let clients: { close(): void }[] = [];
beforeAll(async () => {
  ours = createCertsFolder();
  others = createCertsFolder();
  await Promise.all([ours.certs('init'), others.certs('init')]);
  await Promise.all([
    ours.certs('issue', '--controller', 'localhost', '--host', '127.0.0.1'),
    ours.certs('issue', '--operator', 'ann', '--role', 'viewer'),
    ours.certs('issue', '--vm', 'vm-1', '--pool', 'sealed'),
    others.certs('issue', '--operator', 'bob', '--role', 'viewer'),
  ]);
}, 60_000);
afterEach(async () => {
  for (const client of clients) client.close();
  await Promise.all(started.map((one) => one.stop()));
  clients = [];
  started = [];
});
afterAll(() => {
  ours.cleanUp();
  others.cleanUp();
});

async function start(settings: Readonly<Record<string, string>>, clock = createMovedClock()) {
  const server = await startTlsController(ours, settings, clock);
  started.push(server);
  return { server, clock };
}
function grpcOf(server: TlsController, shown = ours.shown()): GrpcClient {
  const client = server.grpc(shown);
  clients.push(client);
  return client;
}
function keptAlive(): https.Agent {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  clients.push({ close: () => agent.destroy() });
  return agent;
}
/** Status of whoami; the error's code if no answer came. */
const whoami = (server: TlsController, shown = ours.shown(), agent?: https.Agent) =>
  server.get('/api/v1/whoami', shown, agent).then(
    ({ status }) => status,
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
const bob = () => ({ ...others.shown('bob'), ca: ours.pem('ca.pem') });
async function up(stream: OpenStream): Promise<OpenStream> {
  await until('the stream is up', () => stream.isUp, 10_000);
  return stream;
}

describe('client_certificates', () => {
  test.each([
    ['not set, nor a client CA', {}],
    ['none, with a client CA', { client_certificates: 'none', client_ca_file: 'ca.pem' }],
  ])(
    '%s: starts, asks nobody for one, and takes none',
    async (_what, settings) => {
      const { client_ca_file: caFile } = settings as { client_ca_file?: string };
      const { server } = await start({
        ...settings,
        ...(caFile === undefined ? {} : { client_ca_file: ours.file(caFile) }),
      });
      for (const shown of [ours.shown(), ours.shown('ann'), bob()]) {
        expect(await whoami(server, shown)).toBe(401);
        expect(await grpcOf(server, shown).health()).toBe(0);
      }
      await up(grpcOf(server).stream('vm-x'));
    },
    60_000,
  );

  test('optional: starts, takes those of its authority, and lets in who has none, or another, as nobody', async () => {
    const { server } = await start({ client_certificates: 'optional', client_ca_file: ours.file('ca.pem') });
    expect(await whoami(server, ours.shown('ann'))).toBe(200);
    for (const shown of [ours.shown(), bob()]) expect(await whoami(server, shown)).toBe(401);
    for (const shown of [ours.shown(), ours.shown('ann'), bob()])
      expect(await grpcOf(server, shown).health()).toBe(0);
  }, 60_000);

  test('required: starts, and answers nobody without one of its authority, on either port', async () => {
    const { server } = await start({ client_certificates: 'required', client_ca_file: ours.file('ca.pem') });
    expect(await whoami(server, ours.shown('ann'))).toBe(200);
    expect(await grpcOf(server, ours.shown('ann')).health()).toBe(0);
    for (const shown of [ours.shown(), bob()]) {
      expect(await whoami(server, shown)).toMatch(/^(ECONNRESET|EPIPE|ERR_SSL_)/);
      await expect(server.get('/healthz', shown)).rejects.toThrow();
      expect(await grpcOf(server, shown).health()).toBe(UNAVAILABLE);
    }
  }, 60_000);
});

describe('encryption', () => {
  test('is authenticated, with a key of its own for each connection: no CBC, no SHA-1, on either port', async () => {
    const { server } = await start({});
    const { httpPort, grpcPort } = server.controller;
    for (const [port, protocol] of [
      [httpPort, 'http/1.1'],
      [grpcPort, 'h2'],
    ] as const) {
      const offer = (ciphers: string) =>
        handshake(port, { ...ours.shown(), ALPNProtocols: [protocol], maxVersion: 'TLSv1.2', ciphers });
      for (const old of ['ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA384', 'ECDHE-ECDSA-AES128-SHA256'])
        expect(await offer(old)).toMatch(/HANDSHAKE_FAILURE/);
      for (const good of ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305'])
        expect(await offer(good)).toBe('open');
    }
  }, 60_000);
});

describe('a TLS session', () => {
  /** Is the second connection one of the session of the first? */
  async function isResumed(server: TlsController): Promise<boolean> {
    let session: Buffer | undefined;
    let reused = false;
    for (let count = 0; count < 2; count += 1) {
      await new Promise<void>((resolve, reject) => {
        const socket = tls.connect({
          ...{ host: '127.0.0.1', port: server.controller.httpPort, ...ours.shown('ann') },
          ...(session === undefined ? {} : { session }),
        });
        socket.on('session', (next) => (session = next));
        socket.on('data', () => undefined);
        socket.on('error', reject);
        socket.on('close', () => resolve());
        socket.on('secureConnect', () => {
          reused = socket.isSessionReused();
          socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
        });
      });
    }
    return reused;
  }

  test('is not resumed where certificates are asked for: it would not be checked again', async () => {
    const { server: plain } = await start({});
    expect(await isResumed(plain)).toBe(true);
    const settings = { client_certificates: 'optional', client_ca_file: ours.file('ca.pem') };
    const { server } = await start(settings);
    expect(await isResumed(server)).toBe(false);
  }, 60_000);
});

describe('a certificate that expires while its connection lives', () => {
  test('is an operator no more, and lets no VM join, from the next request on', async () => {
    const settings = { client_certificates: 'optional', client_ca_file: ours.file('ca.pem') };
    const { server, clock } = await start(settings);
    const [ann, vm] = [keptAlive(), keptAlive()];
    const join = { pool_id: 'sealed', boot_id: 'boot-1', join: { method: 'mtls' } };
    const joined = () => server.post('/api/v1/vms/vm-1/join', join, ours.shown('vm-1'), vm);
    expect(await whoami(server, ours.shown('ann'), ann)).toBe(200);
    expect((await joined()).status).toBe(200);
    clock.move(YEARS_MS);
    expect(await whoami(server, ours.shown('ann'), ann)).toBe(401);
    expect((await joined()).status).toBe(401);
  }, 60_000);

  test('opens nothing more where all must have one; a stream that is there goes on', async () => {
    const settings = { client_certificates: 'required', client_ca_file: ours.file('ca.pem') };
    const { server, clock } = await start(settings);
    const agent = keptAlive();
    expect((await server.get('/healthz', ours.shown('vm-1'), agent)).status).toBe(200);
    const client = grpcOf(server, ours.shown('vm-1'));
    const stream = await up(client.stream('vm-1'));
    clock.move(YEARS_MS);
    expect(await server.get('/healthz', ours.shown('vm-1'), agent)).toMatchObject({
      status: 401,
      text: expect.stringContaining('connect again with another'),
      headers: { connection: 'close', 'content-type': 'application/problem+json' },
    });
    expect(await client.health()).toBe(UNAUTHENTICATED);
    // What is asked on it is answered: the stream lives.
    const { received } = stream;
    stream.call.end();
    expect(await until('it ends in order', () => stream.ended, 10_000)).toBe(0);
    expect(stream.received).toBe(received);
  }, 60_000);
});

describe('an authority that is taken out of client_ca_file', () => {
  test('is not taken from the next request on; where all must have a certificate its streams end, and no other does', async () => {
    const caFile = ours.file('clients.pem');
    const both = Buffer.concat([ours.pem('ca.pem'), others.pem('ca.pem')]);
    writeFileSync(caFile, both);
    const { server } = await start({ client_certificates: 'required', client_ca_file: caFile });
    const [ann, other] = [keptAlive(), keptAlive()];
    expect(await whoami(server, ours.shown('ann'), ann)).toBe(200);
    expect(await whoami(server, bob(), other)).toBe(200);
    const stays = await up(grpcOf(server, ours.shown('ann')).stream('vm-stays'));
    const goes = await up(grpcOf(server, bob()).stream('vm-goes'));

    writeFileSync(caFile, ours.pem('ca.pem'));
    expect(await until('its stream ends', () => goes.ended, 10_000)).toBe(UNAVAILABLE);
    expect(await whoami(server, bob(), other)).toBe(401);
    expect(await whoami(server, bob())).toMatch(/^(ECONNRESET|EPIPE|ERR_SSL_)/);
    expect(await whoami(server, ours.shown('ann'), ann)).toBe(200);
    expect(stays.ended).toBeUndefined();
    stays.call.end();
    expect(await until('the other ends in order', () => stays.ended, 10_000)).toBe(0);
  }, 60_000);

  test('and is replaced by garbage, is still taken, and told of on /readyz', async () => {
    const caFile = ours.file('garbage.pem');
    writeFileSync(caFile, ours.pem('ca.pem'));
    const { server } = await start({ client_certificates: 'optional', client_ca_file: caFile });
    writeFileSync(caFile, ours.pem('ca.pem').subarray(0, 100));
    await until('it is told', async () =>
      (await server.get('/readyz', ours.shown())).text.includes('authorities of clients cannot be used'),
    );
    expect(await whoami(server, ours.shown('ann'))).toBe(200);
  }, 60_000);
});
