/** What every store promises of its histories: events and heartbeats. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '@mig/testkit/github/until';
import { TEST_START } from '../../../common/src/manual-clock.contract.js';
import { vmEvent, vmRecord, vmReport } from './samples.contract.js';
import type { Store } from './store.js';
import type { StoreUnderTest } from './store.contract.js';

const HOUR_MS = 3_600_000;
const ALL = { limit: 10_000 };

export function historyContract(test: StoreUnderTest): void {
  describe('events', () => {
    const append = async (from: number, to: number) => {
      const ids = [];
      for (let sequence = from; sequence <= to; sequence += 1) {
        ids.push((await test.store.appendEvent(vmEvent({ sequence }), 'grpc')).id);
      }
      return ids;
    };
    const sequences = async (query: Parameters<Store['events']>[1]) =>
      (await test.store.events('vm-1', query)).map((event) => event.sequence);

    it('of each source are there after a reopening, with their source', async () => {
      for (const via of ['http', 'grpc', 'controller'] as const) {
        await test.store.appendEvent(vmEvent({ type: 'vm_cordoned' }), via);
      }
      await test.reopen();
      expect((await test.store.events('vm-1', ALL)).map((event) => event.via)).toEqual([
        'http',
        'grpc',
        'controller',
      ]);
    });

    it('are there after a reopening, whole and in their order (I4)', async () => {
      const event = vmEvent({ sequence: 1, data: { text: 'grün\n"' }, at: TEST_START - 5 });
      const stored = await test.store.appendEvent(event, 'http');
      expect(stored).toEqual({ ...event, id: stored.id, receivedAt: TEST_START, via: 'http' });
      await append(2, 12);
      await test.reopen();
      expect((await test.store.events('vm-1', ALL))[0]).toEqual(stored);
      expect(await sequences(ALL)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    });

    it('can be asked for: the newest, or the first after one', async () => {
      const ids = await append(1, 5);
      expect(await sequences({ limit: 2 })).toEqual([4, 5]);
      expect(await sequences({ limit: 2, after: ids[0] ?? '' })).toEqual([2, 3]);
      expect(await sequences({ limit: 9, after: ids[2] ?? '' })).toEqual([4, 5]);
      expect(await sequences({ limit: 9, after: ids[4] ?? '' })).toEqual([]);
      expect(await test.store.events('vm-9', ALL)).toEqual([]);
    });

    it('have a position, which a reopening gives again; what is not counted does not move it', async () => {
      expect(test.store.eventPosition('vm-1')).toEqual({ lastEventId: undefined, bootId: '', sequence: 0 });
      await append(1, 3);
      const uncounted = await test.store.appendEvent(vmEvent({ bootId: '', sequence: 0 }), 'http');
      const position = { lastEventId: uncounted.id, bootId: 'boot-1', sequence: 3 };
      expect(test.store.eventPosition('vm-1')).toEqual(position);
      await test.reopen();
      expect(test.store.eventPosition('vm-1')).toEqual(position);
      await test.store.appendEvent(vmEvent({ bootId: 'boot-2', sequence: 1 }), 'grpc');
      await test.reopen();
      expect(test.store.eventPosition('vm-1')).toMatchObject({ bootId: 'boot-2', sequence: 1 });
    });

    it('have ids that are unique and sort, when the clock stands still, goes back, or was ahead before a restart', async () => {
      const ids = await append(1, 3);
      test.clock.setNow(TEST_START - HOUR_MS);
      ids.push(...(await append(4, 5)));
      test.clock.setNow(TEST_START - 2 * HOUR_MS);
      await test.reopen();
      ids.push(...(await append(6, 7)));
      expect([...new Set(ids)].sort()).toEqual(ids);
      expect(await sequences(ALL)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    });
  });

  describe('heartbeats', () => {
    const beat = (n: number) => test.store.keepHeartbeat(vmRecord(), vmReport({ stateReason: `beat ${n}` }));
    const reasons = async () =>
      (await test.store.heartbeats('vm-1', 100)).map((heartbeat) => heartbeat.state_reason);
    beforeEach(() => test.store.saveVm(vmRecord()));

    it('of one second are one, the newest; those of different seconds are all kept, in order', async () => {
      for (const n of [1, 2, 3]) beat(n);
      test.clock.advance(1_000);
      beat(4);
      test.clock.advance(1_000);
      beat(5);
      beat(6);
      await test.reopen();
      expect(await reasons()).toEqual(['beat 3', 'beat 4', 'beat 6']);
      expect((await test.store.heartbeats('vm-1', 1)).map((heartbeat) => heartbeat.state_reason)).toEqual([
        'beat 6',
      ]);
    });

    it('of a VM that has nothing stored, or of a closed store, are dropped without an error', async () => {
      test.store.keepHeartbeat(vmRecord({ vmId: 'vm-9' }), vmReport());
      test.clock.advance(1_000);
      expect(await test.store.heartbeats('vm-9', 10)).toEqual([]);
      await test.store.close();
      expect(() => beat(1)).not.toThrow();
    });
  });

  describe('retention (I12)', () => {
    const counts = async () => ({
      events: (await test.store.events('vm-1', ALL)).length,
      heartbeats: (await test.store.heartbeats('vm-1', 10_000)).length,
    });

    it('gives up what is older than the age, at the hourly look, and keeps the rest', async () => {
      await test.store.saveVm(vmRecord());
      await test.store.appendEvent(vmEvent({ sequence: 1 }), 'grpc');
      test.store.keepHeartbeat(vmRecord(), vmReport());
      test.clock.advance(6 * 24 * HOUR_MS);
      await until(
        'nothing is being pruned, and the next look is an hour away',
        () => test.clock.timerCount === 1,
      );
      await test.store.appendEvent(vmEvent({ sequence: 2 }), 'grpc');
      test.clock.advance(23 * HOUR_MS);
      expect(await counts()).toEqual({ events: 2, heartbeats: 1 });
      const end = performance.now() + 5_000;
      while (performance.now() < end && (await counts()).events > 1) test.clock.advance(HOUR_MS);
      expect(await test.store.events('vm-1', ALL)).toMatchObject([{ sequence: 2 }]);
    });

    it('gives up the oldest beyond the count, never the newest, and counts each VM for itself', async () => {
      await test.reopen({ maxEvents: 5, maxHeartbeats: 3 });
      for (let n = 1; n <= 40; n += 1) {
        await test.store.appendEvent(vmEvent({ sequence: n }), 'grpc');
        test.store.keepHeartbeat(vmRecord(), vmReport({ stateReason: `beat ${n}` }));
        test.clock.advance(1_000);
      }
      await test.store.appendEvent(vmEvent({ vmId: 'vm-2', sequence: 1 }), 'grpc');
      await test.reopen({ maxEvents: 5, maxHeartbeats: 3 });
      const { events, heartbeats } = await counts();
      // A little over the limit is left so that pruning is rare.
      expect(events).toBeGreaterThanOrEqual(5);
      expect(events).toBeLessThanOrEqual(16);
      expect(heartbeats).toBeGreaterThanOrEqual(3);
      expect(heartbeats).toBeLessThanOrEqual(14);
      expect((await test.store.events('vm-1', { limit: 1 })).map((event) => event.sequence)).toEqual([40]);
      expect(test.store.eventPosition('vm-1').sequence).toBe(40);
      expect(await test.store.events('vm-2', ALL)).toHaveLength(1);
    });
  });
}
