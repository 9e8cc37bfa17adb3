/** Requests by way of a proxy: a real one, that tunnels. */
import { afterEach, describe, expect, it } from '@jest/globals';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { createTestGitHub, type TestGitHub } from '../test-github.contract.js';
import { createProxiedFetch, proxySettingsOf } from './fetch.js';

const ACME = { kind: 'org', org: 'acme' } as const;

let close: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of close) await end();
  close = [];
});

async function startProxy() {
  const asked: string[] = [];
  const sockets = new Set<net.Socket>();
  const keep = (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
  };
  const server = http.createServer();
  server.on('connect', (request, socket: net.Socket) => {
    asked.push(request.url ?? '');
    const [host = '', port = ''] = (request.url ?? '').split(':');
    const onward = net.connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.pipe(socket);
      socket.pipe(onward);
    });
    for (const each of [socket, onward]) keep(each);
  });
  server.on('connection', keep);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  close.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function startGitHub(env: Record<string, string>): Promise<TestGitHub> {
  const test = await createTestGitHub({ fetch: createProxiedFetch(proxySettingsOf(env)) });
  close.unshift(() => test.dispose());
  return test;
}

describe('a proxy', () => {
  it('that the environment names is used, and asked for nothing but the way', async () => {
    const proxy = await startProxy();
    const test = await startGitHub({ HTTP_PROXY: proxy.url });
    await expect(test.github.runners.list(ACME, 'listing')).resolves.toEqual([]);
    expect(proxy.asked).toEqual([`127.0.0.1:${test.standIn.port}`]);
    expect(test.standIn.requests()).toHaveLength(1);
  });

  it('is not used for what NO_PROXY names', async () => {
    const proxy = await startProxy();
    const test = await startGitHub({ http_proxy: proxy.url, no_proxy: '127.0.0.1' });
    await expect(test.github.runners.list(ACME, 'listing')).resolves.toEqual([]);
    expect(proxy.asked).toEqual([]);
  });

  it('that is away is why GitHub is not reached', async () => {
    const test = await startGitHub({ http_proxy: 'http://127.0.0.1:1' });
    await expect(test.github.runners.list(ACME, 'listing')).rejects.toMatchObject({
      failure: 'unreachable',
      message: expect.stringContaining('ECONNREFUSED') as unknown,
    });
  });

  it('is not there by default', () => {
    expect(createProxiedFetch(proxySettingsOf({ NO_PROXY: 'x' }))).toBeUndefined();
  });
});
