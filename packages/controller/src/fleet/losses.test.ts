/** What follows when a VM is lost, and when it comes back; over restarts of the controller, and with a full disk. */
import { describe, expect, it } from '@jest/globals';
import type { JobStatus } from '@mig/common/domain/vm';
import { createParts, settled, type Parts } from '../parts.contract.js';
import { createMemoryStore, type MemoryStore } from '../store/memory-store.contract.js';
import { vmEvent, vmRecord, vmReport } from '../store/samples.contract.js';
import { createEventLog } from './event-log.js';
import { createLosses } from './losses.js';

const TTL_MS = 90_000;
const JOB: JobStatus = {
  jobId: '8431',
  runId: '1',
  name: 'build',
  repository: 'acme/app',
  branch: 'main',
  commit: 'c0ffee',
  status: 'running',
  startedAt: 0,
};

function createWorld(store: MemoryStore = createMemoryStore()) {
  let askedMs = 0;
  const parts = createParts({ store, askedIntervalMs: () => askedMs });
  const { fleet, links, feed, clock, log, queue } = parts;
  const events = createEventLog(store, feed, (event) => fleet.apply(event), log.logger);
  const losses = createLosses({
    fleet,
    links,
    events,
    clock,
    logger: log.logger,
    requeueSent: (vmId) => queue.requeueSent(vmId),
    history: (vmId) => store.events(vmId, { limit: 50 }),
  });
  const world = {
    ...parts,
    events,
    losses,
    ask: (intervalMs: number) => (askedMs = intervalMs),
    vm: () => fleet.get('vm-1')?.record,
    /** Of the controller, in their order. */
    told: () => store.storedEvents.filter((event) => event.via === 'controller').map((event) => event.type),
    /** Seconds go by, each with its sweep. */
    async pass(durationMs: number): Promise<void> {
      for (let passedMs = 0; passedMs < durationMs; passedMs += 1_000) {
        clock.advance(1_000);
        losses.sweep();
        await settled();
      }
    },
    /** As after a crash: what is durable, and nothing else. */
    restart: () => createWorld(restarted(store)),
  };
  return world;
}

/** What the store holds is all that the next controller finds; its history too. */
function restarted(before: MemoryStore): MemoryStore {
  const store = createMemoryStore({ vms: [...before.vms.values()], commands: [...before.commands.values()] });
  store.storedEvents.push(...before.storedEvents);
  return store;
}

const beat = ({ fleet }: Parts, currentJob?: JobStatus, bootId = 'boot-1') =>
  fleet.heartbeat({
    vmId: 'vm-1',
    poolId: 'pool-a',
    orgId: 'acme',
    bootId,
    at: 0,
    intervalMs: 0,
    report: vmReport({ state: 'ready.busy', currentJob }),
  });

