/**
 * The file store against crashes at every point, power cuts, and disks that fail: everything that a caller was told is
 * kept is there, nothing is there by half, and what was not answered is there whole or not at all (I1, I4).
 */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createManualClock } from '../../../../common/src/manual-clock.contract.js';
import { createTestLog } from '../../test-log.contract.js';
import { StoreUnavailableError, type Store } from '../store.js';
import { openStoreOn } from './file-store.js';
import { createMemoryDisk, type FaultCode, type MemoryDisk } from './memory-disk.contract.js';
import { actionArbitrary, createDriver, turns, type Action } from './store-driver.contract.js';
import { createLedger, type Ledger } from './store-ledger.contract.js';

const DIRECTORY = '/data';
const RETENTION = { maxAgeMs: 7 * 86_400_000, maxEvents: 10_000, maxHeartbeats: 100 };
/** Small, so that segments end and are dropped within a test. */
const SEGMENT_BYTES = 4_000;

/** A number in [0, 1) that is the same for the same seed (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

async function newDisk(seed: number): Promise<MemoryDisk> {
  const disk = createMemoryDisk(seededRandom(seed));
  await disk.files.makeDirectory(DIRECTORY);
  await disk.files.syncDirectory('/');
  return disk;
}

function createProcesses(ledger: Ledger) {
  const clock = createManualClock();
  const open = (disk: MemoryDisk): Promise<Store> =>
    openStoreOn(
      disk.files,
      {
        directory: DIRECTORY,
        retention: RETENTION,
        clock,
        logger: createTestLog().logger,
        logSegmentBytes: SEGMENT_BYTES,
      },
      () => undefined,
    );
  return {
    clock,
    open,
    drive: (disk: MemoryDisk, store: Store, actions: readonly Action[]) =>
      createDriver(store, ledger, clock, () => disk.isKilled).run(actions),
  };
}

interface Fault {
  readonly code: FaultCode;
  /** One in so many operations. */
  readonly oneIn: number;
}

interface Life {
  readonly actions: readonly Action[];
  /** While it opens; if that fails, it is opened once more, without faults. */
  readonly openingFault?: Fault | undefined;
  /** While it works. */
  readonly fault?: Fault | undefined;
}

/** Opens, compares, works and closes, until the disk's process is killed. */
async function live(disk: MemoryDisk, ledger: Ledger, { actions, openingFault, fault }: Life): Promise<void> {
  const { open, drive } = createProcesses(ledger);
  const random = seededRandom(disk.operationCount + 7);
  const setFault = (given: Fault | undefined) =>
    disk.setFaults(given && (() => (random() < 1 / given.oneIn ? given.code : undefined)));
  await Promise.race([
    disk.killed,
    (async () => {
      setFault(openingFault);
      const store = await open(disk).catch((error: unknown) => {
        if (openingFault === undefined) throw error;
        setFault(undefined);
        return open(disk);
      });
      setFault(undefined);
      await ledger.expectInAccord(store);
      const refusedBefore = ledger.refusals.length;
      setFault(fault);
      await drive(disk, store, actions);
      if (fault === undefined) expect(ledger.refusals.length).toBe(refusedBefore);
      await store.close();
    })(),
  ]);
  disk.setFaults(undefined);
}

type Ending = 'kill' | 'power cut';
const afterEnding = (disk: MemoryDisk, ending: Ending): MemoryDisk =>
  ending === 'kill' ? disk.afterKill() : disk.afterPowerCut();

const faultArbitrary = (...codes: FaultCode[]): fc.Arbitrary<Fault> =>
  fc.record({ code: fc.constantFrom(...codes), oneIn: fc.constantFrom(1, 3, 10, 40) });

/** A little of everything, some at once, with segments that end in between. */
const SCRIPT: readonly Action[] = [
  { kind: 'saveVm', vmId: 'vm-1' },
  { kind: 'saveCommand', vmId: 'vm-1', commandId: 'cmd-1' },
  { kind: 'appendEvent', vmId: 'vm-1' },
  { kind: 'settle' },
  { kind: 'saveCommand', vmId: 'vm-1', commandId: 'cmd-1' },
  { kind: 'saveDrain', drainId: 'drain-1' },
  { kind: 'saveWorkflowJob', jobId: '1' },
  { kind: 'saveDocument' },
  { kind: 'appendEvent', vmId: 'vm-1' },
  { kind: 'turns', count: 6 },
  { kind: 'saveCommand', vmId: 'vm-1', commandId: 'cmd-1' },
  { kind: 'saveVm', vmId: 'vm-2' },
  { kind: 'time', durationMs: 60_000 },
  { kind: 'appendEvent', vmId: 'vm-1' },
  { kind: 'settle' },
  { kind: 'deleteCommand', vmId: 'vm-1', commandId: 'cmd-1' },
  { kind: 'saveDrain', drainId: 'drain-1' },
  { kind: 'deleteVm', vmId: 'vm-2' },
  { kind: 'saveVm', vmId: 'vm-2' },
  { kind: 'settle' },
  { kind: 'deleteVm', vmId: 'vm-1' },
  { kind: 'appendEvent', vmId: 'vm-1' },
  { kind: 'deleteDrain', drainId: 'drain-1' },
  { kind: 'deleteWorkflowJob', jobId: '1' },
  { kind: 'saveDocument' },
];

