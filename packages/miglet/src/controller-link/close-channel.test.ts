import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { openSession } from './session.js';

const HELLO = {
  vmId: 'vm-1',
  poolId: 'pool-a',
  orgId: '',
  version: '0.1.0',
  bootId: 'boot-1',
  state: 'registering.connecting',
  labels: [],
};

let listener: net.Server | undefined;
afterEach(() => new Promise((resolve) => listener?.close(() => resolve(undefined)) ?? resolve(undefined)));

describe('a session that could not be opened', () => {
  it('leaves no connection behind, and none is made for it later', async () => {
    let refuses = true;
    let accepted = 0;
    listener = net.createServer((socket) => {
      socket.on('error', () => undefined);
      if (refuses) socket.resetAndDestroy();
      else accepted += 1;
    });
    await new Promise<void>((resolve) => listener?.listen(0, '127.0.0.1', resolve));
    const { port } = listener.address() as net.AddressInfo;
    const downs: string[] = [];
    for (let attempt = 0; attempt < 3; attempt += 1) {
      openSession({ endpoint: `127.0.0.1:${port}`, keepaliveMs: 30_000, keepaliveTimeoutMs: 10_000 }, HELLO, {
        onUp: () => undefined,
        onMessage: () => undefined,
        onDown: (reason) => downs.push(reason),
      });
    }
    await until('all have failed', () => downs.length === 3);
    refuses = false;
    // The time in which grpc-js tries again by itself: 1 s, give or take a fifth.
    await pause(1_500);
    expect(accepted).toBe(0);
  });
});
