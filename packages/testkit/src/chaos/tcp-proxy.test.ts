/** Every fault of the proxy, between a real client and a real server. */
import net from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { until } from '../github/until.js';
import { createTcpProxy, type TcpProxy } from './tcp-proxy.js';

interface End {
  readonly socket: net.Socket;
  received: string;
  /** `open`, `ended` (FIN), `reset` (RST). */
  state: string;
}

const open: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

function watch(socket: net.Socket): End {
  const end: End = { socket, received: '', state: 'open' };
  socket.on('data', (chunk) => (end.received += chunk.toString()));
  socket.on('end', () => (end.state = 'ended'));
  socket.on('error', () => (end.state = 'reset'));
  open.push(() => void socket.destroy());
  return end;
}

async function setUp(): Promise<{ proxy: TcpProxy; connect: () => Promise<{ client: End; server: End }> }> {
  const accepted: End[] = [];
  const listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
    accepted.push(watch(socket)),
  );
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  open.push(() => void listener.close());
  const proxy = await createTcpProxy({ targetPort: (listener.address() as net.AddressInfo).port });
  open.push(() => proxy.close());
  return {
    proxy,
    async connect() {
      const known = accepted.length;
      const client = watch(
        net.connect({ host: '127.0.0.1', port: proxy.port, allowHalfOpen: true, noDelay: true }),
      );
      const server = await until('the server has the connection', () => accepted[known]);
      return { client, server };
    },
  };
}

describe('a network that works', () => {
  test('bytes pass both ways, and an end passes as an end', async () => {
    const { connect } = await setUp();
    const { client, server } = await connect();
    client.socket.write('ping');
    await until('the server has it', () => server.received === 'ping');
    server.socket.end('pong');
    await until('the client has the answer and the end', () => client.state === 'ended');
    expect(client.received).toBe('pong');
    client.socket.end('bye');
    await until('what comes after the other end passes too', () => server.state === 'ended');
    expect(server.received).toBe('pingbye');
  });

  test('when the server is reset, the client is reset', async () => {
    const { connect } = await setUp();
    const { client, server } = await connect();
    server.socket.resetAndDestroy();
    await until('the client knows', () => client.state === 'reset');
  });

  test('when nobody listens behind it, a connection is reset', async () => {
    const proxy = await createTcpProxy({ targetPort: 1 });
    open.push(() => proxy.close());
    const client = watch(net.connect({ host: '127.0.0.1', port: proxy.port }));
    await until('the client knows', () => client.state === 'reset');
  });
});

describe('a bad network', () => {
  test('latency: a byte comes later by so much, and none overtakes another', async () => {
    const { proxy, connect } = await setUp();
    const { client, server } = await connect();
    proxy.set({ latencyMs: 150, jitterMs: 50 }, 'up');
    const startedMs = performance.now();
    for (const letter of 'abcdefgh') client.socket.write(letter);
    await until('all have come', () => server.received.length === 8);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(149);
    expect(server.received).toBe('abcdefgh');
  });

  test('a narrow line: so many bytes take so long', async () => {
    const { proxy, connect } = await setUp();
    const { client, server } = await connect();
    proxy.set({ bytesPerSecond: 10_000 }, 'down');
    const startedMs = performance.now();
    server.socket.write('x'.repeat(3_000));
    await until('all have come', () => client.received.length === 3_000);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(299);
  });

  test('a black hole: nothing passes and nobody is told, and what was held passes when it is over', async () => {
    const { proxy, connect } = await setUp();
    const { client, server } = await connect();
    proxy.set({ blackHole: true }, 'up');
    client.socket.write('lost?');
    client.socket.end();
    server.socket.write('the other way works');
    await until('the other way works', () => client.received !== '');
    expect(server).toMatchObject({ received: '', state: 'open' });
    proxy.set({ blackHole: false });
    await until('it comes', () => server.state === 'ended');
    expect(server.received).toBe('lost?');
  });

  test('a cut: both ends are reset, and a new connection works', async () => {
    const { proxy, connect } = await setUp();
    const { client, server } = await connect();
    expect(proxy.cut()).toBe(1);
    await until('both know', () => client.state === 'reset' && server.state === 'reset');
    const again = await connect();
    again.client.socket.write('hello');
    await until('it works', () => again.server.received === 'hello');
  });

  test.each(['client', 'server'] as const)(
    'half open: the %s is reset, the other hears nothing, until the network heals',
    async (closed) => {
      const { proxy, connect } = await setUp();
      const ends = await connect();
      const other = closed === 'client' ? 'server' : 'client';
      expect(proxy.halfOpen(closed)).toBe(1);
      await until('the one knows', () => ends[closed].state === 'reset');
      ends[other].socket.write('anybody there?');
      const after = await connect();
      after.client.socket.write('meanwhile');
      await until('others work', () => after.server.received === 'meanwhile');
      expect(ends[other].state).toBe('open');
      proxy.clear();
      await until('the other knows at last', () => ends[other].state === 'reset');
      expect(after.client.state).toBe('open');
    },
  );

  test('a reset in the middle of a message: so many bytes pass, and then both ends are reset', async () => {
    const { proxy, connect } = await setUp();
    const { client, server } = await connect();
    proxy.resetAfter(5, 'up');
    client.socket.write('hello world');
    // Linux tells one that had not yet read what came before the RST of its end, not of the reset.
    await until('both know', () => client.state !== 'open' && server.state !== 'open');
    expect('hello'.startsWith(server.received)).toBe(true);
    proxy.clear();
    const again = await connect();
    again.client.socket.write('hello world');
    await until('it works again', () => again.server.received === 'hello world');
  });

  test('refused: a new connection is reset, an open one goes on', async () => {
    const { proxy, connect } = await setUp();
    const { client, server } = await connect();
    proxy.refuse(true);
    const refused = watch(net.connect({ host: '127.0.0.1', port: proxy.port }));
    await until('the new one knows', () => refused.state === 'reset');
    client.socket.write('still here');
    await until('the old one works', () => server.received === 'still here');
    expect(proxy.openCount).toBe(1);
  });
});
