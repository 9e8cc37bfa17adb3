/** How the list of deliveries is walked over, on a list that the test writes. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createManualClock, type ManualClock } from '../../../../common/src/manual-clock.contract.js';
import { createMemoryStore, type MemoryStore } from '../../store/memory-store.contract.js';
import { createTestLog } from '../../test-log.contract.js';
import { GitHubCallError } from '../client/github-client.js';
import type { DeliveriesApi, Delivery } from './deliveries-api.js';
import { createLostDeliveries, DOCUMENT } from './lost-deliveries.js';
import { createRedelivery, type Redelivery } from './redelivery.js';

const MINUTE_MS = 60_000;
const PAGE = 100;

let clock: ManualClock;
let store: MemoryStore;
/** Oldest first. */
let list: Delivery[];
let asked: number[];
let pages: (string | undefined)[];
/** Of the next page. */
let failure: GitHubCallError | undefined;
let taken: Set<string>;
let redelivery: Redelivery;

const api: DeliveriesApi = {
  source: '/app/hook',
  async page(cursor) {
    pages.push(cursor);
    const error = failure;
    failure = undefined;
    if (error !== undefined) throw error;
    const before = cursor === undefined ? Infinity : Number(cursor);
    const rest = list.filter(({ id }) => id < before).reverse();
    const deliveries = rest.slice(0, PAGE);
    return {
      deliveries,
      next: rest.length > deliveries.length ? String(deliveries.at(-1)?.id) : undefined,
    };
  },
  async redeliver(id) {
    asked.push(id);
  },
};

const start = (source = api.source) => {
  const { logger } = createTestLog();
  const lost = createLostDeliveries(store, source);
  return createRedelivery({
    api: { ...api, source },
    lost,
    isTaken: (guid) => taken.has(guid),
    clock,
    logger,
  });
};

beforeEach(() => {
  clock = createManualClock();
  store = createMemoryStore();
  list = [];
  asked = [];
  pages = [];
  failure = undefined;
  taken = new Set();
  redelivery = start();
});

/** Another attempt on the list, failed unless it is said otherwise. */
function add(guid: string, fields: Partial<Delivery> = {}): Delivery {
  const delivery = {
    id: list.length + 1,
    guid,
    deliveredAt: clock.now(),
    event: 'workflow_job',
    action: 'queued',
    succeeded: false,
    status: 'timed out',
    ...fields,
  };
  list.push(delivery);
  return delivery;
}

