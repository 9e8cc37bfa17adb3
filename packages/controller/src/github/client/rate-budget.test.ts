import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  createManualClock,
  TEST_START,
  type ManualClock,
} from '../../../../common/src/manual-clock.contract.js';
import { createTestLog, type TestLog } from '../../test-log.contract.js';
import { CALL_CLASSES, type CallClass } from './github-client.js';
import { createRateBudget, type RateBudget } from './rate-budget.js';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

let clock: ManualClock;
let log: TestLog;
let budget: RateBudget;
beforeEach(() => {
  clock = createManualClock();
  log = createTestLog();
  budget = createRateBudget(
    { clock, logger: log.logger },
    { name: 'installation 42 (acme)', reserve: { deletion: 5, reconciliation: 15, listing: 30 } },
  );
});

function answer(
  headers: Record<string, string>,
  status = 200,
  isSecondaryLimit = false,
  callClass: CallClass = 'listing',
) {
  budget.observe(callClass, { status, header: (name) => headers[name], isSecondaryLimit });
}
const left = (remaining: number, resetAt = TEST_START + HOUR_MS, limit = 1_000) => ({
  'x-ratelimit-limit': String(limit),
  'x-ratelimit-remaining': String(remaining),
  'x-ratelimit-reset': String(resetAt / 1_000),
});
/** What becomes of a call of each class that ends at once. */
function verdicts(): string[] {
  return CALL_CLASSES.map((callClass) => {
    try {
      budget.admit(callClass);
      budget.done();
      return 'goes';
    } catch (error) {
      return (error as { failure: string }).failure;
    }
  });
}
function putOff(callClass: CallClass): { failure: string; message: string; retryAfterMs: number } {
  try {
    budget.admit(callClass);
  } catch (error) {
    return error as never;
  }
  throw new Error(`${callClass} was not put off`);
}

describe('the reserve of a class', () => {
  it.each([
    [1_000, ['goes', 'goes', 'goes', 'goes']],
    [301, ['goes', 'goes', 'goes', 'goes']],
    [300, ['goes', 'goes', 'goes', 'budget']],
    [150, ['goes', 'goes', 'budget', 'budget']],
    [50, ['goes', 'budget', 'budget', 'budget']],
    [1, ['goes', 'budget', 'budget', 'budget']],
    [0, ['limited', 'limited', 'limited', 'limited']],
  ])(
    'with %d of 1,000 left lets go (registration, deletion, reconciliation, listing): %j',
    (remaining, expected) => {
      answer(left(remaining));
      expect(verdicts()).toEqual(expected);
    },
  );

  it('is not known before GitHub has said anything: everything goes', () => {
    expect(verdicts()).toEqual(['goes', 'goes', 'goes', 'goes']);
    expect(budget.status()).toMatchObject({ limit: undefined, remaining: undefined, resetAt: undefined });
  });

  it('counts what is on its way', () => {
    answer(left(302));
    budget.admit('listing');
    budget.admit('registration');
    expect(putOff('listing').failure).toBe('budget');
    budget.done();
    budget.admit('listing');
  });

  it('says what is left, what is kept and until when; and holds until the hour ends', () => {
    answer(left(200));
    expect(putOff('listing')).toMatchObject({
      retryAfterMs: HOUR_MS,
      message:
        'installation 42 (acme) has 200 of 1000 requests in the hour left, and 300 are kept for what matters more than listing: not asked before 2026-11-21T03:00:00.000Z',
    });
    clock.advance(HOUR_MS - 1);
    expect(putOff('listing').retryAfterMs).toBe(1_000);
    clock.advance(1);
    expect(verdicts()[3]).toBe('goes');
  });

  it('goes by the least of answers that overtook each other, and not by those of the hour before', () => {
    answer(left(299));
    answer(left(320));
    expect(putOff('listing').failure).toBe('budget');
    answer(left(1_000, TEST_START + 2 * HOUR_MS - MINUTE_MS));
    answer(left(0));
    expect(verdicts()).toEqual(['goes', 'goes', 'goes', 'goes']);
  });

  it('is not touched by the limits of other resources', () => {
    answer({ ...left(0), 'x-ratelimit-resource': 'search' });
    expect(verdicts()).toEqual(['goes', 'goes', 'goes', 'goes']);
  });

  it('is that of an Enterprise Server without limits: none', () => {
    answer({});
    answer({ 'x-ratelimit-limit': 'x', 'x-ratelimit-remaining': '', 'x-ratelimit-reset': '-1' });
    expect(verdicts()).toEqual(['goes', 'goes', 'goes', 'goes']);
  });
});

describe('GitHub that asks to be left alone', () => {
  it.each([403, 429])('with Retry-After (%d) is, by every class', (status) => {
    answer({ 'retry-after': '90' }, status);
    expect(verdicts()).toEqual(['limited', 'limited', 'limited', 'limited']);
    expect(putOff('registration')).toMatchObject({
      retryAfterMs: 90_000,
      message: expect.stringContaining('asked installation 42 (acme) to be left alone') as unknown,
    });
    expect(budget.status().quietUntil).toBe(TEST_START + 90_000);
    clock.advance(90_000);
    expect(verdicts()).toEqual(['goes', 'goes', 'goes', 'goes']);
    expect(budget.status().quietUntil).toBeUndefined();
  });

  it('because nothing is left is, until the hour ends', () => {
    answer(left(0, TEST_START + 10 * MINUTE_MS), 403);
    expect(putOff('registration').retryAfterMs).toBe(10 * MINUTE_MS);
  });

  it('without a time, or with one that has passed by our clock, is for a minute', () => {
    answer({}, 403, true);
    expect(putOff('registration').retryAfterMs).toBe(MINUTE_MS);
    clock.advance(MINUTE_MS);
    answer(left(0, TEST_START - HOUR_MS), 429);
    expect(putOff('registration').retryAfterMs).toBe(MINUTE_MS);
  });

  it('for longer than an hour and some is taken for a wrong clock', () => {
    answer({ 'retry-after': '86400' }, 429);
    expect(putOff('registration').retryAfterMs).toBe(65 * MINUTE_MS);
  });

  it('by the limit of another resource is by the class that met it alone', () => {
    answer({ ...left(0), 'x-ratelimit-resource': 'actions_runner_registration' }, 403, false, 'registration');
    expect(verdicts()).toEqual(['limited', 'goes', 'goes', 'goes']);
  });

  it('is not one that refuses for want of a right', () => {
    answer(left(900), 403);
    expect(verdicts()).toEqual(['goes', 'goes', 'goes', 'goes']);
  });
});

describe('what waits', () => {
  it('is logged when a class begins to wait and when it goes on, each once, and is in the status meanwhile', () => {
    answer(left(100));
    for (let n = 0; n < 5; n += 1) putOff('listing');
    const lines = () => log.lines().map(({ msg, class: callClass }) => [msg, callClass]);
    expect(lines()).toEqual([['calls to GitHub wait', 'listing']]);
    expect(budget.status()).toMatchObject({
      waiting: [{ callClass: 'listing', until: TEST_START + HOUR_MS }],
      calls: { listing: { made: 0, putOff: 5 }, registration: { made: 0, putOff: 0 } },
    });
    clock.advance(HOUR_MS);
    expect(budget.status().waiting).toEqual([]);
    budget.admit('listing');
    budget.sent('listing');
    budget.admit('listing');
    expect(lines()).toEqual([
      ['calls to GitHub wait', 'listing'],
      ['calls to GitHub go on', 'listing'],
    ]);
    expect(budget.status().calls.listing).toEqual({ made: 1, putOff: 5 });
  });
});
