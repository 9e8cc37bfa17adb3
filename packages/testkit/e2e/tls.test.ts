/**
 * TLS as it is run: certificates of `migctl certs`, a controller that asks for them, MIGlets' streams, people's migctl. What is
 * not as it should be gets no answer; what is renewed drops no stream.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { Client, Metadata, credentials, type ClientDuplexStream } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '@mig/common/clock';
import { silentLogger } from '@mig/common/logger';
import { commandServiceDefinition } from '@mig/common/wire/command-service';
import { decodeControllerMessage } from '@mig/common/wire/controller-message';
import { encodeMigletMessage } from '@mig/common/wire/miglet-message';
import { controllerConfigSchema } from '@mig/controller/config';
import { startController, type Controller } from '@mig/controller/controller';
import { until } from '@mig/testkit/github/until';
import { ROOT, run, type Finished } from './system.js';
import { handshake as shakeHands } from './tls-world.js';

const STREAMS = 200;
const MIGCTL = path.join(ROOT, 'packages', 'cli', 'bin', 'migctl.js');
const MIGLET = path.join(ROOT, 'packages', 'miglet', 'bundle', 'miglet.mjs');

let folder = '';
let controller: Controller;
let certs = '';
const inCerts = (name: string): string => path.join(certs, name);
const pem = (name: string): Buffer => readFileSync(inCerts(name));

async function migctl(...args: string[]): Promise<Finished> {
  const env = { MIGCTL_CONFIG: path.join(folder, 'contexts.json') };
  return run(MIGCTL, args, env).finished;
}
async function issue(...args: string[]): Promise<void> {
  const { code, stderr } = await migctl('certs', 'issue', '--dir', certs, ...args);
  expect([code, stderr]).toEqual([0, '']);
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'mig-tls-'));
  certs = path.join(folder, 'certs');
  expect((await migctl('certs', 'init', '--dir', certs)).code).toBe(0);
  await issue('--controller', 'localhost', '--host', '127.0.0.1');
  await issue('--vm', 'vm-mtls', '--pool', 'sealed');
  await issue('--vm', 'vm-real', '--pool', 'sealed');
  await issue('--operator', 'ann', '--role', 'viewer');
  await issue('--operator', 'past', '--role', 'admin', '--expires', '1s');
  controller = await startController({
    config: controllerConfigSchema.parse({
      data_dir: path.join(folder, 'data'),
      http: { port: 0 },
      grpc: { port: 0 },
      tls: {
        cert_file: inCerts('localhost.pem'),
        key_file: inCerts('localhost.key'),
        client_ca_file: inCerts('ca.pem'),
        client_certificates: 'optional',
        reload: '100ms',
      },
      pools: {
        open: { allow_unauthenticated: true },
        sealed: { join: { methods: ['mtls'] } },
      },
    }),
    clock: systemClock,
    logger: silentLogger,
    random: Math.random,
    version: 'test',
  });
}, 60_000);
afterAll(async () => {
  await controller.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly text: string;
}
function call(target: string, options: https.RequestOptions = {}, body?: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = https.request(
      {
        host: '127.0.0.1',
        port: controller.httpPort,
        path: target,
        ca: pem('ca.pem'),
        agent: false,
        headers: body === undefined ? {} : { 'content-type': 'application/json' },
        ...options,
      },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    request.on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** What a client of the port offers. */
const alpn = (port: number): { ALPNProtocols?: string[] } =>
  port === controller.grpcPort ? { ALPNProtocols: ['h2'] } : {};

/** The serial number of the certificate that a new connection meets. */
function serialOf(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port, ca: pem('ca.pem'), ...alpn(port) }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

/** How a handshake ends; `open` if it is not refused. */
const handshake = (port: number, options: tls.ConnectionOptions): Promise<string> =>
  shakeHands(port, { ca: pem('ca.pem'), ...alpn(port), ...options });

