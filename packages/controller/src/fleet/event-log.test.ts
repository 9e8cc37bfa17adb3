import { describe, expect, it } from '@jest/globals';
import type { VmEvent } from '@mig/common/domain/event';
import { settled } from '../parts.contract.js';
import { createMemoryStore } from '../store/memory-store.contract.js';
import { vmEvent } from '../store/samples.contract.js';
import { createTestLog } from '../test-log.contract.js';
import { createEventLog } from './event-log.js';
import { createFeed, type Change } from './feed.js';

function createLog(apply: (event: VmEvent) => void = () => {}) {
  const store = createMemoryStore();
  const changes: Change[] = [];
  const applied: number[] = [];
  const feed = createFeed();
  feed.subscribe((change) => changes.push(change));
  const onEvent = (event: VmEvent) => {
    applied.push(event.sequence);
    apply(event);
  };
  const log = createEventLog(store, feed, onEvent, createTestLog().logger);
  const record = (sequence: number, fields: Partial<VmEvent> = {}) =>
    log.record(vmEvent({ sequence, ...fields }), 'grpc');
  const stored = () => store.storedEvents.map((event) => event.sequence);
  return { store, log, changes, applied, record, stored };
}

const STORED = { kind: 'stored' };

describe('recording events (I4)', () => {
  it('an event is acknowledged, applied and told after it is stored, not before', async () => {
    const { store, record, applied, changes, log } = createLog();
    const release = store.hold();
    let outcome: unknown;
    const recorded = record(1).then((result) => (outcome = result));
    await settled();
    expect({ outcome, applied, changes }).toEqual({ outcome: undefined, applied: [], changes: [] });
    release();
    await recorded;
    expect(outcome).toEqual(STORED);
    expect(applied).toEqual([1]);
    expect(changes).toMatchObject([{ kind: 'event', event: { sequence: 1, via: 'grpc' } }]);
    expect(log.lastSequence('vm-1', 'boot-1')).toBe(1);
    expect(log.lastSequence('vm-1', 'boot-2')).toBe(0);
  });

  it('many at once are stored one after the other, in their order, whatever way they came', async () => {
    const { log, stored } = createLog();
    const all = Array.from({ length: 50 }, (_, n) =>
      log.record(vmEvent({ sequence: n + 1 }), n % 2 ? 'http' : 'grpc'),
    );
    await Promise.all(all);
    expect(stored()).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
  });

  it('one that was stored before is acknowledged and dropped', async () => {
    const { record, stored, applied } = createLog();
    for (const sequence of [1, 2, 1, 2, 3]) expect(await record(sequence)).toEqual(STORED);
    expect(stored()).toEqual([1, 2, 3]);
    expect(applied).toEqual([1, 2, 3]);
  });

  it('a new boot counts from 1 again; what is not counted (legacy) is stored each time', async () => {
    const { record, stored } = createLog();
    await record(5);
    await record(1, { bootId: 'boot-2' });
    await record(0, { bootId: '' });
    await record(0, { bootId: '' });
    expect(stored()).toEqual([5, 1, 0, 0]);
  });

  it('the events of another VM do not wait', async () => {
    const { record, store, stored } = createLog();
    const release = store.hold();
    const first = record(1);
    await settled();
    const other = record(1, { vmId: 'vm-2' });
    release();
    await Promise.all([first, other]);
    expect(stored()).toEqual([1, 1]);
  });
});

describe('an event that cannot be stored (I4)', () => {
  it('is refused, and so is what follows it, until it came again: there is no hole', async () => {
    const { record, store, stored } = createLog();
    await record(1);
    store.failNext(1);
    const outcomes = await Promise.all([record(2), record(3), record(4)]);
    expect(outcomes).toMatchObject([
      { kind: 'refused', reason: expect.stringContaining('disk full') as unknown },
      { kind: 'refused', reason: 'event 2 must be stored first' },
      { kind: 'refused' },
    ]);
    expect(await record(3)).toMatchObject({ kind: 'refused' });
    for (const sequence of [2, 3, 4]) expect(await record(sequence)).toEqual(STORED);
    expect(stored()).toEqual([1, 2, 3, 4]);
  });

  it('and one that names its predecessor is not taken before that one, in whatever order they come', async () => {
    const { record, stored } = createLog();
    await record(1);
    expect(await record(5, { previousSequence: 3 })).toEqual({
      kind: 'refused',
      reason: 'event 3 must be stored first',
    });
    expect(await record(3, { previousSequence: 1 })).toEqual(STORED);
    expect(await record(5, { previousSequence: 3 })).toEqual(STORED);
    // Of another boot nothing is stored yet.
    expect(await record(2, { bootId: 'boot-2', previousSequence: 1 })).toMatchObject({ kind: 'refused' });
    expect(stored()).toEqual([1, 3, 5]);
  });

  it('does not stop another boot of the VM, nor what is not counted', async () => {
    const { record, store } = createLog();
    store.failNext(1);
    await record(7);
    expect(await record(8, { bootId: 'boot-2' })).toEqual(STORED);
    store.failNext(1);
    expect(await record(0, { bootId: '' })).toMatchObject({ kind: 'refused' });
    expect(await record(0, { bootId: '' })).toEqual(STORED);
  });

  it('one that is stored and then cannot be applied does not hold up the VM for ever', async () => {
    let broken = true;
    const { record } = createLog(() => {
      if (broken) throw new Error('a defect');
    });
    await record(1);
    broken = false;
    for (const sequence of [1, 2]) expect(await record(sequence)).toEqual(STORED);
  });
});

describe('too many that wait (I12)', () => {
  it('are refused above the limit, without a hole, and taken again when they come again', async () => {
    const { record, store, stored } = createLog();
    const release = store.hold();
    const first = Array.from({ length: 1_002 }, (_, n) => record(n + 1));
    expect(await first[1_000]).toMatchObject({
      kind: 'refused',
      reason: '1000 events of this VM wait to be stored',
    });
    release();
    await Promise.all(first);
    expect(stored()).toHaveLength(1_000);
    expect(await record(1_002)).toMatchObject({ kind: 'refused', reason: 'event 1001 must be stored first' });
    expect(await record(1_001)).toEqual(STORED);
    expect(await record(1_002)).toEqual(STORED);
  });

  it('also when an event of an earlier boot never came again', async () => {
    const { record, store } = createLog();
    store.failNext(1);
    await record(5, { bootId: 'boot-0' });
    const release = store.hold();
    const all = Array.from({ length: 1_001 }, (_, n) => record(n + 1));
    release();
    await Promise.all(all);
    expect(await record(1_002)).toMatchObject({ kind: 'refused' });
    expect(await record(1_001)).toEqual(STORED);
  });
});
