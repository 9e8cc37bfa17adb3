import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { createEventJournal } from '../journal/event-journal.js';
import { announce } from './announcer.js';

describe('announce', () => {
  it('a MIGlet whose runner told something after vm_started still learns where the stream is', async () => {
    const told: string[] = [];
    const controller = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        const { type } = JSON.parse(body) as { type: string };
        told.push(type);
        response.setHeader('connection', 'close');
        response.end(JSON.stringify(type === 'vm_started' ? { grpc_endpoint: '127.0.0.1:7777' } : {}));
      });
    });
    await new Promise<void>((resolve) => controller.listen(0, '127.0.0.1', resolve));
    try {
      const journal = createEventJournal(undefined, []);
      for (const type of ['vm_started', 'job_completed', 'draining']) journal.append(type, {}, 0);
      const { port } = controller.address() as AddressInfo;
      const outcome = await announce(
        {
          identity: { vmId: 'vm-1', poolId: 'p', orgId: 'o' },
          bootId: 'b',
          endpoint: `http://127.0.0.1:${port}`,
          journal,
        },
        new AbortController().signal,
      );
      expect(told).toEqual(['vm_started', 'job_completed', 'draining']);
      expect(outcome).toMatchObject({ kind: 'ok', value: { grpcEndpoint: '127.0.0.1:7777' } });
    } finally {
      await new Promise((resolve) => controller.close(resolve));
    }
  });
});
