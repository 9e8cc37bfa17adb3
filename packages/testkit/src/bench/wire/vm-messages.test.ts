import { describe, expect, it } from '@jest/globals';
import type { MigletMessage } from '@mig/common/domain/messages';
import { encodeControllerMessage } from '@mig/common/wire/controller-message';
import { decodeMigletMessage, encodeMigletMessage } from '@mig/common/wire/miglet-message';
import { readAnswer } from './answer.js';
import { createFrameReader, createMessageReader } from './frame-reader.js';
import { ackFrames, connectFrame, createHeartbeats, vmName } from './vm-messages.js';

function decodeFrames(frames: Buffer): MigletMessage[] {
  const messages: MigletMessage[] = [];
  const read = createMessageReader((bytes, start, end) =>
    messages.push(decodeMigletMessage(bytes.subarray(start, end))),
  );
  createFrameReader((_type, _flags, bytes, start, end) => read(bytes, start, end))(frames, frames.length);
  return messages;
}

describe('what a simulated VM says', () => {
  it('begins with its identity and a runner that waits for jobs; a pool has 5,000 VMs', () => {
    expect(decodeFrames(connectFrame(vmName(7, 'b1')))).toEqual([
      {
        kind: 'connect',
        request: expect.objectContaining({
          vmId: 'bench-000007',
          poolId: 'bench-0',
          bootId: 'b1-000007',
          state: 'ready.idle',
        }),
      },
    ]);
    expect(vmName(5_000, 'b1').poolId).toBe('bench-1');
  });

  it('is heartbeats of its own, no two alike, and behind them the question', () => {
    const heartbeats = createHeartbeats(15_000);
    const vm = vmName(3, 'b1');
    const batch = heartbeats.batch(vm, 4, { question: true });
    const messages = decodeFrames(batch);
    expect(messages.map(({ kind }) => kind)).toEqual([
      'heartbeat',
      'heartbeat',
      'heartbeat',
      'heartbeat',
      'deregister',
    ]);
    const loads = messages.flatMap((message) => {
      if (message.kind !== 'heartbeat') return [];
      expect(message.heartbeat).toMatchObject({
        ...vm,
        intervalMs: 15_000,
        report: { runner: { name: 'mig-k3x9f2-bench-000003' }, health: { memoryUsagePercent: 41.5 } },
      });
      return [message.heartbeat.report.health?.cpuUsagePercent];
    });
    expect(new Set(loads).size).toBe(4);
  });

  it('is that a command was taken, and carried out', () => {
    expect(decodeFrames(ackFrames('cmd-1'))).toMatchObject([
      { ack: { commandId: 'cmd-1', phase: 'received' } },
      { ack: { commandId: 'cmd-1', phase: 'completed', success: true } },
    ]);
  });
});

describe('what a server says', () => {
  const read = (message: Parameters<typeof encodeControllerMessage>[0]) => {
    const bytes = Buffer.from(encodeControllerMessage(message));
    return readAnswer('contract', bytes, 0, bytes.length);
  };

  it('is told apart: welcome, command, result recorded, question answered, and all the rest', () => {
    const ack = {
      accepted: true,
      message: '',
      serverVersion: '1',
      sessionId: 's',
      lastEventSequence: 0,
      heartbeatIntervalMs: 0,
      announceAgain: true,
      reconnectWindowMs: 0,
    };
    expect(read({ kind: 'connectAck', ack })).toEqual({
      kind: 'connected',
      accepted: true,
      announceAgain: true,
    });
    const command = { id: 'c', type: 't', parameters: {}, createdAt: 0, startWithinMs: 0, attempt: 1 };
    expect(read({ kind: 'command', command })).toEqual({ kind: 'command', commandId: 'c' });
    expect(read({ kind: 'resultAck', commandId: 'c' })).toEqual({ kind: 'recorded', commandId: 'c' });
    const result = { requestId: 'r', outcome: 'notManaged', message: '' } as const;
    expect(read({ kind: 'deregisterResult', result })).toEqual({ kind: 'question' });
    expect(read({ kind: 'sessionToken', token: 'next', expiresInMs: 1 })).toEqual({
      kind: 'session',
      token: 'next',
    });
    expect(read({ kind: 'eventAck', bootId: 'b', sequence: 1 })).toEqual({ kind: 'other' });
  });

  it('is, from an echo, what it was sent', () => {
    const bytes = Buffer.from(encodeMigletMessage({ kind: 'deregister', requestId: 'r', runnerName: 'n' }));
    expect(readAnswer('echo', bytes, 0, bytes.length)).toEqual({ kind: 'question' });
    const hello = connectFrame(vmName(1, 'b')).subarray(14);
    expect(readAnswer('echo', hello, 0, hello.length)).toMatchObject({ kind: 'connected' });
  });
});