describe('the walk over the list', () => {
  it('when a delivery appears late, with the time at which it began, then it is found all the same', async () => {
    const beganAt = clock.now();
    clock.advance(10_000);
    add('other', { succeeded: true });
    await redelivery.round();
    const late = add('late', { deliveredAt: beganAt });
    clock.advance(MINUTE_MS);
    await redelivery.round();
    expect(asked).toEqual([late.id]);
  });

  it('when there is more than a round reads, then the next goes on there, and the cursor moves at the end of the walk', async () => {
    for (let n = 0; n < 2_050; n += 1) add(`guid-${n}`);
    const before = clock.now() - 60 * MINUTE_MS;
    await redelivery.round();
    expect(redelivery.status()).toMatchObject({ cursorAt: before, lost: 2_000 });
    expect(pages).toHaveLength(20);
    const newestAt = clock.now();
    clock.advance(MINUTE_MS);
    add('newer');
    await redelivery.round();
    expect(pages).toHaveLength(21);
    expect(redelivery.status()).toMatchObject({ cursorAt: newestAt, lost: 2_050 });
    clock.advance(MINUTE_MS);
    await redelivery.round();
    expect(redelivery.status().lost).toBe(2_051);
  });

  it('when a page fails in the middle, then it goes on with that page; when its place is not known any more, then anew', async () => {
    for (let n = 0; n < 350; n += 1) add(`guid-${n}`, { succeeded: n >= 50 });
    const fail = async (error: GitHubCallError) => {
      const page = api.page;
      let left = 2;
      const failing = createRedelivery({
        api: {
          ...api,
          page: (cursor) => {
            left -= 1;
            if (left === 0) failure = error;
            return page(cursor);
          },
        },
        lost: createLostDeliveries(store, api.source),
        isTaken: () => false,
        clock,
        logger: createTestLog().logger,
      });
      await failing.round();
      expect(failing.status()).toMatchObject({ problem: error.message, lost: 0 });
      pages = [];
      await failing.round();
      expect(failing.status()).toMatchObject({ problem: undefined, lost: 50 });
    };
    await fail(new GitHubCallError('unreachable', 'GitHub answered 502', 502, undefined));
    expect(pages).toEqual(['251', '151', '51']);
    store.documents.clear();
    await fail(new GitHubCallError('refused', 'GitHub answered 400', 400, undefined));
    expect(pages).toEqual([undefined, '251', '151', '51']);
  });

  it('when a later attempt has succeeded, or the controller has the webhook, or it is of another event, then it is not asked for', async () => {
    add('again');
    add('late answer');
    add('push', { event: 'push' });
    for (let n = 0; n < 150; n += 1) add(`fine-${n}`, { succeeded: true });
    add('again', { succeeded: true });
    taken.add('late answer');
    await redelivery.round();
    expect(asked).toEqual([]);
    expect(redelivery.status().lastRound).toMatchObject({ looked: 154, found: 0 });
  });

  it('when one that was found is delivered after all, then it is not asked for again', async () => {
    add('by hand');
    await redelivery.round();
    add('by hand', { succeeded: true });
    clock.advance(3 * MINUTE_MS);
    await redelivery.round();
    add('taken');
    await redelivery.round();
    taken.add('taken');
    clock.advance(3 * MINUTE_MS);
    await redelivery.round();
    expect(asked).toHaveLength(2);
    expect(redelivery.status().lost).toBe(0);
  });

  it('when it is older than three days, then GitHub cannot make it again: it is given up', async () => {
    add('old');
    await redelivery.round();
    expect(redelivery.status().lost).toBe(1);
    clock.advance(3 * 24 * 60 * MINUTE_MS + 1);
    list = [];
    const before = asked.length;
    await redelivery.round();
    expect([redelivery.status().lost, asked.length]).toEqual([0, before]);
  });

  it('when the webhook is another one, then what was remembered of the first is dropped', async () => {
    add('lost');
    await redelivery.round();
    expect(store.document(DOCUMENT)).toMatchObject({ source: '/app/hook', lost: [{ guid: 'lost' }] });
    expect(start().status()).toMatchObject({ lost: 1 });
    expect(start('/orgs/acme/hooks/7').status()).toMatchObject({ lost: 0, cursorAt: undefined });
    store.documents.set(DOCUMENT, 'something else');
    expect(start().status()).toMatchObject({ lost: 0, cursorAt: undefined });
  });

  it('when rounds fail and the controller restarts at any time, then every delivery that failed is asked for, or succeeded', async () => {
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({ kind: fc.constant('fails' as const), count: fc.nat({ max: 140 }) }),
      },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant('succeeds' as const), count: fc.nat({ max: 140 }) }),
      },
      { weight: 6, arbitrary: fc.record({ kind: fc.constant('round' as const), fails: fc.boolean() }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        clock = createManualClock();
        store = createMemoryStore();
        list = [];
        asked = [];
        redelivery = start();
        for (const each of steps) {
          clock.advance(MINUTE_MS);
          if (each.kind === 'round') {
            if (each.fails)
              failure = new GitHubCallError('unreachable', 'GitHub answered 502', 502, undefined);
            await redelivery.round();
          } else if (each.kind === 'restart') {
            // A crash: what the document had counts.
            store = createMemoryStore({ documents: store.documents });
            redelivery = start();
          } else
            for (let n = 0; n < each.count; n += 1)
              add(`guid-${list.length}`, { succeeded: each.kind === 'succeeds' });
        }
        failure = undefined;
        do await redelivery.round();
        while (redelivery.status().lastRound?.redelivered !== 0);
        const missing = list.filter(({ id, succeeded }) => !succeeded && !asked.includes(id));
        expect(missing).toEqual([]);
        expect(list.filter(({ id, succeeded }) => succeeded && asked.includes(id))).toEqual([]);
      }),
      { seed: 8, numRuns: 60 },
    );
  });
});
