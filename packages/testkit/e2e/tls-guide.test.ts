/** docs/tls.md, as it stands there: certificates, a VM by token, a VM by certificate, an operator, and another authority. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { createHosts, readGuide, type Block, type Hosts, type Service } from './guide.js';
import { ROOT } from './system.js';

let folder: string;
let hosts: Hosts;
let httpPort: number;
const services = new Map<string, Service>();

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-guide-'));
  httpPort = await freePort();
  const grpcPort = await freePort();
  hosts = createHosts(
    folder,
    {
      '--host 10.0.0.5': '--host 127.0.0.1',
      'mig.example': 'localhost',
      ':8080': `:${httpPort}`,
      ':50051': `:${grpcPort}`,
      '0.0.0.0': '127.0.0.1',
    },
    {
      CONTROLLER_HTTP_PORT: String(httpPort),
      CONTROLLER_GRPC_PORT: String(grpcPort),
      CONTROLLER_TLS_RELOAD: '100ms',
      CONTROLLER_SHUTDOWN_DEADLINE: '2s',
      MIGLET_CONTROLLER_RECONNECT_FIRST: '100ms',
      MIGLET_CONTROLLER_RECONNECT_MAX: '500ms',
      MIGLET_REGISTRATION_RETRY_FIRST: '100ms',
    },
  );
});
afterAll(async () => {
  await Promise.all([...services.values()].map((service) => service.stop()));
  rmSync(folder, { recursive: true, force: true });
});

const file = (host: string, name: string): Buffer => readFileSync(path.join(hosts.directory(host), name));

async function startService(block: Block): Promise<void> {
  const service = hosts.start(block);
  services.set(block.host, service);
  const sign = block.host === 'controller' ? '"event":"listening"' : '"event":"joined"';
  await until(`${block.host} is up`, () => service.output().includes(sign), 30_000);
}

const vmsAsSeen = async (): Promise<string> =>
  (await hosts.run({ host: 'controller', text: 'migctl get vms' })).output;

const connected = (vmId: string): Promise<unknown> =>
  until(
    `${vmId} is connected`,
    async () => new RegExp(`${vmId}\\b.*\\bconnected`).test(await vmsAsSeen()),
    30_000,
  );

/** Status of whoami with this certificate; the error's code if there is no answer. */
const whoami = (ca: Buffer, cert: Buffer, key: Buffer): Promise<number | string> =>
  new Promise((resolve) => {
    https
      .get(
        { host: 'localhost', port: httpPort, path: '/api/v1/whoami', agent: false, ca, cert, key },
        (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        },
      )
      .on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });

test('docs/tls.md leads from nothing to a fleet with TLS, and through a change of its authority without a restart', async () => {
  const blocks = readGuide(path.join(ROOT, 'docs', 'tls.md'));
  expect(blocks.length).toBeGreaterThan(12);
  let outputs = '';
  let stolen: readonly [Buffer, Buffer] | undefined;
  for (const block of blocks) {
    if (block.kind === 'file') hosts.writeFile(block);
    else if (block.text.startsWith('node ')) {
      await startService(block);
      if (block.host !== 'controller') await connected(block.host);
    } else {
      if (block.text.includes('rotate switch'))
        stolen = [file('ann-laptop', 'mig/ann.pem'), file('ann-laptop', 'mig/ann.key')];
      const { code, output } = await hosts.run(block);
      expect({ text: block.text, code, output }).toMatchObject({ code: 0 });
      outputs += output;
    }
  }
  expect(services.get('controller')?.output()).toMatch(
    new RegExp(
      `migctl login --server https://localhost:${httpPort} --ca-file certs/ca.pem --token-file \\S+admin-token`,
    ),
  );
  expect(outputs).toMatch(/name +ann\nby +certificate\nroles +operator of every pool/);
  // Nothing was restarted, and nothing has lost its stream.
  for (const vmId of ['runner-1', 'runner-2']) {
    await connected(vmId);
    expect(services.get(vmId)?.output()).not.toContain('"event":"disconnected"');
  }
  const [cert, key] = stolen ?? [Buffer.alloc(0), Buffer.alloc(0)];
  await until(
    'what the old authority signed counts for nothing',
    async () => (await whoami(file('ann-laptop', 'mig/ca.pem'), cert, key)) === 401,
    10_000,
  );
  const ann = [file('ann-laptop', 'mig/ann.pem'), file('ann-laptop', 'mig/ann.key')] as const;
  expect(await whoami(file('ann-laptop', 'mig/ca.pem'), ...ann)).toBe(200);

  // The MIGlets, which have run since before it, join again: with the new authority, and with the new certificate.
  await services.get('controller')?.stop();
  rmSync(path.join(hosts.directory('controller'), 'controller_data', '.auth', 'session-key.json'));
  const [start] = blocks.filter(({ host, text }) => host === 'controller' && text.startsWith('node '));
  await startService(start as Block);
  for (const vmId of ['runner-1', 'runner-2']) {
    await connected(vmId);
    expect(services.get(vmId)?.output().split('"event":"joined"')).toHaveLength(3);
  }
}, 240_000);
