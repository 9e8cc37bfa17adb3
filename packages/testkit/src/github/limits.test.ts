/** What GitHub refuses for being too much, and what it says about when to come again. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { createManualClock } from '../../../common/src/manual-clock.contract.js';
import { GITHUBS_SECONDARY_LIMITS } from './secondary-limit.js';
import { createStandInGitHub, type StandInGitHub, type StandInGitHubOptions } from './stand-in-github.js';
import { createTestCall } from './test-client.contract.js';
import { until } from './until.js';

const RUNNERS = '/orgs/acme/actions/runners';
const TOKEN = `${RUNNERS}/registration-token`;

let github: StandInGitHub;
const call = createTestCall(() => github);
const clock = createManualClock();
const start = async (options: Partial<StandInGitHubOptions>) => {
  github = await createStandInGitHub({ tokens: ['secret'], clock, ...options });
};
afterEach(() => github.close());

describe('the primary limit', () => {
  it('refuses with the status of the options until its window ends, and then counts anew', async () => {
    await start({ rateLimit: { limit: 2, windowMs: 60_000, exceededStatus: 429 } });
    expect((await call('GET', RUNNERS)).headers.get('x-ratelimit-remaining')).toBe('1');
    await call('GET', RUNNERS);
    const refused = await call('GET', RUNNERS);
    expect(refused).toMatchObject({
      status: 429,
      json: { message: expect.stringContaining('rate limit exceeded') },
    });
    expect(refused.headers.get('x-ratelimit-remaining')).toBe('0');
    expect(refused.headers.get('retry-after')).toBeNull();
    expect(Number(refused.headers.get('x-ratelimit-reset')) * 1000).toBe(
      Math.ceil((clock.now() + 60_000) / 1000) * 1000,
    );
    clock.advance(60_000);
    expect((await call('GET', RUNNERS)).headers.get('x-ratelimit-remaining')).toBe('1');
  });

  it('counts neither what is not modified nor a question about it; refusals carry it too', async () => {
    await start({});
    const first = await call('GET', `${RUNNERS}?per_page=1`);
    const etag = first.headers.get('etag') ?? '';
    for (let round = 0; round < 3; round += 1) {
      const again = await call('GET', `${RUNNERS}?per_page=1`, undefined, { 'if-none-match': etag });
      expect([again.status, again.headers.get('x-ratelimit-remaining')]).toEqual([304, '4999']);
    }
    expect((await call('GET', '/rate_limit')).json).toMatchObject({ rate: { remaining: 4999 } });
    expect((await call('GET', '/orgs/other/actions/runners')).headers.get('x-ratelimit-remaining')).toBe(
      '4998',
    );
  });

  it('has another answer when a list has changed', async () => {
    await start({});
    const etag = (await call('GET', RUNNERS)).headers.get('etag') ?? '';
    await call('POST', `${RUNNERS}/generate-jitconfig`, { name: 'a', runner_group_id: 1, labels: ['x'] });
    expect((await call('GET', RUNNERS, undefined, { 'if-none-match': etag })).status).toBe(200);
  });
});

describe('the secondary limits', () => {
  it('are none unless they are asked for', async () => {
    await start({});
    for (let count = 0; count < 100; count += 1) expect((await call('POST', TOKEN)).status).toBe(201);
  });

  it('count writing five times, for each operation, and say when the minute ends', async () => {
    await start({ secondaryLimits: { pointsPerMinute: 12 } });
    expect((await call('POST', TOKEN)).status).toBe(201);
    expect((await call('POST', TOKEN)).status).toBe(201);
    clock.advance(20_000);
    const refused = await call('POST', TOKEN);
    expect(refused).toMatchObject({
      status: 403,
      json: { message: expect.stringContaining('secondary rate limit') },
    });
    expect(refused.headers.get('retry-after')).toBe('40');
    expect(Number(refused.headers.get('x-ratelimit-remaining'))).toBeGreaterThan(0);
    expect((await call('GET', RUNNERS)).status).toBe(200);
    clock.advance(40_000);
    expect((await call('POST', TOKEN)).status).toBe(201);
  });

  it('count POSTs of all operations together, as GitHub documents it', async () => {
    await start({ secondaryLimits: GITHUBS_SECONDARY_LIMITS });
    for (let count = 0; count < 40; count += 1) {
      await call('POST', TOKEN);
      await call('POST', `${RUNNERS}/remove-token`);
    }
    expect((await call('POST', '/repos/acme/app/actions/runners/remove-token')).status).toBe(403);
    expect((await call('GET', RUNNERS)).status).toBe(200);
  });

  it('count what is not answered yet', async () => {
    await start({ secondaryLimits: { concurrent: 2 } });
    const hold = github.faults.hold('list-runners');
    const held = [call('GET', RUNNERS), call('GET', RUNNERS)];
    await until('both wait', () => hold.waiting() === 2);
    expect((await call('GET', '/rate_limit')).status).toBe(403);
    hold.release();
    for (const { status } of await Promise.all(held)) expect(status).toBe(200);
    expect((await call('GET', RUNNERS)).status).toBe(200);
  });

  it('can be tripped for a time', async () => {
    await start({});
    github.rateLimit.tripSecondary(30_000);
    const refused = await call('GET', RUNNERS);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([403, '30']);
    clock.advance(30_000);
    expect((await call('GET', RUNNERS)).status).toBe(200);
  });
});