async function operationsOfScript(): Promise<number> {
  const disk = await newDisk(1);
  const before = disk.operationCount;
  await live(disk, createLedger(), { actions: SCRIPT });
  return disk.operationCount - before;
}

describe('a store that ends at any moment', () => {
  it.each(['kill', 'power cut'] as const)(
    'by a %s at every single operation of a script, has kept all that it said it had, and nothing by half',
    async (ending) => {
      const operations = await operationsOfScript();
      expect(operations).toBeGreaterThan(120);
      for (let killAt = 0; killAt < operations; killAt += 1) {
        for (const seed of [1, 2, 3]) {
          const ledger = createLedger();
          const disk = await newDisk(seed * 10_000 + killAt);
          disk.killAfter(killAt);
          await live(disk, ledger, { actions: SCRIPT });
          await live(afterEnding(disk, ending), ledger, { actions: [] });
        }
      }
    },
  );

  it('again and again, by kills and power cuts, while it opens and while it works, on a disk that fails now and then, has kept all that it said it had', async () => {
    const ending = fc.constantFrom<Ending>('kill', 'power cut');
    const life = fc.record({
      actions: fc.array(actionArbitrary, { maxLength: 40 }),
      operations: fc.integer({ min: 0, max: 600 }),
      ending,
      openingFault: fc.option(faultArbitrary('ENOSPC', 'EMFILE'), { freq: 4, nil: undefined }),
      fault: fc.option(faultArbitrary('ENOSPC', 'EIO', 'EMFILE'), { freq: 3, nil: undefined }),
    });
    let kept = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 4 }), fc.nat(), async (lives, seed) => {
        const ledger = createLedger();
        let disk = await newDisk(seed);
        for (const each of lives) {
          disk.killAfter(each.operations);
          await live(disk, ledger, each);
          disk = afterEnding(disk, each.ending);
        }
        await live(disk, ledger, { actions: [] });
        kept += ledger.keptCount;
      }),
      { seed: 31, numRuns: 400, timeout: 5_000 },
    );
    expect(kept).toBeGreaterThan(1_500);
  });
});

describe('a store on a disk that fails', () => {
  it('refuses what it cannot keep, loses nothing that it has, and writes again as soon as it can', async () => {
    let refused = 0;
    let kept = 0;
    const trouble = fc.record({
      actions: fc.array(actionArbitrary, { minLength: 5, maxLength: 30 }),
      fault: faultArbitrary('ENOSPC', 'EIO', 'EMFILE'),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(actionArbitrary, { maxLength: 20 }),
        fc.array(trouble, { minLength: 1, maxLength: 3 }),
        fc.nat(),
        fc.constantFrom<Ending>('kill', 'power cut'),
        async (before, troubles, seed, ending) => {
          const ledger = createLedger();
          const disk = await newDisk(seed);
          const random = seededRandom(seed + 1);
          const { clock, open, drive } = createProcesses(ledger);
          const store = await open(disk);
          await drive(disk, store, before);
          for (const { actions, fault: given } of troubles) {
            disk.setFaults(() => (random() < 1 / given.oneIn ? given.code : undefined));
            await drive(disk, store, actions);
            expect(ledger.refusals.every((error) => error instanceof StoreUnavailableError)).toBe(true);
            disk.setFaults(undefined);
            // Nobody writes: it finds out by itself.
            for (let n = 0; n < 3; n += 1) {
              clock.advance(2_000);
              await turns(40);
            }
            expect(store.problem()).toBeUndefined();
            const refusedBefore = ledger.refusals.length;
            await drive(disk, store, before);
            expect(ledger.refusals.length).toBe(refusedBefore);
          }
          await live(afterEnding(disk, ending), ledger, { actions: [] });
          refused += ledger.refusals.length;
          kept += ledger.keptCount;
        },
      ),
      { seed: 32, numRuns: 150, timeout: 5_000 },
    );
    expect(refused).toBeGreaterThan(500);
    expect(kept).toBeGreaterThan(2_000);
  });
});