interface OpenStream {
  readonly call: ClientDuplexStream<Buffer, Buffer>;
  isUp: boolean;
  ended: string | undefined;
  close(): void;
}
function openStream(vmId: string, channel = credentials.createSsl(pem('ca.pem'))): OpenStream {
  const client = new Client(`127.0.0.1:${controller.grpcPort}`, channel, {
    'grpc.use_local_subchannel_pool': 1,
  });
  const stream = client.makeBidiStreamRequest(
    commandServiceDefinition.streamCommands.path,
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => bytes,
    new Metadata(),
  );
  const open: OpenStream = {
    call: stream,
    isUp: false,
    ended: undefined,
    close() {
      stream.cancel();
      client.close();
    },
  };
  stream.on('data', (bytes: Buffer) => {
    if (decodeControllerMessage(bytes).kind === 'connectAck') open.isUp = true;
  });
  stream.on('error', () => undefined);
  stream.on('status', ({ code, details }) => (open.ended = `${code} ${details}`));
  const request = {
    vmId,
    poolId: 'open',
    orgId: '',
    version: '1',
    bootId: '',
    state: '',
    labels: [],
  };
  stream.write(Buffer.from(encodeMigletMessage({ kind: 'connect', request })));
  return open;
}

describe('what is refused', () => {
  test.each(['http', 'grpc'] as const)('plain text to the TLS port of %s', async (which) => {
    const port = which === 'http' ? controller.httpPort : controller.grpcPort;
    const said = await new Promise<string>((resolve) => {
      let text = '';
      const socket = net.connect(port, '127.0.0.1', () => {
        socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
      });
      socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(text));
    });
    expect(said).not.toContain('HTTP/1.1 200');
    expect(said).not.toContain('ok');
  });

  test.each(['http', 'grpc'] as const)(
    'TLS 1.0 and 1.1 at the port of %s; 1.2 and 1.3 are taken',
    async (which) => {
      const port = which === 'http' ? controller.httpPort : controller.grpcPort;
      // A client that would speak it: OpenSSL's own limits are lowered for it alone.
      const old = { ciphers: 'DEFAULT@SECLEVEL=0', minVersion: 'TLSv1' as const };
      expect(await handshake(port, { ...old, maxVersion: 'TLSv1' })).toMatch(/ALERT_PROTOCOL_VERSION/);
      expect(await handshake(port, { ...old, maxVersion: 'TLSv1.1' })).toMatch(/ALERT_PROTOCOL_VERSION/);
      expect(await handshake(port, { maxVersion: 'TLSv1.2' })).toBe('open');
      expect(await handshake(port, { minVersion: 'TLSv1.3' })).toBe('open');
    },
  );

  test('a controller of an unknown authority, or under another name, by who asks', async () => {
    const port = controller.grpcPort;
    expect(await handshake(port, { ca: undefined })).toMatch(
      /UNABLE_TO_VERIFY|SELF_SIGNED|UNABLE_TO_GET_ISSUER/,
    );
    expect(await handshake(port, { servername: 'other.example' })).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
    const stranger = await migctl('get', 'vms', '--server', `https://127.0.0.1:${controller.httpPort}`);
    expect([stranger.code, stranger.stderr]).toEqual([1, expect.stringContaining('--ca-file')]);
    const stream = openStream('vm-x', credentials.createSsl());
    expect(await until('the stream is refused', () => stream.ended, 10_000)).toMatch(/^14 /);
    stream.close();
  }, 30_000);

  test('an operator whose certificate has expired, is of another authority, or who has none', async () => {
    await until('it has expired', async () => {
      const { validTo } = new (await import('node:crypto')).X509Certificate(pem('past.pem'));
      return Date.parse(validTo) < Date.now();
    });
    const past = { cert: pem('past.pem'), key: pem('past.key') };
    expect((await call('/api/v1/whoami', past)).status).toBe(401);
    const other = path.join(folder, 'other');
    await migctl('certs', 'init', '--dir', other);
    await migctl('certs', 'issue', '--dir', other, '--operator', 'mallory', '--role', 'admin');
    const forged = {
      cert: readFileSync(path.join(other, 'mallory.pem')),
      key: readFileSync(path.join(other, 'mallory.key')),
    };
    expect((await call('/api/v1/whoami', forged)).status).toBe(401);
    expect((await call('/api/v1/whoami')).status).toBe(401);
  }, 30_000);
});