describe('a VM that is silent for its TTL', () => {
  it('is lost: its half-open stream is closed, what was sent waits again, and its job has an unknown fate', async () => {
    const world = createWorld();
    const link = world.connect();
    beat(world, JOB);
    const command = await world.submit();
    await world.queue.markSent(command.id, 'boot-1');
    await world.pass(TTL_MS - 1_000);
    expect({ told: world.told(), closed: link.closedWith }).toEqual({ told: [], closed: [] });
    await world.pass(1_000);
    expect(link.closedWith).toEqual([
      { kind: 'silent', message: 'nothing was heard of VM vm-1 for 90 s: connect again' },
    ]);
    expect(world.queue.get(command.id).state).toBe('queued');
    const lost = { currentJob: { ...JOB, status: 'unknown' }, loss: { reported: true } };
    expect(world.vm()).toMatchObject(lost);
    expect(world.store.vms.get('vm-1')).toMatchObject(lost);
  });

  it('has it in its history once, with what is known, after what the VM itself said, and without a place in its count', async () => {
    const world = createWorld();
    world.connect();
    await world.events.record(vmEvent({ sequence: 4 }), 'grpc');
    beat(world, JOB);
    const heardAt = world.clock.now();
    await world.pass(TTL_MS + 60_000);
    expect(world.store.storedEvents).toMatchObject([
      { sequence: 4 },
      {
        type: 'vm_lost',
        via: 'controller',
        vmId: 'vm-1',
        poolId: 'pool-a',
        orgId: 'acme',
        bootId: 'boot-1',
        sequence: 0,
        at: heardAt + TTL_MS,
        data: {
          silent_ms: '90000',
          last_heartbeat_at: new Date(heardAt).toISOString(),
          job_id: '8431',
          job: 'build',
          repository: 'acme/app',
        },
      },
    ]);
    expect(world.events.lastSequence('vm-1', 'boot-1')).toBe(4);
    expect(world.changes).toContainEqual(
      expect.objectContaining({
        kind: 'event',
        event: expect.objectContaining({ type: 'vm_lost' }) as unknown,
      }),
    );
    // It is no word of the VM's: the VM is still silent.
    expect(world.fleet.get('vm-1')?.liveness).toBe('lost');
  });

  it('and has no stream: what it fetched and never answered waits again', async () => {
    const world = createWorld();
    world.disconnect(world.connect());
    const command = await world.submit();
    await world.queue.markSent(command.id, 'boot-1');
    await world.pass(TTL_MS);
    expect(world.queue.get(command.id).state).toBe('queued');
    expect(world.told()).toEqual(['vm_lost']);
  });

  it('but has ended by its own word is not lost', async () => {
    const world = createWorld();
    const link = world.connect();
    await world.events.record(vmEvent({ type: 'vm_shutting_down', sequence: 1 }), 'grpc');
    world.disconnect(link);
    await world.pass(10 * TTL_MS);
    expect(world.told()).toEqual([]);
    expect(world.vm()).toMatchObject({ state: 'shutdown.done', loss: undefined });
  });
});

describe('a VM that was lost and is heard again', () => {
  it('has returned, once; its heartbeat sets its job right', async () => {
    const world = createWorld();
    const link = world.connect();
    beat(world, JOB);
    await world.pass(TTL_MS);
    world.disconnect(link);
    await world.pass(30_000);
    world.connect();
    beat(world, JOB);
    await world.pass(2_000);
    expect(world.told()).toEqual(['vm_lost', 'vm_returned']);
    expect(world.store.storedEvents.at(-1)?.data).toMatchObject({ lost_ms: '31000' });
    expect(world.vm()).toMatchObject({ currentJob: JOB, loss: undefined });
    expect(world.store.vms.get('vm-1')).toMatchObject({ currentJob: JOB, loss: undefined });
  });

  it('as another boot has returned too, and the next loss is another one', async () => {
    const world = createWorld();
    const link = world.connect();
    await world.pass(TTL_MS);
    world.disconnect(link);
    world.connect({ bootId: 'boot-2' });
    await world.pass(1_000);
    expect(world.store.storedEvents.at(-1)).toMatchObject({ type: 'vm_returned', bootId: 'boot-2' });
    await world.pass(TTL_MS);
    expect(world.told()).toEqual(['vm_lost', 'vm_returned', 'vm_lost']);
  });

  it('has not returned because its TTL has grown meanwhile', async () => {
    const world = createWorld();
    world.connect();
    await world.pass(TTL_MS);
    world.ask(60_000);
    expect(world.fleet.get('vm-1')?.liveness).toBe('alive');
    // A heartbeat of another boot is no word of this VM's either.
    beat(world, undefined, 'boot-0');
    await world.pass(5_000);
    expect(world.told()).toEqual(['vm_lost']);
  });

  it('and lost again at once is told in its order, each once', async () => {
    const world = createWorld();
    world.connect();
    for (let round = 0; round < 3; round += 1) {
      await world.pass(TTL_MS);
      beat(world);
      await world.pass(1_000);
    }
    expect(world.told()).toEqual(Array.from({ length: 3 }, () => ['vm_lost', 'vm_returned']).flat());
  });
});

