/** What every store promises, whatever is behind it. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { IllegalTransitionError } from '@mig/common/errors';
import type { DrainVmState } from '@mig/common/domain/drain';
import type { Logger } from '@mig/common/logger';
import { until } from '@mig/testkit/github/until';
import {
  createManualClock,
  TEST_START,
  type ManualClock,
} from '../../../common/src/manual-clock.contract.js';
import { createTestLog } from '../test-log.contract.js';
import { commandRecord, drainRecord, drainVm, vmEvent, vmRecord, vmReport } from './samples.contract.js';
import type { Store } from './store.js';

export interface StoreLimits {
  readonly maxAgeMs: number;
  readonly maxEvents: number;
  readonly maxHeartbeats: number;
}

/** A place that stores can be opened at, one after the other. */
export interface StoreFixture {
  open(options: { clock: ManualClock; logger: Logger; retention: StoreLimits }): Promise<Store>;
  remove(): Promise<void>;
}

const PLENTY: StoreLimits = { maxAgeMs: 7 * 86_400_000, maxEvents: 10_000, maxHeartbeats: 100 };
const HOUR_MS = 3_600_000;
const ALL = { limit: 10_000 };

/** @param keepsHistories false for a stand-in: its events come without pages, and nothing of its histories is given up */
export function storeContract(
  name: string,
  createFixture: () => Promise<StoreFixture>,
  { keepsHistories }: { readonly keepsHistories: boolean } = { keepsHistories: true },
): void {
  describe(`the contract of stores: ${name}`, () => {
    let fixture: StoreFixture;
    let clock: ManualClock;
    let store: Store;

    const open = async (retention = PLENTY) => {
      store = await fixture.open({ clock, logger: createTestLog().logger, retention });
    };
    const reopen = async () => {
      await store.close();
      await open();
    };
    beforeEach(async () => {
      fixture = await createFixture();
      clock = createManualClock();
      await open();
    });
    afterEach(async () => {
      await store.close();
      await fixture.remove();
    });

    describe('records', () => {
      it('a VM and a command that were saved are there after a reopening, whole (I1)', async () => {
        const vm = vmRecord({
          health: vmReport().health,
          runner: vmReport().runner,
          labels: ['a'],
          outcome: undefined,
          lastHeartbeatAt: TEST_START + 5,
          cordon: { reason: 'looks ill', by: 'operator', at: TEST_START + 6 },
        });
        const command = commandRecord({
          idempotencyKey: 'k',
          forBoot: 'boot-1',
          sentToBoot: 'boot-1',
          supersededBy: 'cmd-2',
          attempts: 2,
          message: 'waits',
          result: { code: 'x' },
        });
        await store.saveVm(vm);
        await store.saveCommand(command);
        await reopen();
        expect(store.loadedVms()).toEqual([vm]);
        expect(store.loadedCommands()).toEqual([command]);
      });

      it('a drain that was saved is there after a reopening, whole, and gone when it was deleted (I1)', async () => {
        const drain = drainRecord({
          selector: { labels: ['gpu', 'large'] },
          maxUnavailable: 10,
          then: 'shutdown',
          idempotencyKey: 'k',
          vms: [
            drainVm({
              state: 'shuttingDown',
              commandId: 'cmd-1',
              shutdownCommandId: 'cmd-2',
              startedAt: TEST_START + 1,
            }),
            drainVm({ vmId: 'vm-2', bootId: '', state: 'gone', finishedAt: TEST_START + 2, message: 'left' }),
          ],
        });
        const ended = drainRecord({
          id: 'drain-2',
          selector: { all: true },
          state: 'completed',
          finishedAt: TEST_START,
          vms: [],
        });
        await store.saveDrain(drain);
        await store.saveDrain(ended);
        await store.saveDrain(drainRecord({ id: 'drain-3' }));
        await store.deleteDrain('drain-3');
        await store.deleteDrain('never');
        await reopen();
        expect([...store.loadedDrains()].sort((a, b) => (a.id < b.id ? -1 : 1))).toEqual([drain, ended]);
        expect(store.loadedVms()).toEqual([]);
      });

      it('of saves that overlap, the last one wins, for a VM that the store has not met before too', async () => {
        const states = ['queued', 'sent', 'received', 'completed'] as const;
        const names = Array.from({ length: 20 }, (_, index) => `vm-${index}`);
        await Promise.all(
          names.flatMap((vmId) => [
            ...states.map((state) => store.saveCommand(commandRecord({ id: `cmd-${vmId}`, vmId, state }))),
            ...states.map((_, index) => store.saveVm(vmRecord({ vmId, stateReason: `${index}` }))),
          ]),
        );
        await reopen();
        expect(new Set(store.loadedCommands().map((command) => command.state))).toEqual(
          new Set(['completed']),
        );
        expect(new Set(store.loadedVms().map((vm) => vm.stateReason))).toEqual(new Set(['3']));
        expect(store.loadedCommands()).toHaveLength(20);
      });

      it('a command is there after a reopening, though the record of its VM never was stored (I1)', async () => {
        await store.saveCommand(commandRecord());
        await reopen();
        expect(store.loadedCommands()).toEqual([commandRecord()]);
      });

      it('a deleted command is gone, and deleting what is not there is no error', async () => {
        await store.saveVm(vmRecord());
        await store.saveCommand(commandRecord());
        await store.deleteCommand(commandRecord());
        await store.deleteCommand(commandRecord({ id: 'cmd-2' }));
        await reopen();
        expect(store.loadedCommands()).toEqual([]);
        expect(store.setAside()).toEqual([]);
        expect(store.problem()).toBeUndefined();
      });

      it('a deleted VM is gone with its commands and histories, and no other VM with it', async () => {
        for (const vmId of ['vm-1', 'vm-2']) {
          await store.saveVm(vmRecord({ vmId }));
          await store.saveCommand(commandRecord({ id: `cmd-${vmId}`, vmId }));
          await store.appendEvent(vmEvent({ vmId, sequence: 4 }), 'grpc');
        }
        store.keepHeartbeat(vmRecord(), vmReport());
        await store.deleteVm('vm-1');
        expect(await store.events('vm-1', ALL)).toEqual([]);
        expect(store.eventPosition('vm-1')).toEqual({ lastEventId: undefined, bootId: '', sequence: 0 });
        await reopen();
        expect(store.loadedVms().map((vm) => vm.vmId)).toEqual(['vm-2']);
        expect(store.loadedCommands().map((command) => command.vmId)).toEqual(['vm-2']);
        expect(await store.heartbeats('vm-1', 10)).toEqual([]);
        expect(await store.events('vm-2', ALL)).toHaveLength(1);
      });
    });

    describe('moves that the tables do not have (I6)', () => {
      it('a VM that ended does not come back in the same life, and stays as it was', async () => {
        const ended = vmRecord({ state: 'shutdown.done', outcome: 'drained' });
        await store.saveVm(ended);
        const back = store.saveVm({ ...ended, state: 'ready.idle' });
        await expect(back).rejects.toThrow(IllegalTransitionError);
        await reopen();
        expect(store.loadedVms()).toEqual([ended]);
        await expect(store.saveVm({ ...ended, state: 'ready.idle' })).rejects.toThrow(
          'VM vm-1 cannot go from shutdown.done to ready.idle',
        );
      });

      it('it comes back in a new life: another boot, or a legacy one without its outcome', async () => {
        await store.saveVm(vmRecord({ state: 'shutdown.done', outcome: 'drained' }));
        await store.saveVm(vmRecord({ state: 'booting', bootId: 'boot-2' }));
        await store.saveVm(vmRecord({ vmId: 'vm-2', bootId: '', state: 'shutdown', outcome: 'ended' }));
        await store.saveVm(vmRecord({ vmId: 'vm-2', bootId: '', state: 'ready.idle' }));
        await reopen();
        expect(
          store
            .loadedVms()
            .map((vm) => vm.state)
            .sort(),
        ).toEqual(['booting', 'ready.idle']);
      });

      it('a VM in a drain moves along its table, also after a reopening, each for itself', async () => {
        await store.saveDrain(drainRecord());
        const drain = (...states: DrainVmState[]) =>
          drainRecord({ vms: states.map((state, index) => drainVm({ vmId: `vm-${index + 1}`, state })) });
        await store.saveDrain(drain('draining', 'waiting'));
        await store.saveDrain(drain('draining', 'done'));
        await expect(store.saveDrain(drain('waiting', 'done'))).rejects.toThrow(IllegalTransitionError);
        await reopen();
        await expect(store.saveDrain(drain('shuttingDown', 'draining'))).rejects.toThrow(
          'VM vm-2 of drain drain-1 cannot go from done to draining',
        );
        await store.saveDrain(drain('shuttingDown', 'done'));
        await reopen();
        expect(store.loadedDrains()).toEqual([drain('shuttingDown', 'done')]);
      });

      it.each(['completed', 'cancelled'] as const)(
        'a drain that is %s stays so, also after a reopening; deleted, its id is free',
        async (state) => {
          await store.saveDrain(drainRecord());
          await store.saveDrain(drainRecord({ state, finishedAt: TEST_START }));
          await expect(store.saveDrain(drainRecord())).rejects.toThrow(IllegalTransitionError);
          await reopen();
          await expect(store.saveDrain(drainRecord())).rejects.toThrow(
            `drain drain-1 cannot go from ${state} to active`,
          );
          expect(store.loadedDrains().map((drain) => drain.state)).toEqual([state]);
          await store.deleteDrain('drain-1');
          await store.saveDrain(drainRecord());
        },
      );

      it('a finished command stays finished, also after a reopening', async () => {
        await store.saveVm(vmRecord());
        await store.saveCommand(commandRecord({ state: 'cancelled' }));
        const again = commandRecord({ state: 'sent' });
        await expect(store.saveCommand(again)).rejects.toThrow(IllegalTransitionError);
        await reopen();
        await expect(store.saveCommand(again)).rejects.toThrow(
          'command cmd-1 cannot go from cancelled to sent',
        );
        expect(store.loadedCommands().map((command) => command.state)).toEqual(['cancelled']);
      });
    });

    if (!keepsHistories) return;

    describe('events', () => {
      const append = async (from: number, to: number) => {
        const ids = [];
        for (let sequence = from; sequence <= to; sequence += 1) {
          ids.push((await store.appendEvent(vmEvent({ sequence }), 'grpc')).id);
        }
        return ids;
      };
      const sequences = async (query: Parameters<Store['events']>[1]) =>
        (await store.events('vm-1', query)).map((event) => event.sequence);

      it('of each source are there after a reopening, with their source', async () => {
        for (const via of ['http', 'grpc', 'controller'] as const) {
          await store.appendEvent(vmEvent({ type: 'vm_cordoned' }), via);
        }
        await reopen();
        expect((await store.events('vm-1', ALL)).map((event) => event.via)).toEqual([
          'http',
          'grpc',
          'controller',
        ]);
      });

      it('are there after a reopening, whole and in their order (I4)', async () => {
        const event = vmEvent({ sequence: 1, data: { text: 'grün\n"' }, at: TEST_START - 5 });
        const stored = await store.appendEvent(event, 'http');
        expect(stored).toEqual({ ...event, id: stored.id, receivedAt: TEST_START, via: 'http' });
        await append(2, 12);
        await reopen();
        expect((await store.events('vm-1', ALL))[0]).toEqual(stored);
        expect(await sequences(ALL)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
      });

      it('can be asked for: the newest, or the first after one', async () => {
        const ids = await append(1, 5);
        expect(await sequences({ limit: 2 })).toEqual([4, 5]);
        expect(await sequences({ limit: 2, after: ids[0] ?? '' })).toEqual([2, 3]);
        expect(await sequences({ limit: 9, after: ids[2] ?? '' })).toEqual([4, 5]);
        expect(await sequences({ limit: 9, after: ids[4] ?? '' })).toEqual([]);
        expect(await store.events('vm-9', ALL)).toEqual([]);
      });

      it('have a position, which a reopening gives again; what is not counted does not move it', async () => {
        expect(store.eventPosition('vm-1')).toEqual({ lastEventId: undefined, bootId: '', sequence: 0 });
        await append(1, 3);
        const uncounted = await store.appendEvent(vmEvent({ bootId: '', sequence: 0 }), 'http');
        const position = { lastEventId: uncounted.id, bootId: 'boot-1', sequence: 3 };
        expect(store.eventPosition('vm-1')).toEqual(position);
        await reopen();
        expect(store.eventPosition('vm-1')).toEqual(position);
        await store.appendEvent(vmEvent({ bootId: 'boot-2', sequence: 1 }), 'grpc');
        await reopen();
        expect(store.eventPosition('vm-1')).toMatchObject({ bootId: 'boot-2', sequence: 1 });
      });

      it('have ids that are unique and sort, when the clock stands still, goes back, or was ahead before a restart', async () => {
        const ids = await append(1, 3);
        clock.setNow(TEST_START - HOUR_MS);
        ids.push(...(await append(4, 5)));
        clock.setNow(TEST_START - 2 * HOUR_MS);
        await reopen();
        ids.push(...(await append(6, 7)));
        expect([...new Set(ids)].sort()).toEqual(ids);
        expect(await sequences(ALL)).toEqual([1, 2, 3, 4, 5, 6, 7]);
      });
    });

    describe('heartbeats', () => {
      const beat = (n: number) => store.keepHeartbeat(vmRecord(), vmReport({ stateReason: `beat ${n}` }));
      const reasons = async () =>
        (await store.heartbeats('vm-1', 100)).map((heartbeat) => heartbeat.state_reason);
      beforeEach(() => store.saveVm(vmRecord()));

      it('of one second are one, the newest; those of different seconds are all kept, in order', async () => {
        for (const n of [1, 2, 3]) beat(n);
        clock.advance(1_000);
        beat(4);
        clock.advance(1_000);
        beat(5);
        beat(6);
        await reopen();
        expect(await reasons()).toEqual(['beat 3', 'beat 4', 'beat 6']);
        expect((await store.heartbeats('vm-1', 1)).map((heartbeat) => heartbeat.state_reason)).toEqual([
          'beat 6',
        ]);
      });

      it('of a VM that has nothing stored, or of a closed store, are dropped without an error', async () => {
        store.keepHeartbeat(vmRecord({ vmId: 'vm-9' }), vmReport());
        clock.advance(1_000);
        expect(await store.heartbeats('vm-9', 10)).toEqual([]);
        await store.close();
        expect(() => beat(1)).not.toThrow();
      });
    });

    describe('retention (I12)', () => {
      const counts = async () => ({
        events: (await store.events('vm-1', ALL)).length,
        heartbeats: (await store.heartbeats('vm-1', 10_000)).length,
      });

      it('gives up what is older than the age, at the hourly look, and keeps the rest', async () => {
        await store.saveVm(vmRecord());
        await store.appendEvent(vmEvent({ sequence: 1 }), 'grpc');
        store.keepHeartbeat(vmRecord(), vmReport());
        clock.advance(6 * 24 * HOUR_MS);
        await store.appendEvent(vmEvent({ sequence: 2 }), 'grpc');
        // The hourly look begins anew when it has ended, and the log's timer is set by the last event.
        await until('nothing is being pruned', () => clock.timerCount > 1);
        clock.advance(23 * HOUR_MS);
        expect(await counts()).toEqual({ events: 2, heartbeats: 1 });
        const end = performance.now() + 5_000;
        while (performance.now() < end && (await counts()).events > 1) clock.advance(HOUR_MS);
        expect(await store.events('vm-1', ALL)).toMatchObject([{ sequence: 2 }]);
      });

      it('gives up the oldest beyond the count, never the newest, and counts each VM for itself', async () => {
        await store.close();
        await open({ ...PLENTY, maxEvents: 5, maxHeartbeats: 3 });
        for (let n = 1; n <= 40; n += 1) {
          await store.appendEvent(vmEvent({ sequence: n }), 'grpc');
          store.keepHeartbeat(vmRecord(), vmReport({ stateReason: `beat ${n}` }));
          clock.advance(1_000);
        }
        await store.appendEvent(vmEvent({ vmId: 'vm-2', sequence: 1 }), 'grpc');
        await store.close();
        await open({ ...PLENTY, maxEvents: 5, maxHeartbeats: 3 });
        const { events, heartbeats } = await counts();
        // A little over the limit is left so that pruning is rare.
        expect(events).toBeGreaterThanOrEqual(5);
        expect(events).toBeLessThanOrEqual(16);
        expect(heartbeats).toBeGreaterThanOrEqual(3);
        expect(heartbeats).toBeLessThanOrEqual(14);
        expect((await store.events('vm-1', { limit: 1 })).map((event) => event.sequence)).toEqual([40]);
        expect(store.eventPosition('vm-1').sequence).toBe(40);
        expect(await store.events('vm-2', ALL)).toHaveLength(1);
      });
    });
  });
}
