/** Calls over the REST API: what goes out, what is repeated, what is told of failures, what is left of the limit. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { rm, writeFile } from 'node:fs/promises';
import {
  createTestGitHub,
  TEST_TOKENS,
  type TestGitHub,
  type TestGitHubOptions,
} from '../test-github.contract.js';
import type { Fetch } from './fetch.js';
import type { GitHubCallError, Scope } from './github-client.js';

const ACME: Scope = { kind: 'org', org: 'acme' };
const HOUR_MS = 3_600_000;

let test: TestGitHub;
const start = async (options: TestGitHubOptions = {}) => {
  test = await createTestGitHub(options);
  return test.github;
};
afterEach(async () => {
  expect(test.standIn.violations()).toEqual([]);
  await test.dispose();
});

interface Sent {
  readonly url: string;
  readonly headers: Headers;
}
/** Goes on to the stand-in, and keeps what went by. */
function recording(): { readonly sent: Sent[]; readonly fetch: Fetch } {
  const sent: Sent[] = [];
  return {
    sent,
    fetch: (url, init) => {
      sent.push({ url, headers: new Headers(init.headers) });
      return fetch(url, init);
    },
  };
}
const requests = () => test.standIn.requests().length;

describe('a request', () => {
  it("names the version of the API, its own name, what it wants, and itself as GitHub's documentation asks", async () => {
    const { sent, fetch } = recording();
    const github = await start({ fetch });
    await github.runners.list(ACME, 'listing');
    const [{ headers } = { headers: new Headers() }] = sent;
    expect(headers.get('x-github-api-version')).toBe('2022-11-28');
    expect(headers.get('accept')).toBe('application/vnd.github+json');
    expect(headers.get('user-agent')).toMatch(/^mig-controller\/\d/);
    expect(headers.get('authorization')).toBe(`token ${TEST_TOKENS[0]}`);
  });

  it('goes to an Enterprise Server below its prefix, as an App too', async () => {
    const { sent, fetch } = recording();
    const github = await start({ fetch, auth: 'app', standIn: { apiPrefix: '/api/v3' } });
    await github.runners.list(ACME, 'listing');
    await github.runners.jitConfig(ACME, { name: 'n', runnerGroupId: 1, labels: ['l'], workFolder: '_work' });
    expect(sent).toHaveLength(4);
    for (const { url } of sent) expect(url).toContain(`${test.standIn.url}/api/v3/`);
  });

  it('takes the token that the file holds when it is made', async () => {
    const github = await start();
    await github.runners.list(ACME, 'listing');
    await writeFile(test.tokenFile, 'ghp_wrong');
    await expect(github.runners.list(ACME, 'listing')).rejects.toMatchObject({
      failure: 'credentials',
      status: 401,
      message: expect.stringContaining(
        `it does not accept the token in ${test.tokenFile} (github.token_file); put a valid one`,
      ) as unknown,
    });
    expect(github.client.status().installations[0]?.problem).toContain('401');
    await writeFile(test.tokenFile, TEST_TOKENS[1] ?? '');
    await github.runners.list(ACME, 'listing');
    expect(github.client.status().installations[0]?.problem).toBeUndefined();
    await rm(test.tokenFile);
    await expect(github.runners.list(ACME, 'listing')).rejects.toThrow(
      /token.* cannot be read from github\.token_file/,
    );
  });

  it('as the App is not made with a token', async () => {
    const github = await start();
    await expect(github.client.callAsApp('listing', async () => 1)).rejects.toMatchObject({
      failure: 'credentials',
      message: 'there is no GitHub App: github.auth is token, and not app',
    });
  });

  it('without a GitHub says that there is none', async () => {
    const github = await start().then(() => test.create({ github: { auth: 'none' } }));
    await expect(github.runners.list(ACME, 'listing')).rejects.toMatchObject({ failure: 'credentials' });
    expect(github.client.status()).toMatchObject({ auth: 'none', installations: [] });
    expect(requests()).toBe(0);
  });
});

