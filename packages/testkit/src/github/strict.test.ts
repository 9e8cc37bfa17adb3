/** What GitHub's description rejects, and what becomes of it. */
import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createAppKey, signAppJwt } from './app/app-key.js';
import { loadDescription } from './description/description.js';
import type { RouteName } from './exchange.js';
import { createStandInGitHub, type StandInGitHub } from './stand-in-github.js';
import { createTestCall } from './test-client.contract.js';
import type { Violation } from './violations.js';

const JIT_PATH = '/orgs/acme/actions/runners/generate-jitconfig';
const JIT = { name: 'vm-1', runner_group_id: 1, labels: ['self-hosted'] };
const KEY = createAppKey();

let github: StandInGitHub;
let told: Violation[];
const call = createTestCall(() => github);

beforeEach(async () => {
  told = [];
  github = await createStandInGitHub({
    tokens: ['secret'],
    enterprise: 'big',
    app: { keys: [KEY.publicKey] },
    onViolation: (violation) => told.push(violation),
  });
});
afterEach(() => github.close());

describe('a request that GitHub rejects', () => {
  it.each<[string, string, string, unknown, number, RouteName | 'unknown', string]>([
    ['an unknown path', 'GET', '/orgs/acme/actions/runnerz', undefined, 404, 'unknown', 'no such path'],
    ['an unknown method', 'PATCH', '/orgs/acme/actions/runners', {}, 404, 'unknown', 'no such path'],
    ['a missing field', 'POST', JIT_PATH, { ...JIT, name: undefined }, 422, 'generate-jitconfig', '"name"'],
    [
      'a wrong type',
      'POST',
      JIT_PATH,
      { ...JIT, runner_group_id: '1' },
      422,
      'generate-jitconfig',
      'integer',
    ],
    ['no labels', 'POST', JIT_PATH, { ...JIT, labels: [] }, 422, 'generate-jitconfig', 'labels'],
    ['no body', 'POST', JIT_PATH, undefined, 422, 'generate-jitconfig', 'body is required'],
    ['a wrong id', 'GET', '/orgs/acme/actions/runners/vm-1', undefined, 404, 'get-runner', 'runner_id'],
  ])(
    'for %s is answered as GitHub does and recorded',
    async (_what, method, path, body, status, route, fault) => {
      const answer = await call(method, path, body);
      expect(answer.status).toBe(status);
      expect(answer.json['message']).toEqual(expect.any(String));
      expect(answer.json['documentation_url']).toMatch(/^https:\/\/docs\.github\.com/);
      expect(github.violations()).toMatchObject([
        { method, path, route, faults: [expect.stringContaining(fault)] },
      ]);
      expect(told).toEqual(github.violations());
      expect(github.runners()).toEqual([]);
    },
  );

  it('for a query that makes no sense is answered as if it had none, and recorded', async () => {
    const answer = await call('GET', '/orgs/acme/actions/runners?per_page=many');
    expect(answer.status).toBe(200);
    expect(github.violations()).toMatchObject([{ path: '/orgs/acme/actions/runners?per_page=many' }]);
  });

  it('is told to whoever listens to events, and over HTTP', async () => {
    const events: unknown[] = [];
    const other = await createStandInGitHub({
      tokens: ['secret'],
      onEvent: (event) => events.push(event),
      onViolation: () => undefined,
    });
    await createTestCall(() => other)('POST', JIT_PATH, {});
    expect(events).toMatchObject([
      { event: 'request_rejected', operation: 'actions/generate-runner-jitconfig-for-org', path: JIT_PATH },
    ]);
    const shown = await createTestCall(() => other)('GET', '/_stand-in/admin/violations');
    expect(shown.json).toMatchObject({ violations: [{ path: JIT_PATH }] });
    await other.close();
  });
});

describe('a request that is no request', () => {
  it.each([
    ['an address that is none', '//', 'x'],
    ['a host that is none', '/rate_limit', 'a b%'],
  ])('for %s is refused, and is no defect of the stand-in', async (_what, path, host) => {
    const { port } = github;
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { host, authorization: 'token secret', 'user-agent': 'test' };
      const asked = request({ host: '127.0.0.1', port, path, headers }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
      asked.on('error', reject).end();
    });
    expect(status).toBe(400);
    expect(github.defects()).toEqual([]);
  });
});

describe('a request that GitHub describes', () => {
  it('has a route here, whatever it is, and an answer that GitHub could give', async () => {
    const now = Math.floor(Date.now() / 1000);
    const jwt = signAppJwt(KEY.privateKey, { iss: '4711', iat: now, exp: now + 300 });
    const { json } = await call<{ runner: { id: number } }>('POST', JIT_PATH, JIT);
    const { id } = github.queueJob();
    const values: Record<string, string> = {
      org: 'acme',
      owner: 'acme',
      repo: 'app',
      enterprise: 'big',
      runner_id: String(json.runner.id),
      runner_group_id: '1',
      job_id: String(id),
      run_id: String(1_000_000 + id),
      attempt_number: '1',
      installation_id: String(github.app?.installationId('acme')),
      hook_id: String(github.webhooks.hookId),
      delivery_id: '1',
      name: 'gone',
      code: 'x',
    };
    const bodies: Record<string, unknown> = {
      'generate-jitconfig': JIT,
      labels: { labels: ['gpu'] },
      config: { content_type: 'json' },
      hooks: { name: 'web', config: { url: 'http://127.0.0.1:9/hook' }, events: ['workflow_job'] },
    };
    const { operations } = await loadDescription();
    expect(operations).toHaveLength(76);
    for (const operation of operations) {
      const path = operation.path.replace(/\{(\w+)\}/g, (_named, name: string) => values[name] ?? 'missing');
      const hasBody = operation.method !== 'GET' && operation.method !== 'DELETE';
      const body = hasBody ? bodies[path.split('/').at(-1) ?? ''] : undefined;
      const authorization = `Bearer ${/^\/app\/|^\/app$|\/installation$/.test(operation.path) ? jwt : 'secret'}`;
      const { status } = await call(operation.method, path, body, { authorization });
      expect([operation.id, status]).not.toEqual([operation.id, 401]);
      expect([operation.id, status < 500]).toEqual([operation.id, true]);
      expect(github.requests().at(-1)).not.toMatchObject({ route: 'unknown' });
    }
    expect(github.defects()).toEqual([]);
    expect(told).toEqual([]);
  });
});