describe('a client certificate', () => {
  test('is an operator with the role that it names, by API and by migctl', async () => {
    const ann = { cert: pem('ann.pem'), key: pem('ann.key') };
    const { status, text } = await call('/api/v1/whoami', ann);
    expect([status, JSON.parse(text)]).toEqual([
      200,
      expect.objectContaining({ name: 'ann', via: 'certificate', roles: { '*': 'viewer' } }),
    ]);
    expect(
      (await call('/api/v1/drains', { ...ann, method: 'POST' }, { selector: { all: true } })).status,
    ).toBe(403);
    const flags = [
      '--ca-file',
      inCerts('ca.pem'),
      '--cert-file',
      inCerts('ann.pem'),
      '--key-file',
      inCerts('ann.key'),
    ];
    const who = await migctl('whoami', '--server', `https://127.0.0.1:${controller.httpPort}`, ...flags);
    expect(who.stdout).toMatch(/ann[\s\S]*certificate[\s\S]*viewer of every pool/);
  }, 30_000);

  test('lets the VM that it names join its pool, and no other VM', async () => {
    const vm = { cert: pem('vm-mtls.pem'), key: pem('vm-mtls.key'), method: 'POST' };
    const body = { pool_id: 'sealed', boot_id: 'boot-1', join: { method: 'mtls' } };
    const joined = await call('/api/v1/vms/vm-mtls/join', vm, body);
    expect(JSON.parse(joined.text)).toMatchObject({ session_token: expect.any(String) });
    expect((await call('/api/v1/vms/vm-other/join', vm, body)).status).toBe(401);
    expect((await call('/api/v1/vms/vm-mtls/join', vm, { ...body, pool_id: 'open' })).status).toBe(401);
    expect((await call('/api/v1/vms/vm-mtls/join', { method: 'POST' }, body)).status).toBe(401);
  });
});

describe('a certificate that was revoked', () => {
  test('is taken no more: of an operator at the next request, of a VM when it joins', async () => {
    await issue('--operator', 'gone', '--role', 'admin');
    await issue('--vm', 'vm-gone', '--pool', 'sealed');
    await issue('--operator', 'boss', '--role', 'admin');
    const pair = (name: string) => ({ cert: pem(`${name}.pem`), key: pem(`${name}.key`) });
    const join = () =>
      call(
        '/api/v1/vms/vm-gone/join',
        { ...pair('vm-gone'), method: 'POST', headers: { 'content-type': 'application/json' } },
        { pool_id: 'sealed', boot_id: 'b', join: { method: 'mtls' } },
      );
    expect((await call('/api/v1/whoami', pair('gone'))).status).toBe(200);
    expect((await join()).status).toBe(200);
    const revoked = await migctl(
      ...['certs', 'revoke', inCerts('gone.pem'), inCerts('vm-gone.pem')],
      ...['--server', `https://127.0.0.1:${controller.httpPort}`, '--ca-file', inCerts('ca.pem')],
      ...['--cert-file', inCerts('boss.pem'), '--key-file', inCerts('boss.key')],
    );
    expect([revoked.code, revoked.stderr]).toEqual([0, '']);
    expect((await call('/api/v1/whoami', pair('gone'))).status).toBe(401);
    expect((await join()).status).toBe(401);
    expect((await call('/api/v1/whoami', pair('boss'))).status).toBe(200);
    const { text } = await call('/api/v1/audit?limit=1000', pair('boss'));
    expect(text).toContain('certificate.revoke');
    expect(text).toMatch(/operator:boss \(cert:[0-9A-F]+\)/);
    expect(text).toMatch(/certificate [0-9A-F]+ is revoked/);
  }, 30_000);
});

