/** The App: its JSON web token, its installations, their tokens. With node:crypto alone, and with Octokit. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/rest';
import { createManualClock, type ManualClock } from '../../../../common/src/manual-clock.contract.js';
import { createStandInGitHub, type StandInGitHub } from '../stand-in-github.js';
import { createTestCall } from '../test-client.contract.js';
import type { AppOptions } from './app-desk.js';
import { createAppKey, signAppJwt } from './app-key.js';

const KEY = createAppKey();
const OTHER_KEY = createAppKey();
const MINUTE_MS = 60_000;
const RUNNERS = '/orgs/acme/actions/runners';

interface TokenBody {
  readonly token: string;
  readonly expires_at: string;
  readonly permissions: Record<string, string>;
}

let github: StandInGitHub;
let clock: ManualClock;
const call = createTestCall(() => github, '');

async function start(app: Partial<AppOptions> = {}): Promise<void> {
  github = await createStandInGitHub({
    tokens: ['a-user'],
    otherOrganizations: ['other'],
    enterprise: 'big',
    app: { keys: [KEY.publicKey], ...app },
    onViolation: () => undefined, // strict.test.ts is about them
    clock,
  });
}

beforeEach(async () => {
  clock = createManualClock();
  await start();
});
afterEach(() => github.close());

const nowS = () => Math.floor(clock.now() / 1000);
const claims = (changes: Record<string, unknown> = {}) => ({
  iss: '4711',
  iat: nowS() - 60,
  exp: nowS() + 540,
  ...changes,
});
const jwt = (changes: Record<string, unknown> = {}, key = KEY) => signAppJwt(key.privateKey, claims(changes));
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function mint(organization = 'acme', body?: unknown) {
  const path = `/app/installations/${github.app?.installationId(organization)}/access_tokens`;
  return call<TokenBody & { message: string }>('POST', path, body, bearer(jwt()));
}
const tokenOf = async (organization = 'acme', body?: unknown) => (await mint(organization, body)).json.token;

describe("the App's JSON web token", () => {
  it.each([
    ['its id', { iss: '4711' }],
    ['its id as a number', { iss: 4711 }],
    ['its client id', { iss: 'Iv23standin4711' }],
  ])('that names %s is who the App is', async (_what, changes) => {
    const answer = await call('GET', '/app', undefined, bearer(jwt(changes)));
    expect(answer).toMatchObject({ status: 200, json: { id: 4711, slug: 'stand-in-runners' } });
  });

  it.each<[string, number, RegExp, () => string]>([
    ['is none', 401, /could not be decoded/, () => 'ghs_x'],
    ['is signed with another key', 401, /could not be decoded/, () => jwt({}, OTHER_KEY)],
    ['names another App', 404, /^Integration not found$/, () => jwt({ iss: '4712' })],
    ['names nobody', 401, /'iss'/, () => jwt({ iss: undefined })],
    ['is expired', 401, /'Expiration time' claim \('exp'\) must be/, () => jwt({ exp: nowS() })],
    ['has no end', 401, /'Expiration time' claim \('exp'\) must be/, () => jwt({ exp: undefined })],
    ['lasts longer than 10 min', 401, /'exp'\) is too far in the future/, () => jwt({ exp: nowS() + 601 })],
    ['is of the future', 401, /'Issued at' claim \('iat'\)/, () => jwt({ iat: nowS() + 1 })],
    ['has no beginning', 401, /'Issued at' claim \('iat'\)/, () => jwt({ iat: undefined })],
  ])('that %s is refused with %d', async (_what, status, message, token) => {
    for (const path of ['/app', '/app/installations', '/orgs/acme/installation', '/app/hook/deliveries']) {
      const answer = await call('GET', path, undefined, bearer(token()));
      expect(answer).toMatchObject({ status, json: { message: expect.stringMatching(message) } });
    }
  });

  it('cannot be changed after it was signed, nor be unsigned', async () => {
    const [head = '', , signature = ''] = jwt().split('.');
    const forged = Buffer.from(JSON.stringify(claims({ exp: nowS() + 500 }))).toString('base64url');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    for (const token of [`${head}.${forged}.${signature}`, `${none}.${forged}.`])
      expect((await call('GET', '/app', undefined, bearer(token))).status).toBe(401);
  });

  it('opens nothing but what is for Apps', async () => {
    expect((await call('GET', RUNNERS, undefined, bearer(jwt()))).status).toBe(401);
    expect((await call('GET', '/rate_limit', undefined, bearer(jwt()))).status).toBe(200);
  });

  it('may be signed with any of its keys, until that is taken away', async () => {
    github.app?.setKeys([KEY.publicKey, OTHER_KEY.publicKey]);
    for (const key of [KEY, OTHER_KEY])
      expect((await call('GET', '/app', undefined, bearer(jwt({}, key)))).status).toBe(200);
    github.app?.setKeys([OTHER_KEY.publicKey]);
    expect((await call('GET', '/app', undefined, bearer(jwt()))).status).toBe(401);
  });
});

describe('installations', () => {
  it('are listed, and found by their organization or repository', async () => {
    const list = await call<{ id: number; account: { login: string } }[]>(
      'GET',
      '/app/installations',
      undefined,
      bearer(jwt()),
    );
    expect(list.json.map(({ account }) => account.login)).toEqual(['acme', 'other']);
    for (const path of [
      '/orgs/OTHER/installation',
      '/repos/other/app/installation',
      `/app/installations/${list.json[1]?.id}`,
    ])
      expect((await call('GET', path, undefined, bearer(jwt()))).json).toMatchObject({
        id: list.json[1]?.id,
      });
    expect((await call('GET', '/orgs/nobody/installation', undefined, bearer(jwt()))).status).toBe(404);
  });

  it('that are gone, or of an App that was never there, are not found', async () => {
    const id = github.app?.installationId('acme');
    github.app?.uninstall('acme');
    expect((await call('GET', '/orgs/acme/installation', undefined, bearer(jwt()))).status).toBe(404);
    const path = `/app/installations/${id}/access_tokens`;
    expect((await call('POST', path, undefined, bearer(jwt()))).status).toBe(404);
    github.app?.install('acme');
    expect(github.app?.installationId('acme')).not.toBe(id);
  });
});

describe("an installation's token", () => {
  it('is valid for an hour, and then GitHub says bad credentials', async () => {
    const { status, json } = await mint();
    expect(status).toBe(201);
    expect(json.token).toMatch(/^ghs_/);
    expect(Date.parse(json.expires_at)).toBe(Math.floor((clock.now() + 60 * MINUTE_MS) / 1000) * 1000);
    clock.advance(60 * MINUTE_MS - 1);
    expect((await call('GET', RUNNERS, undefined, bearer(json.token))).status).toBe(200);
    clock.advance(1);
    const late = await call('GET', RUNNERS, undefined, bearer(json.token));
    expect(late).toMatchObject({ status: 401, json: { message: 'Bad credentials', status: '401' } });
  });

  it('is good for its organization and no other', async () => {
    const headers = bearer(await tokenOf('acme'));
    expect((await call('POST', `${RUNNERS}/registration-token`, undefined, headers)).status).toBe(201);
    const other = await call('POST', '/orgs/other/actions/runners/registration-token', undefined, headers);
    expect(other).toMatchObject({ status: 403, json: { message: 'Resource not accessible by integration' } });
    expect((await call('GET', '/orgs/nobody/actions/runners', undefined, headers)).status).toBe(404);
  });

  it('is no use at an enterprise, nor for what is for the App or a user', async () => {
    const headers = bearer(await tokenOf());
    expect((await call('GET', '/enterprises/big/actions/runners', undefined, headers)).status).toBe(403);
    expect((await call('GET', '/user/installations', undefined, headers)).status).toBe(403);
    expect((await call('GET', '/app', undefined, headers)).status).toBe(401);
  });

  it('may do what it was granted, of what the installation was granted', async () => {
    const body = { permissions: { organization_self_hosted_runners: 'read' } };
    const { json } = await mint('acme', body);
    expect(json.permissions).toEqual(body.permissions);
    const headers = bearer(json.token);
    expect((await call('GET', RUNNERS, undefined, headers)).status).toBe(200);
    const write = await call('POST', `${RUNNERS}/registration-token`, undefined, headers);
    expect(write.status).toBe(403);
    expect(write.headers.get('x-accepted-github-permissions')).toBe('organization_self_hosted_runners=write');
    expect((await call('GET', '/repos/acme/app/actions/runners', undefined, headers)).status).toBe(403);
    const more = await mint('acme', { permissions: { contents: 'read' } });
    expect(more).toMatchObject({ status: 422, json: { message: expect.stringContaining('not granted') } });
    expect((await mint('acme', { permissions: 'all' })).status).toBe(422);
  });

  it('may be for some repositories only', async () => {
    const headers = bearer(await tokenOf('acme', { repositories: ['app'] }));
    expect((await call('GET', '/repos/acme/app/actions/runners', undefined, headers)).status).toBe(200);
    expect((await call('GET', '/repos/acme/web/actions/runners', undefined, headers)).status).toBe(404);
    expect((await mint('acme', { repository_ids: [1] })).status).toBe(422);
  });

  it('ends when it is revoked, and when the App is suspended or uninstalled', async () => {
    const revoked = bearer(await tokenOf());
    github.app?.revokeTokens();
    expect((await call('GET', RUNNERS, undefined, revoked)).status).toBe(401);
    const headers = bearer(await tokenOf());
    github.app?.suspend('acme');
    expect((await call('GET', RUNNERS, undefined, headers)).status).toBe(403);
    expect((await mint()).status).toBe(403);
    github.app?.unsuspend('acme');
    expect((await call('GET', RUNNERS, undefined, headers)).status).toBe(200);
    github.app?.uninstall('acme');
    expect((await call('GET', RUNNERS, undefined, headers)).status).toBe(401);
  });

  it('has a rate limit of its own', async () => {
    const headers = bearer(await tokenOf('acme'));
    github.rateLimit.setRemaining(1, `installation ${github.app?.installationId('acme')}`);
    expect((await call('GET', RUNNERS, undefined, headers)).headers.get('x-ratelimit-remaining')).toBe('0');
    const refused = await call('GET', RUNNERS, undefined, headers);
    expect(refused).toMatchObject({
      status: 403,
      json: { message: `API rate limit exceeded for installation ID ${github.app?.installationId('acme')}.` },
    });
    expect((await call('GET', RUNNERS, undefined, bearer('a-user'))).status).toBe(200);
    const others = bearer(await tokenOf('other'));
    expect((await call('GET', '/orgs/other/actions/runners', undefined, others)).status).toBe(200);
  });
});

describe('without an App', () => {
  it('nothing that is for Apps is answered', async () => {
    await github.close();
    github = await createStandInGitHub({ tokens: ['a-user'], clock });
    expect((await call('GET', '/app', undefined, bearer(jwt()))).status).toBe(401);
    expect(github.app).toBeUndefined();
  });
});

describe('Octokit with auth-app', () => {
  const octokit = (installationId?: number) =>
    new Octokit({
      baseUrl: github.apiUrl,
      authStrategy: createAppAuth,
      auth: { appId: 4711, privateKey: KEY.privateKey, ...(installationId && { installationId }) },
      log: { debug: () => 0, info: () => 0, warn: () => 0, error: () => 0 },
    });

  beforeEach(async () => {
    await github.close();
    github = await createStandInGitHub({ tokens: [], app: { keys: [KEY.publicKey] } });
  });

  it('finds its installation, gets one token for many calls, and registers a runner', async () => {
    const { data } = await octokit().rest.apps.getOrgInstallation({ org: 'acme' });
    const installed = octokit(data.id);
    const jit = await installed.rest.actions.generateRunnerJitconfigForOrg({
      org: 'acme',
      name: 'vm-1',
      runner_group_id: 1,
      labels: ['self-hosted'],
    });
    const list = await installed.paginate(installed.rest.actions.listSelfHostedRunnersForOrg, {
      org: 'acme',
    });
    expect(list).toEqual([jit.data.runner]);
    await installed.rest.actions.deleteSelfHostedRunnerFromOrg({
      org: 'acme',
      runner_id: jit.data.runner.id,
    });
    const tokens = github.requests().filter(({ route }) => route === 'create-installation-token');
    expect(tokens).toHaveLength(1);
    expect(github.violations()).toEqual([]);
  });

  it("whose clock is wrong signs again by GitHub's clock", async () => {
    await github.close();
    clock = createManualClock(Date.now() - 30 * MINUTE_MS);
    github = await createStandInGitHub({ tokens: [], app: { keys: [KEY.publicKey] }, clock });
    const { data } = await octokit().rest.apps.getAuthenticated();
    expect(data).toMatchObject({ id: 4711 });
    expect(github.requests().map(({ status }) => status)).toEqual([401, 200]);
  });
});
