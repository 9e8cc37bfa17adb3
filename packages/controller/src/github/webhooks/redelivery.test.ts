/** Webhooks that were lost, against the stand-in GitHub, over HTTP, with one clock for both. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { toRfc3339 } from '@mig/common/clock';
import { GitHubCallError } from '../client/github-client.js';
import { startTestWebhooks, type TestWebhooks } from './test-webhooks.contract.js';

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

let test: TestWebhooks;
beforeEach(async () => {
  test = await startTestWebhooks();
});
afterEach(() => test.dispose());

const redelivery = () => test.webhooks.status().redelivery;
const logged = (event: string) => test.log.lines().filter((line) => line['event'] === event);
const attempts = () => test.github.requests().filter(({ route }) => route === 'redeliver');
const listings = () => test.github.requests().filter(({ route }) => route === 'list-deliveries');
const queue = async (count: number) => {
  for (let n = 0; n < count; n += 1) test.github.queueJob();
  await test.github.webhooks.settled();
};

describe('webhooks that failed', () => {
  it('when the controller was away for an hour, then all that it missed is found and taken, also what GitHub told before', async () => {
    await queue(3);
    await test.pass(10 * MINUTE_MS);
    await test.goAway();
    for (let n = 0; n < 20; n += 1) {
      await queue(1);
      test.clock.advance(3 * MINUTE_MS);
    }
    expect(Object.keys(test.statuses())).toHaveLength(3);
    await test.goOn();
    await test.pass(MINUTE_MS + 5 * SECOND_MS);
    expect(test.statuses()).toEqual(test.truth());
    expect(attempts()).toHaveLength(20);
    expect(logged('webhooks_lost')[0]).toMatchObject({ found: 20, redelivered: 20 });
    expect(redelivery()).toMatchObject({ source: '/app/hook', lost: 0, problem: undefined });
    expect(new Set(test.client.calls)).toEqual(new Set(['listing', 'reconciliation']));
    expect(test.github.violations()).toEqual([]);
  });

  it('when some are lost, duplicated and late by chance, and so are their redeliveries, then every job is known in the end', async () => {
    test.github.webhooks.faults.setChaos({ seed: 11, lost: 0.5, duplicated: 0.2 });
    for (let n = 0; n < 10; n += 1) {
      await queue(6);
      await test.pass(MINUTE_MS);
    }
    await test.pass(HOUR_MS);
    expect(test.statuses()).toEqual(test.truth());
    expect(redelivery()?.lost).toBe(0);
    expect(logged('webhook_given_up')).toEqual([]);
  });

  it('when there are more than a page, and more than a round asks for, then they come over several rounds, the newest first', async () => {
    await test.goAway();
    await queue(130);
    await test.goOn();
    await test.pass(5 * SECOND_MS);
    expect(attempts()).toHaveLength(50);
    expect(redelivery()).toMatchObject({ lastRound: { looked: 130, found: 130, redelivered: 50 } });
    expect(listings()).toHaveLength(2);
    expect(test.statuses()).toHaveProperty('130');
    expect(test.statuses()).not.toHaveProperty('1');
    await test.pass(2 * MINUTE_MS);
    expect(attempts()).toHaveLength(130);
    expect(test.statuses()).toEqual(test.truth());
  });

  it('when nothing is lost, then nothing is asked for, and each round reads only what is new', async () => {
    await queue(120);
    await test.pass(5 * SECOND_MS);
    expect(listings()).toHaveLength(2);
    await test.pass(3 * MINUTE_MS);
    await queue(1);
    await test.pass(MINUTE_MS);
    const before = listings().length;
    await test.pass(10 * MINUTE_MS);
    expect(listings()).toHaveLength(before + 10);
    expect(redelivery()?.lastRound).toEqual({ looked: 1, found: 0, redelivered: 0, givenUp: 0 });
    expect(attempts()).toEqual([]);
  });

  it('when the controller restarts, then it goes on where it was: what was given up or settled is not found again', async () => {
    await queue(1);
    await test.pass(MINUTE_MS);
    const cursorAt = redelivery()?.cursorAt;
    expect(cursorAt).toBe(test.github.webhooks.deliveries()[0]?.deliveredAt);
    await test.goAway();
    test.clock.advance(2 * HOUR_MS);
    await queue(1);
    test.clock.advance(2 * HOUR_MS);
    await test.goOn();
    expect(redelivery()?.cursorAt).toBe(cursorAt);
    await test.pass(MINUTE_MS);
    expect(test.statuses()).toEqual(test.truth());
    expect(test.log.lines().filter(({ msg }) => String(msg).includes('for the first time'))).toHaveLength(1);
  });

  it('when there is no cursor, then an hour is looked at, and said to be', async () => {
    await test.goAway();
    await queue(1);
    test.clock.advance(50 * MINUTE_MS);
    await queue(1);
    test.clock.advance(30 * MINUTE_MS);
    test.store.documents.clear();
    await test.goOn();
    await test.pass(MINUTE_MS);
    expect(Object.keys(test.statuses())).toEqual(['2']);
    expect(test.log.lines().find(({ msg }) => String(msg).includes('for the first time'))).toMatchObject({
      since: toRfc3339(test.clock.now() - HOUR_MS - 55 * SECOND_MS),
    });
  });
});

describe('a webhook that fails again and again', () => {
  it('when five more attempts have failed, then it is given up, said to be, and not found again', async () => {
    test.github.webhooks.faults.setChaos({ seed: 1, lost: 1 });
    await queue(1);
    await test.pass(8 * HOUR_MS);
    expect(attempts()).toHaveLength(5);
    const times = test.github.webhooks.deliveries().map(({ deliveredAt }) => deliveredAt);
    const pauses = times
      .slice(2)
      .map((time, index) => Math.round((time - (times[index + 1] ?? 0)) / MINUTE_MS));
    expect(pauses).toEqual([2, 5, 15, 60]);
    expect(logged('webhook_given_up')).toMatchObject([{ level: 'error', attempts: 5 }]);
    expect(redelivery()?.lost).toBe(0);
    test.github.webhooks.faults.clear();
    await test.goOn();
    await test.pass(HOUR_MS);
    expect(attempts()).toHaveLength(5);
  });

  it('when GitHub does not know the delivery any more, then it is given up at once', async () => {
    test.github.webhooks.faults.loseNext();
    await queue(1);
    test.github.faults.failNext('redeliver', { status: 404 });
    await test.pass(MINUTE_MS);
    expect(logged('webhook_given_up')).toMatchObject([{ reason: 'GitHub answered 404' }]);
  });
});

describe('a GitHub that cannot be asked', () => {
  it('when it fails or is out of budget in the middle, then the cursor stays, the problem is shown, and nothing is lost', async () => {
    await test.goAway();
    await queue(150);
    await test.goOn();
    test.github.faults.failNext('redeliver', { status: 503 });
    await test.pass(5 * SECOND_MS);
    expect(redelivery()?.problem).toBe('GitHub answered 503');
    test.client.failure = new GitHubCallError('budget', 'the rest is kept', undefined, 60_000);
    await test.pass(5 * MINUTE_MS);
    expect(redelivery()).toMatchObject({ problem: 'the rest is kept', lost: 150 });
    test.client.failure = undefined;
    await test.pass(4 * MINUTE_MS);
    expect(test.statuses()).toEqual(test.truth());
    expect(redelivery()?.problem).toBeUndefined();
  });

  it('when a page of the list fails, then the walk goes on there, and none of its deliveries is passed over', async () => {
    await test.goAway();
    await queue(250);
    await test.goOn();
    const before = redelivery()?.cursorAt;
    test.github.faults.failNext('list-deliveries', { status: 502, afterEffect: true });
    await test.pass(5 * SECOND_MS);
    expect(redelivery()?.problem).toBe('GitHub answered 502');
    expect(redelivery()?.lastRound).toMatchObject({ looked: 0 });
    expect(before).toBeUndefined();
    await test.pass(6 * MINUTE_MS);
    expect(test.statuses()).toEqual(test.truth());
  });

  it('when the store refuses what was found, then nothing is asked for until it is kept', async () => {
    test.github.webhooks.faults.loseNext();
    await queue(1);
    test.store.failNext(2);
    await test.pass(5 * SECOND_MS);
    expect(attempts()).toEqual([]);
    expect(redelivery()?.problem).toContain('could not be stored');
    await test.pass(MINUTE_MS);
    expect(test.statuses()).toEqual(test.truth());
  });
});