describe('a restart of the controller', () => {
  it('gives a grace period to all: nobody is lost before the TTL, and a VM that comes back in time never is', async () => {
    const world = createWorld(createMemoryStore({ vms: [vmRecord(), vmRecord({ vmId: 'vm-2' })] }));
    await world.pass(TTL_MS - 1_000);
    expect(world.told()).toEqual([]);
    world.connect();
    await world.pass(1_000);
    expect(world.store.storedEvents.map((event) => [event.vmId, event.type])).toEqual([['vm-2', 'vm_lost']]);
  });

  it('does not tell of a loss again that was told before it, and tells of the return', async () => {
    const before = createWorld();
    before.disconnect(before.connect());
    await before.pass(TTL_MS);
    const after = before.restart();
    await after.pass(2 * TTL_MS);
    expect(after.told()).toEqual(['vm_lost']);
    after.connect();
    await after.pass(2_000);
    expect(after.told()).toEqual(['vm_lost', 'vm_returned']);
    expect(after.store.vms.get('vm-1')?.loss).toBeUndefined();
  });

  it('between any two steps of the telling leaves nothing out, and tells nothing twice', async () => {
    const world = createWorld();
    world.disconnect(world.connect());
    await world.pass(TTL_MS);
    const lost = world.vm();
    const vmLost = world.store.storedEvents[0];
    if (lost?.loss === undefined || vmLost === undefined) throw new Error('it is not lost');
    const unreported = { ...lost, loss: { ...lost.loss, reported: false } };
    const returned = { ...vmLost, id: '2', type: 'vm_returned', data: { lost_at: lostAt(lost.loss.at) } };
    for (const [vm, history] of [
      [unreported, []],
      [unreported, [vmLost]],
      [lost, [vmLost]],
      [lost, [vmLost, returned]],
    ] as const) {
      const store = createMemoryStore({ vms: [vm] });
      store.storedEvents.push(...history);
      const after = createWorld(store);
      after.connect();
      await after.pass(3_000);
      expect(after.told()).toEqual(['vm_lost', 'vm_returned']);
      expect(after.store.vms.get('vm-1')?.loss).toBeUndefined();
    }
  });
});

const lostAt = (at: number): string => new Date(at).toISOString();

describe('a full disk', () => {
  it.each([1, 2, 3])('that refuses %d writes of a loss only delays it', async (count) => {
    const world = createWorld();
    world.connect();
    await settled();
    world.store.failNext(count);
    await world.pass(TTL_MS);
    await world.pass(60_000);
    beat(world);
    await world.pass(30_000);
    expect(world.told()).toEqual(['vm_lost', 'vm_returned']);
  });

  it('is not written against every second', async () => {
    const world = createWorld();
    world.connect();
    await settled();
    world.store.failNext(1_000_000);
    await world.pass(TTL_MS);
    for (let n = 0; n < 60; n += 1) await world.pass(1_000);
    const tried = world.log.lines().filter((line) => line['msg'] === 'a VM record could not be stored');
    expect(tried.length).toBeGreaterThan(3);
    expect(tried.length).toBeLessThan(10);
  });
});

describe('a jump of the wall clock', () => {
  it('makes nobody lost, and does not lengthen a loss', async () => {
    const world = createWorld();
    world.connect();
    world.clock.setNow(world.clock.now() + 86_400_000);
    await world.pass(60_000);
    expect(world.told()).toEqual([]);
    await world.pass(30_000);
    world.clock.setNow(0);
    await world.pass(10_000);
    beat(world);
    await world.pass(1_000);
    expect(world.store.storedEvents.at(-1)?.data['lost_ms']).toBe('11000');
  });
});

describe('the end of the controller', () => {
  it('waits for what is being told, and begins nothing more', async () => {
    const world = createWorld();
    world.connect();
    await world.pass(TTL_MS - 1_000);
    const release = world.store.hold();
    await world.pass(1_000);
    let ended = false;
    const stopped = world.losses.stop().then(() => (ended = true));
    await settled();
    expect(ended).toBe(false);
    release();
    await stopped;
    expect(world.told()).toEqual(['vm_lost']);
    beat(world);
    await world.pass(5_000);
    expect(world.told()).toEqual(['vm_lost']);
  });
});
