/** Every message of the domain, as fast-check makes it, in the form that survives the wire. */
import fc from 'fast-check';
import type { Parameters } from '../domain/command.js';
import {
  DEREGISTER_OUTCOMES,
  type ControllerMessage,
  type HeartbeatMessage,
  type MigletMessage,
} from '../domain/messages.js';
import type { JobStatus, RunnerStatus, VmHealth } from '../domain/vm.js';

export const text = fc.string({ maxLength: 20 });
/** A key of a map. `__proto__` is none that a JavaScript peer can keep. */
export const key = text.filter((name) => name !== '__proto__');
export const texts = fc.array(text, { maxLength: 4 });
export const dictionary = fc.dictionary(key, text, { maxKeys: 4, noNullPrototype: true });
export const count = fc.nat(Number.MAX_SAFE_INTEGER);
export const instant = fc.integer({ min: 1, max: 253_402_300_799_999 });
/** Times that travel as unix seconds. */
export const second = fc.nat(253_402_300_799).map((seconds) => seconds * 1_000);
const decimal = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);

export const parameters: fc.Arbitrary<Parameters> = fc
  .tuple(
    fc.dictionary(key, fc.oneof(text, fc.maxSafeInteger(), fc.boolean()), {
      maxKeys: 5,
      noNullPrototype: true,
    }),
    fc.array(text, { minLength: 1, maxLength: 3 }),
    fc.boolean(),
  )
  .map(([named, labels, withLabels]) => (withLabels ? { ...named, labels } : named));

const identity = { vmId: text, poolId: text, orgId: text };

export const health: fc.Arbitrary<VmHealth> = fc.record({
  cpuUsagePercent: decimal,
  memoryUsagePercent: decimal,
  diskUsagePercent: decimal,
  memoryTotalBytes: count,
  memoryUsedBytes: count,
  diskTotalBytes: count,
  diskUsedBytes: count,
});

export const runner: fc.Arbitrary<RunnerStatus> = fc.record({
  state: fc.constantFrom('idle', 'running', 'offline'),
  configured: fc.boolean(),
  name: text,
  labels: texts,
});

export const job: fc.Arbitrary<JobStatus> = fc.record({
  jobId: fc.string({ minLength: 1, maxLength: 20 }),
  runId: text,
  name: text,
  repository: text,
  branch: text,
  commit: text,
  status: fc.constantFrom('running', 'completed', 'failed'),
  startedAt: second,
});

const error = fc.record({ code: text, message: text, details: dictionary });

export const heartbeatMessage: fc.Arbitrary<HeartbeatMessage> = fc.record({
  ...identity,
  bootId: text,
  at: second,
  intervalMs: count,
  report: fc.record({
    state: text,
    stateReason: text,
    health: fc.option(health, { nil: undefined }),
    runner: fc.option(runner, { nil: undefined }),
    currentJob: fc.option(job, { nil: undefined }),
  }),
});

export const migletMessage: fc.Arbitrary<MigletMessage> = fc.oneof(
  fc.record({
    kind: fc.constant('connect' as const),
    request: fc.record({ ...identity, version: text, bootId: text, state: text, labels: texts }),
  }),
  fc.record({
    kind: fc.constant('ack' as const),
    ack: fc.record({
      commandId: text,
      phase: fc.constantFrom('received' as const, 'completed' as const),
      success: fc.boolean(),
      message: text,
      result: dictionary,
    }),
  }),
  fc.record({
    kind: fc.constant('event' as const),
    event: fc.record({
      ...identity,
      type: text,
      data: dictionary,
      at: instant,
      bootId: text,
      sequence: count,
      previousSequence: count,
    }),
  }),
  fc.record({ kind: fc.constant('heartbeat' as const), heartbeat: heartbeatMessage }),
  fc.record({ kind: fc.constant('error' as const), error }),
  fc.record({ kind: fc.constant('deregister' as const), requestId: text, runnerName: text }),
);

export const controllerMessage: fc.Arbitrary<ControllerMessage> = fc.oneof(
  fc.record({
    kind: fc.constant('connectAck' as const),
    ack: fc.record({
      accepted: fc.boolean(),
      message: text,
      serverVersion: text,
      sessionId: text,
      lastEventSequence: count,
      heartbeatIntervalMs: count,
      announceAgain: fc.boolean(),
      reconnectWindowMs: count,
    }),
  }),
  fc.record({
    kind: fc.constant('command' as const),
    command: fc.record({
      id: text,
      type: text,
      parameters,
      createdAt: second,
      startWithinMs: fc.maxSafeInteger(),
      attempt: fc.nat(0x7fff_ffff),
    }),
  }),
  fc.record({ kind: fc.constant('error' as const), error }),
  fc.record({ kind: fc.constant('eventAck' as const), bootId: text, sequence: count }),
  fc.record({
    kind: fc.constant('deregisterResult' as const),
    result: fc.record({ requestId: text, outcome: fc.constantFrom(...DEREGISTER_OUTCOMES), message: text }),
  }),
  fc.record({ kind: fc.constant('resultAck' as const), commandId: text }),
  fc.record({ kind: fc.constant('heartbeatPolicy' as const), intervalMs: count }),
  fc.record({ kind: fc.constant('reconnect' as const), afterMs: count, reason: text }),
  fc.record({ kind: fc.constant('sessionToken' as const), token: text, expiresInMs: count }),
);
