/** What every store promises, whatever is behind it. */
import { afterEach, beforeEach, describe } from '@jest/globals';
import type { Logger } from '@mig/common/logger';
import { createManualClock, type ManualClock } from '../../../common/src/manual-clock.contract.js';
import { createTestLog } from '../test-log.contract.js';
import { historyContract } from './history.contract.js';
import { recordContract } from './record.contract.js';
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

/** The store that the test of the moment is about; a new one, in a new place, for each. */
export interface StoreUnderTest {
  readonly store: Store;
  readonly clock: ManualClock;
  /** Closes the store, and opens another at the same place. */
  reopen(limits?: Partial<StoreLimits>): Promise<void>;
}

const PLENTY: StoreLimits = { maxAgeMs: 7 * 86_400_000, maxEvents: 10_000, maxHeartbeats: 100 };

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

    const open = async (limits: Partial<StoreLimits> = {}) => {
      const { logger } = createTestLog();
      store = await fixture.open({ clock, logger, retention: { ...PLENTY, ...limits } });
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

    const test: StoreUnderTest = {
      get store() {
        return store;
      },
      get clock() {
        return clock;
      },
      async reopen(limits) {
        await store.close();
        await open(limits);
      },
    };
    recordContract(test);
    if (keepsHistories) historyContract(test);
  });
}
