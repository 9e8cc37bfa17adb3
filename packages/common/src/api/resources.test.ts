import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { COMMAND_STATES } from '../domain/command-state.js';
import { COMMAND_TYPES } from '../domain/command-types.js';
import type { CommandRecord } from '../domain/command.js';
import type { StoredEvent } from '../domain/event.js';
import { PLATFORM_ARCHITECTURES, PLATFORM_SYSTEMS, type VmRecord } from '../domain/vm.js';
import {
  count,
  dictionary,
  health,
  instant,
  job,
  key,
  parameters,
  runner,
  text,
  texts,
} from '../wire/arbitraries.contract.js';
import {
  commandRecordSchema,
  commandSchema,
  fromCommandRecordResource,
  toCommandRecordResource,
  toCommandResource,
} from './command-resource.js';
import {
  eventSchema,
  fromEventResource,
  heartbeatSchema,
  toEventResource,
  toHeartbeatResource,
} from './history-resource.js';
import { problemType } from './problem.js';
import {
  fromVmRecordResource,
  toVmRecordResource,
  toVmResource,
  vmRecordSchema,
  vmSchema,
} from './vm-resource.js';

const id = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,30}$/);
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

const vm: fc.Arbitrary<VmRecord> = fc.record({
  vmId: id,
  poolId: text,
  orgId: text,
  bootId: text,
  version: text,
  state: text,
  stateReason: text,
  health: maybe(health),
  runner: maybe(runner),
  currentJob: maybe(job),
  labels: texts,
  firstSeenAt: instant,
  lastSeenAt: instant,
  lastHeartbeatAt: maybe(instant),
  platform: maybe(
    fc.record({
      os: fc.constantFrom(...PLATFORM_SYSTEMS),
      architecture: fc.constantFrom(...PLATFORM_ARCHITECTURES),
    }),
  ),
  outcome: maybe(text),
  cordon: maybe(fc.record({ reason: text, by: text, at: instant })),
  loss: maybe(fc.record({ at: instant, reported: fc.boolean() })),
  fencedRunner: maybe(text),
  runnerNames: texts,
});

const command: fc.Arbitrary<CommandRecord> = fc.record({
  id,
  vmId: id,
  type: fc.constantFrom(...COMMAND_TYPES),
  parameters,
  state: fc.constantFrom(...COMMAND_STATES),
  sequence: count,
  attempts: fc.nat(),
  createdAt: instant,
  createdBy: text,
  forBoot: maybe(text),
  supersededBy: maybe(id),
  deliveryDeadlineAt: instant,
  executionDeadlineAt: instant,
  idempotencyKey: maybe(key),
  sentAt: maybe(instant),
  sentToBoot: maybe(text),
  receivedAt: maybe(instant),
  finishedAt: maybe(instant),
  message: maybe(text),
  result: maybe(dictionary),
});

const event: fc.Arbitrary<StoredEvent> = fc.record({
  id: text,
  type: text,
  vmId: id,
  poolId: text,
  orgId: text,
  bootId: text,
  sequence: count,
  data: dictionary,
  at: instant,
  receivedAt: instant,
  via: fc.constantFrom('http', 'grpc', 'controller'),
});

/** Through the text of a file and its schema. */
const viaFile = <T>(schema: { parse(value: unknown): T }, resource: T): T =>
  schema.parse(JSON.parse(JSON.stringify(resource)));

describe('records survive their file', () => {
  it('every VM', () => {
    fc.assert(
      fc.property(vm, (record) => {
        expect(fromVmRecordResource(viaFile(vmRecordSchema, toVmRecordResource(record)))).toEqual(record);
      }),
      { seed: 10 },
    );
  });

  it('every command', () => {
    fc.assert(
      fc.property(command, (record) => {
        expect(
          fromCommandRecordResource(viaFile(commandRecordSchema, toCommandRecordResource(record))),
        ).toEqual(record);
      }),
      { seed: 11 },
    );
  });

  it('every event', () => {
    fc.assert(
      fc.property(event, (stored) => {
        expect(fromEventResource(viaFile(eventSchema, toEventResource(stored)))).toEqual(stored);
      }),
      { seed: 12 },
    );
  });
});

describe('what the operator API shows', () => {
  it('a VM has link, liveness and its last event besides its record, as its schema says', () => {
    fc.assert(
      fc.property(vm, maybe(text), (record, lastEventId) => {
        const resource = toVmResource(record, {
          link: 'connected',
          liveness: 'alive',
          eligible: true,
          drainId: undefined,
          lastEventId,
        });
        expect(viaFile(vmSchema, resource)).toEqual(resource);
      }),
      { seed: 13 },
    );
  });

  it('a command shows neither its idempotency key nor other things of the controller alone', () => {
    fc.assert(
      fc.property(command, (record) => {
        const resource = toCommandResource(record);
        expect(commandSchema.strict().parse(resource)).toEqual(resource);
      }),
      { seed: 14 },
    );
  });

  it('a heartbeat fits its schema, whatever the report lacks', () => {
    fc.assert(
      fc.property(
        vm,
        fc.record({
          state: text,
          stateReason: text,
          health: maybe(health),
          runner: maybe(runner),
          currentJob: maybe(job),
        }),
        instant,
        (owner, report, at) => {
          const resource = toHeartbeatResource('1', owner, report, at);
          expect(viaFile(heartbeatSchema, resource)).toEqual(resource);
        },
      ),
      { seed: 15 },
    );
  });

  it('times are RFC 3339 in UTC with milliseconds; the type of a problem is a URN', () => {
    const [record] = fc.sample(command, { seed: 16, numRuns: 1 });
    expect(record && toCommandResource({ ...record, createdAt: 0 }).created_at).toBe(
      '1970-01-01T00:00:00.000Z',
    );
    expect(problemType('unknown-vm')).toBe('urn:mig:problem:unknown-vm');
  });
});
