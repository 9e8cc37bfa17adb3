import { describe, expect, it } from '@jest/globals';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import type { AgentMessage, TaskRequest, TaskResponse } from '../domain/task-messages.js';
import { dictionary, text, texts } from './arbitraries.contract.js';
import { decodeTaskRequest, encodeTaskRequest } from './task-request.js';
import { decodeTaskResponse, encodeTaskResponse } from './task-response.js';
import { taskServiceDefinition } from './task-service.js';

const small = fc.nat(0x7fff_ffff);
const operation = fc.oneof(
  fc.record({
    kind: fc.constant('run' as const),
    image: text,
    name: text,
    command: texts,
    env: texts,
    volumes: texts,
    ports: texts,
    workdir: text,
    user: text,
    network: text,
    labels: dictionary,
    detach: fc.boolean(),
    rm: fc.boolean(),
    pull: fc.boolean(),
    memory: fc.nat(Number.MAX_SAFE_INTEGER),
    cpus: fc.integer({ min: 0, max: 64 }),
  }),
  fc.record({ kind: fc.constant('start' as const), container: text }),
  fc.record({ kind: fc.constant('stop' as const), container: text, timeout: small }),
  fc.record({
    kind: fc.constant('logs' as const),
    container: text,
    follow: fc.boolean(),
    tail: small,
    timestamps: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('pull' as const), image: text }),
  fc.record({
    kind: fc.constant('remove' as const),
    container: text,
    force: fc.boolean(),
    volumes: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('list' as const), all: fc.boolean() }),
);
const work = fc.oneof(
  fc.record({ kind: fc.constant('shell' as const), cmd: text, env: texts, workingDir: text }),
  fc.record({ kind: fc.constant('docker' as const), operation }),
);
const taskRequest: fc.Arbitrary<TaskRequest> = fc.oneof(
  fc.record({
    kind: fc.constant('start' as const),
    agentId: text,
    taskId: text,
    work,
    timeoutMs: fc.maxSafeNat(),
    graceMs: fc.maxSafeNat(),
    resumeMs: fc.maxSafeNat(),
    rawOutput: fc.boolean(),
    windowBytes: fc.maxSafeNat(),
  }),
  fc.record({ kind: fc.constant('cancel' as const), agentId: text, taskId: text, reason: text }),
  fc.record({
    kind: fc.constant('ack' as const),
    agentId: text,
    taskId: text,
    sequence: fc.maxSafeNat(),
  }),
);

/** In the form that survives: one chunk of each stream, stdout first. */
const chunks = fc
  .tuple(fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ maxLength: 12 }))
  .map(([stdout, stderr]) =>
    [
      { stream: 'stdout' as const, data: stdout },
      { stream: 'stderr' as const, data: stderr },
    ].filter(({ data }) => data.length > 0),
  );
const base = {
  kind: fc.constant('response' as const),
  agentId: text,
  taskId: text,
  status: fc.constantFrom('unknown' as const, 'completed', 'failure', 'in_progress'),
  isFinal: fc.boolean(),
  cancelled: fc.boolean(),
  timedOut: fc.boolean(),
  sequence: fc.maxSafeNat(),
  message: text,
};
const nothing = {
  chunks: fc.constant([]),
  exitCode: fc.constant(0),
  signal: fc.constant(''),
  containerId: fc.constant(''),
  containers: fc.constant([]),
};
const container = fc.record({
  id: text,
  names: texts,
  image: text,
  state: text,
  status: text,
  created: fc.maxSafeNat(),
});
const taskResponse: fc.Arbitrary<TaskResponse> = fc.oneof(
  fc.record({
    ...base,
    ...nothing,
    about: fc.constant('shell' as const),
    chunks,
    exitCode: small,
    signal: text,
  }),
  fc.record({
    ...base,
    ...nothing,
    about: fc.constant('docker' as const),
    chunks,
    exitCode: small,
    containerId: text,
    containers: fc.array(container, { maxLength: 2 }),
  }),
  fc.record({ ...base, ...nothing, about: fc.constant('none' as const) }),
);

const bytes = (message: AgentMessage) =>
  message.kind === 'malformed'
    ? message
    : {
        ...message,
        chunks: message.chunks.map(({ stream, data }) => ({
          stream,
          data: Buffer.from(data).toString('hex'),
        })),
      };

describe('tasks on the wire', () => {
  it('every request survives, and needs no field of ours to be understood', () => {
    fc.assert(
      fc.property(taskRequest, (request) => {
        expect(decodeTaskRequest(encodeTaskRequest(request))).toEqual(request);
      }),
      { seed: 8, numRuns: 500 },
    );
  });

  it('every response survives, byte by byte, also where its output is no valid UTF-8', () => {
    fc.assert(
      fc.property(taskResponse, (response) => {
        expect(bytes(decodeTaskResponse(encodeTaskResponse(response)))).toEqual(bytes(response));
      }),
      { seed: 9, numRuns: 500 },
    );
  });

  it('the numbers are those of the contract: a request by hand is understood', () => {
    const writer = new BinaryWriter();
    writer.tag(1, WireType.LengthDelimited).string('agent-1');
    writer.tag(2, WireType.LengthDelimited).string('task-1');
    writer.tag(3, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string('ls');
    writer.tag(2, WireType.LengthDelimited).string('A=b');
    writer.tag(3, WireType.LengthDelimited).string('/tmp');
    writer.join();
    expect(decodeTaskRequest(writer.finish())).toMatchObject({
      kind: 'start',
      agentId: 'agent-1',
      taskId: 'task-1',
      work: { kind: 'shell', cmd: 'ls', env: ['A=b'], workingDir: '/tmp' },
      timeoutMs: 0,
      rawOutput: false,
    });
  });

  it('the numbers are those of the contract: a response by hand is understood', () => {
    const writer = new BinaryWriter();
    writer.tag(1, WireType.LengthDelimited).string('agent-1');
    writer.tag(2, WireType.LengthDelimited).string('task-1');
    writer.tag(3, WireType.Varint).int32(2);
    writer.tag(4, WireType.Varint).bool(true);
    writer.tag(5, WireType.Varint).bool(true);
    writer.tag(6, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string('ä');
    writer.tag(3, WireType.Varint).int32(7);
    writer.join();
    expect(decodeTaskResponse(writer.finish())).toMatchObject({
      taskId: 'task-1',
      status: 'failure',
      isFinal: true,
      cancelled: true,
      about: 'shell',
      exitCode: 7,
      chunks: [{ stream: 'stdout', data: Buffer.from('ä') }],
    });
  });

  it('what cannot be decoded is a message, and is never sent on', () => {
    const torn = new Uint8Array([0x0a, 0xff]);
    expect(decodeTaskRequest(torn).kind).toBe('malformed');
    expect(decodeTaskResponse(torn).kind).toBe('malformed');
    expect(() => encodeTaskRequest({ kind: 'malformed', reason: 'x' })).toThrow();
    expect(() => encodeTaskResponse({ kind: 'malformed', reason: 'x' })).toThrow();
    expect(decodeTaskRequest(new Uint8Array(0)).kind).toBe('unknown');
  });

  it('the service is called as in the contract', () => {
    expect(taskServiceDefinition.streamTasks.path).toBe('/miglet.tasks.TaskService/StreamTasks');
  });
});
