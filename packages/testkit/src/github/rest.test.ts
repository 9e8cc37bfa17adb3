import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Job } from './job.js';
import type { RunnerResource } from './runner-resource.js';
import { createStandInGitHub, type StandInGitHub } from './stand-in-github.js';
import { until } from './until.js';

const RUNNER_FIELDS = [
  'busy',
  'ephemeral',
  'id',
  'labels',
  'name',
  'os',
  'runner_group_id',
  'status',
  'version',
];
const JIT = { name: 'vm-1', runner_group_id: 1, labels: ['self-hosted', 'pool-a'] };

/** All that the answers of these tests may have. */
interface AnyBody {
  id: number;
  message: string;
  token: string;
  expires_at: string;
  total_count: number;
  runner: RunnerResource;
  runners: RunnerResource[];
  encoded_jit_config: string;
  runner_groups: unknown[];
  rate: unknown;
  resources: { core: unknown };
  jobs: Job[];
}

let github: StandInGitHub;

beforeEach(async () => {
  github = await createStandInGitHub({
    tokens: ['secret'],
    runnerGroups: ['large'],
    onViolation: () => undefined, // strict.test.ts is about them
  });
});
afterEach(() => github.close());

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${github.url}${path}`, {
    method,
    headers: { authorization: 'Bearer secret', accept: 'application/vnd.github+json', ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const json = JSON.parse(text === '' ? '{}' : text) as AnyBody;
  return { status: response.status, headers: response.headers, json };
}

describe('credentials', () => {
  it('refuses a request without a token, with a wrong one, and with a wrong scheme', async () => {
    for (const authorization of ['', 'Bearer wrong', 'Basic secret']) {
      const answer = await call('GET', '/orgs/acme/actions/runners', undefined, { authorization });
      expect(answer.status).toBe(401);
      expect(answer.json).toEqual({
        message: expect.any(String),
        documentation_url: expect.any(String),
        status: '401',
      });
    }
  });

  it('accepts both spellings of the scheme', async () => {
    for (const authorization of ['Bearer secret', 'token secret']) {
      expect((await call('GET', '/rate_limit', undefined, { authorization })).status).toBe(200);
    }
  });

  it('knows one organization, in any case, and its repositories', async () => {
    expect((await call('GET', '/orgs/ACME/actions/runners')).status).toBe(200);
    expect((await call('GET', '/repos/acme/app/actions/runners')).status).toBe(200);
    expect((await call('GET', '/orgs/other/actions/runners')).status).toBe(404);
    expect((await call('GET', '/repos/other/app/actions/runners')).status).toBe(404);
    expect((await call('GET', '/orgs/acme/actions/nothing')).status).toBe(404);
  });
});

describe('tokens', () => {
  it('issues registration and remove tokens for an hour', async () => {
    for (const kind of ['registration-token', 'remove-token']) {
      const { status, json } = await call('POST', `/orgs/acme/actions/runners/${kind}`);
      expect(status).toBe(201);
      expect(json.token).toMatch(/^A[0-9A-F]{28}$/);
      const lifetimeMs = Date.parse(json.expires_at) - Date.now();
      expect(lifetimeMs).toBeGreaterThan(3_590_000);
      expect(lifetimeMs).toBeLessThanOrEqual(3_600_000);
    }
  });
});

describe('generate-jitconfig', () => {
  it('registers an ephemeral runner with the labels that were asked for and no others', async () => {
    const { status, json } = await call('POST', '/orgs/acme/actions/runners/generate-jitconfig', JIT);
    expect(status).toBe(201);
    expect(Object.keys(json.runner).sort()).toEqual(RUNNER_FIELDS);
    expect(json.runner).toMatchObject({
      name: 'vm-1',
      status: 'offline',
      busy: false,
      ephemeral: true,
      version: null,
    });
    expect(json.runner.labels.map((label) => label.name)).toEqual(['self-hosted', 'pool-a']);
    const files = JSON.parse(Buffer.from(json.encoded_jit_config, 'base64').toString()) as Record<
      string,
      string
    >;
    expect(Object.keys(files)).toEqual(['.runner', '.credentials', '.credentials_rsaparams']);
    expect(JSON.parse(Buffer.from(files['.runner'] ?? '', 'base64').toString())).toMatchObject({
      AgentId: String(json.runner.id),
      AgentName: 'vm-1',
      Ephemeral: 'True',
    });
  });

  it('refuses a name that exists in the scope, in any case, and allows it in another scope', async () => {
    await call('POST', '/orgs/acme/actions/runners/generate-jitconfig', JIT);
    const again = await call('POST', '/orgs/acme/actions/runners/generate-jitconfig', {
      ...JIT,
      name: 'VM-1',
    });
    expect(again.status).toBe(409);
    expect(again.json.message).toBe('Already exists - A runner with the name VM-1 already exists.');
    expect((await call('POST', '/repos/acme/app/actions/runners/generate-jitconfig', JIT)).status).toBe(201);
  });

  it('names every fault of a body', async () => {
    const { status, json } = await call('POST', '/orgs/acme/actions/runners/generate-jitconfig', {
      runner_group_id: '1',
      labels: [],
      work_folder: 3,
    });
    expect(status).toBe(422);
    for (const word of ['"name"', 'runner_group_id', 'labels', 'work_folder'])
      expect(json.message).toContain(word);
  });

  it('refuses what is no JSON, and a group that does not exist', async () => {
    expect((await call('POST', '/orgs/acme/actions/runners/generate-jitconfig', '{')).status).toBe(400);
    const unknown = { ...JIT, runner_group_id: 9 };
    expect((await call('POST', '/orgs/acme/actions/runners/generate-jitconfig', unknown)).status).toBe(404);
  });
});

describe('runners', () => {
  const jit = async (name: string): Promise<number> =>
    (await call('POST', '/orgs/acme/actions/runners/generate-jitconfig', { ...JIT, name })).json.runner.id;

  it('lists by page, with links, and by exact name', async () => {
    for (let index = 1; index <= 5; index += 1) await jit(`vm-${index}`);
    const page = await call('GET', '/orgs/acme/actions/runners?per_page=2&page=2');
    expect(page.json.total_count).toBe(5);
    expect(page.json.runners.map((runner) => runner.name)).toEqual(['vm-3', 'vm-4']);
    const link = page.headers.get('link') ?? '';
    for (const [rel, number] of Object.entries({ prev: 1, next: 3, last: 3, first: 1 })) {
      expect(link).toContain(
        `<${github.url}/orgs/acme/actions/runners?per_page=2&page=${number}>; rel="${rel}"`,
      );
    }
    const named = await call('GET', '/orgs/acme/actions/runners?name=vm-2');
    expect(named.json).toMatchObject({ total_count: 1, runners: [{ name: 'vm-2' }] });
    expect(named.headers.get('link')).toBeNull();
  });

  it('gets and deletes a runner once, and not from another scope', async () => {
    const id = await jit('vm-1');
    expect((await call('GET', `/orgs/acme/actions/runners/${id}`)).json).toMatchObject({ id, name: 'vm-1' });
    expect((await call('DELETE', `/repos/acme/app/actions/runners/${id}`)).status).toBe(404);
    expect((await call('DELETE', `/orgs/acme/actions/runners/${id}`)).status).toBe(204);
    expect((await call('DELETE', `/orgs/acme/actions/runners/${id}`)).status).toBe(404);
    expect((await call('GET', '/orgs/acme/actions/runners/abc')).status).toBe(404);
  });

  it('lists the groups of the organization, which a repository has none of', async () => {
    const { json } = await call('GET', '/orgs/acme/actions/runner-groups');
    expect(json.total_count).toBe(2);
    expect(json.runner_groups[0]).toEqual({
      id: 1,
      name: 'Default',
      visibility: 'all',
      default: true,
      runners_url: `${github.url}/orgs/acme/actions/runner-groups/1/runners`,
      inherited: false,
      allows_public_repositories: false,
    });
    expect((await call('GET', '/repos/acme/app/actions/runner-groups')).status).toBe(404);
  });
});

describe('limits', () => {
  it('counts requests, but neither those for the limit nor those that are not modified', async () => {
    const first = await call('GET', '/orgs/acme/actions/runners');
    expect(first.headers.get('x-ratelimit-remaining')).toBe('4999');
    expect(first.headers.get('x-github-request-id')).toMatch(/^[0-9A-F:]+$/);
    const etag = first.headers.get('etag') ?? '';
    const second = await call('GET', '/orgs/acme/actions/runners', undefined, { 'if-none-match': etag });
    expect(second.status).toBe(304);
    const limit = await call('GET', '/rate_limit');
    expect(limit.json.rate).toMatchObject({ limit: 5000, remaining: 4999, used: 1 });
    expect(limit.json.resources.core).toEqual(limit.json.rate);
  });

  it('refuses when nothing remains, and says when it will again', async () => {
    github.rateLimit.setRemaining(0);
    const { status, headers, json } = await call('GET', '/orgs/acme/actions/runners');
    expect(status).toBe(403);
    expect(json.message).toContain('API rate limit exceeded');
    expect(headers.get('x-ratelimit-remaining')).toBe('0');
    expect(Number(headers.get('x-ratelimit-reset')) * 1000).toBeGreaterThan(Date.now());
  });
});

describe('faults', () => {
  const id = async () =>
    (await call('POST', '/orgs/acme/actions/runners/generate-jitconfig', JIT)).json.runner.id;

  it('fails the next requests of a route before they take effect, and then no more', async () => {
    const path = `/orgs/acme/actions/runners/${await id()}`;
    github.faults.failNext('delete-runner', { status: 503, count: 2 });
    expect((await call('DELETE', path)).status).toBe(503);
    expect((await call('GET', path)).status).toBe(200);
    expect((await call('DELETE', path)).status).toBe(503);
    expect((await call('DELETE', path)).status).toBe(204);
  });

  it('loses the answer of a request that took effect', async () => {
    const path = `/orgs/acme/actions/runners/${await id()}`;
    github.faults.failNext('delete-runner', { status: 'no-answer', afterEffect: true });
    await expect(call('DELETE', path)).rejects.toThrow('fetch failed');
    expect(github.runners()).toEqual([]);
    expect(github.requests().at(-1)).toMatchObject({ route: 'delete-runner', status: 'no-answer' });
  });

  it('holds a route until it is released', async () => {
    const path = `/orgs/acme/actions/runners/${await id()}`;
    const hold = github.faults.hold('delete-runner');
    const deletion = call('DELETE', path);
    while (hold.waiting() === 0) expect((await call('GET', path)).status).toBe(200);
    expect(github.runners()).toHaveLength(1);
    hold.release();
    expect((await deletion).status).toBe(204);
  });

  it('delays a route', async () => {
    github.faults.delay('get-runner', 60);
    const path = `/orgs/acme/actions/runners/${await id()}`;
    const before = performance.now();
    await call('GET', path);
    expect(performance.now() - before).toBeGreaterThanOrEqual(55);
  });

  it('resets a connection', async () => {
    github.faults.failNext('list-runners', { status: 'reset' });
    const failed = await call('GET', '/orgs/acme/actions/runners').catch((error: unknown) => error as Error);
    expect(failed).toMatchObject({ cause: { code: 'ECONNRESET' } });
    expect(github.requests().at(-1)).toMatchObject({ route: 'list-runners', status: 'reset' });
    expect((await call('GET', '/orgs/acme/actions/runners')).status).toBe(200);
  });

  it('says nothing at all, until its client gives up', async () => {
    github.faults.failNext('list-runners', { status: 'silence' });
    const patience = new AbortController();
    const asked = fetch(`${github.url}/orgs/acme/actions/runners`, {
      headers: { authorization: 'Bearer secret' },
      signal: patience.signal,
    });
    await until('it has the request', () => github.requests().at(-1)?.status === 'silence');
    patience.abort();
    await expect(asked).rejects.toThrow('aborted');
  });

  it('makes so many requests slow, before or after they take effect', async () => {
    const path = `/orgs/acme/actions/runners/${await id()}`;
    github.faults.delayNext('get-runner', { delayMs: 60 });
    github.faults.delayNext('delete-runner', { delayMs: 60, afterEffect: true });
    const before = performance.now();
    await call('GET', path);
    expect(performance.now() - before).toBeGreaterThanOrEqual(55);
    const deletion = call('DELETE', path);
    await until('deleted', () => github.runners().length === 0);
    expect(github.requests().at(-1)).toMatchObject({ method: 'GET' });
    expect((await deletion).status).toBe(204);
  });

  it('cannot be reached until it can', async () => {
    github.faults.setReachable(false);
    await expect(call('GET', '/rate_limit')).rejects.toThrow('fetch failed');
    github.faults.setReachable(true);
    expect((await call('GET', '/rate_limit')).status).toBe(200);
  });
});

describe('administration over HTTP', () => {
  it('queues a job and shows it', async () => {
    const { status, json } = await call('POST', '/_stand-in/admin/jobs', { name: 'build', durationMs: 5 });
    expect(status).toBe(201);
    expect((await call('GET', `/_stand-in/admin/jobs/${json.id}`)).json).toMatchObject({
      name: 'build',
      status: 'queued',
    });
    expect((await call('GET', '/_stand-in/admin/jobs')).json.jobs).toHaveLength(1);
  });

  it('names every fault of a job', async () => {
    const { status, json } = await call('POST', '/_stand-in/admin/jobs', { durationMs: '5s', duration: 3 });
    expect(status).toBe(422);
    expect(json.message).toContain(`For 'properties/durationMs', "5s" is not milliseconds`);
    expect(json.message).toContain('"duration" is not a permitted key');
  });

  it('sets faults', async () => {
    await call('POST', '/_stand-in/admin/faults', { failNext: { route: 'list-runners', status: 502 } });
    expect((await call('GET', '/orgs/acme/actions/runners')).status).toBe(502);
    await call('POST', '/_stand-in/admin/faults', { rateLimitRemaining: 0 });
    expect((await call('GET', '/orgs/acme/actions/runners')).status).toBe(403);
  });

  it('names a fault or a route that does not exist, and sets nothing', async () => {
    const body = { busyLag: 1, failNext: { route: 'list-runnerz', status: 500 }, rateLimitRemaining: 0 };
    const { status, json } = await call('POST', '/_stand-in/admin/faults', body);
    expect(status).toBe(422);
    expect(json.message).toContain('"busyLag" is not a permitted key');
    expect(json.message).toContain('"list-runnerz" is no route');
    expect((await call('GET', '/orgs/acme/actions/runners')).status).toBe(200);
  });
});