describe('a MIGlet', () => {
  test('joins by its certificate, and holds its stream over TLS', async () => {
    const state = path.join(folder, 'vm-real');
    const miglet = run(MIGLET, [], {
      MIGLET_VM_ID: 'vm-real',
      MIGLET_POOL_ID: 'sealed',
      MIGLET_STATE_DIR: state,
      MIGLET_RUNNER_DIR: path.join(state, 'runner'),
      MIGLET_CONTROLLER_ENDPOINT: `https://localhost:${controller.httpPort}`,
      MIGLET_CONTROLLER_GRPC_ENDPOINT: `localhost:${controller.grpcPort}`,
      MIGLET_CONTROLLER_TLS_CA_FILE: inCerts('ca.pem'),
      MIGLET_CONTROLLER_TLS_CERT_FILE: inCerts('vm-real.pem'),
      MIGLET_CONTROLLER_TLS_KEY_FILE: inCerts('vm-real.key'),
      MIGLET_CONTROLLER_JOIN_METHOD: 'mtls',
    });
    const ann = { cert: pem('ann.pem'), key: pem('ann.key') };
    await until('it is connected', async () => {
      const { status, text } = await call('/api/v1/vms/vm-real', ann);
      return status === 200 && (JSON.parse(text) as { link: string }).link === 'connected';
    });
    expect(miglet.output()).toContain('"method":"mtls"');
    miglet.signal('SIGKILL');
    await miglet.finished;
  }, 30_000);

  test.each([
    ['is not there', undefined, /ENOENT/],
    ['is garbage', 'garbage', /holds no certificate/],
  ])(
    'whose ca_file %s does not start: one line names the key, the file and the remedy',
    async (what, content, reason) => {
      const caFile = path.join(folder, `bad-${what.length}.pem`);
      if (content !== undefined) await writeFile(caFile, content);
      const { code, stderr } = await run(MIGLET, [], {
        MIGLET_VM_ID: 'vm-bad',
        MIGLET_STATE_DIR: path.join(folder, 'vm-bad'),
        MIGLET_CONTROLLER_ENDPOINT: `https://localhost:${controller.httpPort}`,
        MIGLET_CONTROLLER_TLS_CA_FILE: caFile,
      }).finished;
      expect([code, stderr.trim().split('\n')]).toEqual([1, [expect.stringMatching(reason)]]);
      expect(stderr).toMatch(/^miglet: controller\.tls\.ca_file \S+bad-\d+\.pem: .*: copy the certificate/);
    },
    30_000,
  );
});

describe('a certificate that is renewed', () => {
  test(`is used by both ports at once, and of ${STREAMS} streams none is dropped; one that does not fit is not used`, async () => {
    const streams = Array.from({ length: STREAMS }, (_, index) => openStream(`vm-${index}`));
    await until('all are up', () => streams.every(({ isUp }) => isUp), 30_000);
    const before = await serialOf(controller.grpcPort);
    expect((await migctl('certs', 'renew', inCerts('localhost.pem'))).code).toBe(0);
    for (const port of [controller.grpcPort, controller.httpPort])
      await until('the new one is used', async () => (await serialOf(port)) !== before, 10_000);
    const renewed = await serialOf(controller.grpcPort);

    await writeFile(inCerts('localhost.key'), pem('ann.key'));
    await until('it is told', async () => {
      const { text } = await call('/readyz');
      return (JSON.parse(text) as { warnings: string[] }).warnings.some((warning) =>
        warning.includes('cannot be used'),
      );
    });
    expect(await serialOf(controller.grpcPort)).toBe(renewed);
    expect((await migctl('certs', 'renew', inCerts('localhost.pem'))).code).toBe(0);
    await until(
      'the next one is used',
      async () => (await serialOf(controller.httpPort)) !== renewed,
      10_000,
    );

    expect(streams.filter(({ ended }) => ended !== undefined)).toEqual([]);
    const { text } = await call('/health');
    expect(JSON.parse(text)).toMatchObject({ total_connections: STREAMS + 1 });
    for (const stream of streams) stream.close();
  }, 90_000);
});

describe('a controller that asks for no client certificates, as by default', () => {
  test('starts, and speaks TLS on both ports', async () => {
    const plain = await startController({
      config: controllerConfigSchema.parse({
        data_dir: path.join(folder, 'plain-data'),
        http: { port: 0 },
        grpc: { port: 0 },
        tls: { cert_file: inCerts('localhost.pem'), key_file: inCerts('localhost.key') },
      }),
      clock: systemClock,
      logger: silentLogger,
      random: Math.random,
      version: 'test',
    });
    for (const port of [plain.httpPort, plain.grpcPort]) {
      const offers = port === plain.grpcPort ? { ALPNProtocols: ['h2'] } : {};
      const socket = tls.connect({ host: '127.0.0.1', port, ca: pem('ca.pem'), ...offers });
      await once(socket, 'secureConnect');
      expect(socket.authorized).toBe(true);
      socket.destroy();
    }
    await plain.stop();
  }, 30_000);
});
