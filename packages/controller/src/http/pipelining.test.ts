import http, { type Server } from 'node:http';
import net from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { boundPipelining } from './pipelining.js';

let server: Server;
let cut = 0;
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** A server that answers when it is told to; a connection that sends so many requests at once. */
async function ask(count: number) {
  cut = 0;
  const answers: (() => void)[] = [];
  server = http.createServer(
    boundPipelining(
      (_, response) => void answers.push(() => response.end('done')),
      () => (cut += 1),
    ),
  );
  let seen = 0;
  server.on('request', () => (seen += 1));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  socket.on('error', () => undefined);
  let received = '';
  socket.on('data', (chunk) => (received += String(chunk)));
  socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(count));
  return { socket, answers, seen: () => seen, answered: () => received.split('200 OK').length - 1 };
}

describe('a connection', () => {
  it('that asks on and on without waiting for answers is cut; a few are answered', async () => {
    const many = await ask(1_000);
    await until('it is cut', () => many.socket.closed);
    expect(cut).toBe(1);
    expect(many.answers.length).toBeLessThanOrEqual(4);
    expect(many.seen()).toBe(5);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));

    const few = await ask(4);
    await until('they are taken', () => few.answers.length === 4);
    for (const answer of few.answers) answer();
    await until('they are answered', () => few.answered() === 4);
    expect(cut).toBe(0);
    few.socket.destroy();
  });
});