describe('a request that fails', () => {
  it.each([500, 502, 503, 'no-answer', 'reset'] as const)(
    '(%s) is repeated twice, and not more',
    async (status) => {
      const github = await start();
      test.standIn.faults.failNext('list-runners', { status, count: 2 });
      await expect(github.runners.list(ACME, 'listing')).resolves.toEqual([]);
      test.standIn.faults.failNext('list-runners', { status, count: 3 });
      await expect(github.runners.list(ACME, 'listing')).rejects.toMatchObject({ failure: 'unreachable' });
      await expect(github.runners.list(ACME, 'listing')).resolves.toEqual([]);
    },
  );

  it.each([400, 403, 404, 409, 410, 418, 422, 451])('with %d is not repeated', async (status) => {
    const github = await start();
    test.standIn.faults.failNext('list-runners', { status });
    await expect(github.runners.list(ACME, 'listing')).rejects.toMatchObject({ failure: 'refused', status });
    expect(requests()).toBe(1);
  });

  it('because GitHub is away says why', async () => {
    const github = await start();
    test.standIn.faults.setReachable(false);
    await expect(github.runners.list(ACME, 'listing')).rejects.toMatchObject({
      failure: 'unreachable',
      status: undefined,
      message: expect.stringMatching(/^GitHub was not reached \(.+\)$/) as unknown,
    });
  });

  it('because the controller stops ends at once, and so does every later one', async () => {
    const github = await start();
    const hold = test.standIn.faults.hold('list-runners');
    const listing = github.runners.list(ACME, 'listing');
    github.stop();
    await expect(listing).rejects.toMatchObject({ failure: 'unreachable' });
    await expect(github.runners.list(ACME, 'listing')).rejects.toThrow('the controller stops');
    hold.release();
  });

  it('tells nothing of the request: it is signed (I8)', async () => {
    const github = await start();
    test.standIn.faults.failNext('list-runners', { status: 404 });
    const error = (await github.runners.list(ACME, 'listing').catch((reason: unknown) => reason)) as Error;
    const said = [error.message, error.stack, JSON.stringify(error), error.cause];
    expect(JSON.stringify(said)).not.toContain('ghp_');
  });
});

describe('the limit of the hour', () => {
  it('is known from every answer, errors too', async () => {
    const github = await start({ standIn: { rateLimit: { limit: 1_000 } } });
    test.standIn.faults.failNext('list-runners', { status: 404 });
    await github.runners.list(ACME, 'listing').catch(() => undefined);
    expect(github.client.status().installations).toMatchObject([
      { name: 'token', limit: 1_000, remaining: 999, calls: { listing: { made: 1, putOff: 0 } } },
    ]);
  });

  it('is kept for what matters more: at its end registrations alone go, and all go on in the next hour', async () => {
    const github = await start({ standIn: { rateLimit: { limit: 1_000 } } });
    const { runners } = github;
    await runners.list(ACME, 'listing');
    test.standIn.rateLimit.setRemaining(40);
    await runners.list(ACME, 'listing');
    const asked = requests();
    await expect(runners.list(ACME, 'listing')).rejects.toMatchObject({
      failure: 'budget',
      retryAfterMs: HOUR_MS,
    });
    await expect(runners.list(ACME, 'reconciliation')).rejects.toMatchObject({ failure: 'budget' });
    await expect(runners.remove(ACME, 1, 'deletion')).rejects.toMatchObject({ failure: 'budget' });
    expect(requests()).toBe(asked);
    for (let n = 0; n < 40; n += 1) await runners.registrationToken(ACME);
    await expect(runners.registrationToken(ACME)).rejects.toMatchObject({ failure: 'limited' });
    expect(requests()).toBe(asked + 40);
    test.clock.advance(HOUR_MS);
    await runners.list(ACME, 'listing');
    // The list had not changed: it cost nothing.
    expect(github.client.status().installations[0]).toMatchObject({ remaining: 1_000, waiting: [] });
  });

  it.each([403, 429] as const)(
    'that others have used up is found out by one request (%d), which is not repeated, and nobody asks till it ends',
    async (exceededStatus) => {
      const github = await start({ standIn: { rateLimit: { exceededStatus } } });
      test.standIn.rateLimit.setRemaining(0);
      for (let n = 0; n < 2; n += 1) {
        await expect(github.runners.registrationToken(ACME)).rejects.toMatchObject({
          failure: 'limited',
          retryAfterMs: HOUR_MS,
        });
      }
      expect(requests()).toBe(1);
      test.clock.advance(HOUR_MS);
      await github.runners.registrationToken(ACME);
    },
  );

  it('of one organization is not that of another', async () => {
    const github = await start({ auth: 'app', standIn: { otherOrganizations: ['other'] } });
    const other: Scope = { kind: 'org', org: 'other' };
    await github.runners.list(ACME, 'listing');
    await github.runners.list(other, 'listing');
    const id = test.standIn.app?.installationId('acme');
    test.standIn.rateLimit.setRemaining(0, `installation ${id}`);
    await expect(github.runners.list(ACME, 'listing')).rejects.toMatchObject({ failure: 'limited' });
    await expect(github.runners.list(other, 'listing')).resolves.toEqual([]);
  });

  it('is not spent on lists that have not changed, page by page', async () => {
    const github = await start();
    const name = (n: number) => ({ name: `r-${n}`, runnerGroupId: 1, labels: ['l'], workFolder: '_work' });
    for (let n = 0; n < 130; n += 1) await github.runners.jitConfig(ACME, name(n));
    const first = await github.runners.list(ACME, 'listing');
    expect(first).toHaveLength(130);
    const { remaining } = test.standIn.rateLimit.state();
    for (let n = 0; n < 5; n += 1) expect(await github.runners.list(ACME, 'listing')).toEqual(first);
    expect(test.standIn.rateLimit.state().remaining).toBe(remaining);
    await github.runners.remove(ACME, first[0]?.id ?? 0, 'deletion');
    expect(await github.runners.list(ACME, 'listing')).toHaveLength(129);
  });
});

