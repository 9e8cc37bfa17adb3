/** The MIGlet's files of TLS: renewed, replaced, damaged, while it runs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { askHttp } from '../ask-http.js';
import { TEST_CA, TEST_CERTIFICATE, TEST_KEY } from '../runner/install/tls.contract.js';
import { createLinkAgent, readLinkTls } from './link-tls.js';
import { openSession } from './session.js';

const { signal } = new AbortController();
let folder: string;
let server: Server;
let url: string;
/** The client certificates that connections had. */
let shown: (string | undefined)[];
beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'mig-link-tls-'));
  shown = [];
  server = createServer(
    { key: TEST_KEY, cert: TEST_CERTIFICATE, ca: TEST_CA, requestCert: true, rejectUnauthorized: false },
    (incoming, response) => {
      shown.push((incoming.socket as TLSSocket).getPeerX509Certificate()?.subject);
      // Every request is a connection of its own.
      response.writeHead(200, { connection: 'close' }).end('ok');
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});
const file = (name: string, content?: string): string => {
  const at = path.join(folder, name);
  if (content !== undefined) writeFileSync(at, content);
  return at;
};
const none = { ca_file: '', cert_file: '', key_file: '' };

describe('HTTP to the controller', () => {
  it('uses the authorities, the certificate and the key that the files hold when it connects', async () => {
    // As before a change of the authority that this VM has not heard of.
    const config = { ...none, ca_file: file('ca.pem', TEST_CERTIFICATE) };
    const agent = createLinkAgent({ endpoint: url, tls: config });
    const get = async (): Promise<number> => (await askHttp(url, { signal, agent })).statusCode;
    await expect(get()).rejects.toThrow(/certificate/);
    file('ca.pem', TEST_CERTIFICATE.trimEnd() + TEST_CA);
    expect(await get()).toBe(200);
    file('ca.pem', TEST_CA);
    expect(await get()).toBe(200);
    file('ca.pem', TEST_CERTIFICATE);
    await expect(get()).rejects.toThrow(/certificate/);
    agent.destroy();
  });

  it('shows a certificate that was put there since', async () => {
    const config = {
      ca_file: file('ca.pem', TEST_CA),
      cert_file: file('vm.pem'),
      key_file: file('vm.key'),
    };
    const agent = createLinkAgent({ endpoint: url, tls: config });
    const get = () => askHttp(url, { signal, agent });
    await expect(get()).rejects.toThrow(
      /controller\.tls\.cert_file \S*vm\.pem: .*ENOENT.*migctl certs issue --vm/,
    );
    file('vm.pem', TEST_CERTIFICATE);
    file('vm.key', TEST_KEY);
    await get();
    expect(shown).toEqual(['CN=localhost']);
    agent.destroy();
  });
});

describe('a file that cannot be used', () => {
  it.each([
    ['is not there', undefined, /ENOENT/],
    ['is garbage', 'garbage', /holds no certificate/],
    ['is empty', '', /holds no certificate/],
    ['is half written', TEST_CA.slice(0, 100), /cut off/],
  ])('because it %s is named by its key and its path, with a remedy', (_what, content, reason) => {
    const config = { ...none, ca_file: file('ca.pem', content) };
    expect(() => readLinkTls(config)).toThrow(reason);
    expect(() => readLinkTls(config)).toThrow(`controller.tls.ca_file ${file('ca.pem')}: `);
    expect(() => readLinkTls(config)).toThrow(/: copy the certificate of the controller's authority/);
  });

  it('is also a key of another certificate, or one of the two without the other', () => {
    const pair = { ...none, cert_file: file('vm.pem', TEST_CA), key_file: file('vm.key', TEST_KEY) };
    expect(() => readLinkTls(pair)).toThrow(
      /tls\.key_file \S+: it is not the key of the certificate in \S*vm\.pem/,
    );
    expect(() => readLinkTls({ ...pair, key_file: '' })).toThrow(/tls\.key_file \(empty\)/);
    expect(() => readLinkTls({ ...pair, cert_file: '' })).toThrow(/tls\.cert_file \(empty\)/);
  });

  it('ends the session that is opened, with the reason, and nothing else: the next one reads it again', async () => {
    const config = { ...none, ca_file: file('ca.pem') };
    const hello = { vmId: 'vm-1', poolId: 'p', orgId: '', version: '1', bootId: 'b', state: '', labels: [] };
    const reason = await new Promise<string>((resolve) => {
      const session = openSession(
        {
          endpoint: '127.0.0.1:1',
          keepaliveMs: 1_000,
          keepaliveTimeoutMs: 1_000,
          readTls: () => readLinkTls(config),
        },
        hello,
        { onUp: () => undefined, onMessage: () => undefined, onDown: resolve },
      );
      expect(session.send({} as never)).toBe(false);
    });
    expect(reason).toContain(`controller.tls.ca_file ${file('ca.pem')}`);
  });
});