describe('requests that change something', () => {
  it('go out at their pace, while others do not wait for them', async () => {
    const github = await start({ config: { github: { writes_per_second: 10 } } });
    const startedAtMs = performance.now();
    const writes = Promise.all([1, 2, 3, 4].map(() => github.runners.registrationToken(ACME)));
    await github.runners.list(ACME, 'listing');
    await writes;
    // The first at once, then one every 100 ms; timers may be early by one.
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(295);
  });

  it('and register a runner go before deletions that wait already', async () => {
    const github = await start({ config: { github: { writes_per_second: 20 } } });
    const order: string[] = [];
    const note = (what: string) => () => void order.push(what);
    const deletions = Array.from({ length: 6 }, () =>
      github.runners.remove(ACME, 1, 'deletion').then(note('deletion')),
    );
    await Promise.all([...deletions, github.runners.registrationToken(ACME).then(note('registration'))]);
    // By then one deletion had its turn, and another was next.
    expect(order.indexOf('registration')).toBeLessThanOrEqual(2);
    expect(order).toHaveLength(7);
  });

  it('of another client in the same process do not hold them up', async () => {
    const github = await start({ config: { github: { writes_per_second: 1 } } });
    const other = test.create({ github: { writes_per_second: 1 } });
    await Promise.all([github.runners.registrationToken(ACME), other.runners.registrationToken(ACME)]);
    const startedAtMs = performance.now();
    await test.create({ github: { writes_per_second: 1 } }).runners.registrationToken(ACME);
    expect(performance.now() - startedAtMs).toBeLessThan(900);
  });

  it('that would wait for more than a minute are put off', async () => {
    const github = await start({ config: { github: { writes_per_second: 1 } } });
    const all = Array.from({ length: 65 }, () =>
      github.runners.registrationToken(ACME).catch((error: unknown) => error as GitHubCallError),
    );
    const late = await Promise.race(all.slice(1));
    expect(late).toMatchObject({
      failure: 'budget',
      message: expect.stringContaining('github.writes_per_second: 1') as unknown,
    });
    github.stop();
    const outcomes = await Promise.all(all);
    const failures = outcomes.flatMap((outcome) => ('failure' in outcome ? [outcome.failure] : []));
    expect(failures.filter((failure) => failure === 'budget')).toHaveLength(5);
    expect(failures).not.toContain('credentials');
  });
});
