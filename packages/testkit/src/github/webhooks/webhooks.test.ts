/** Webhooks over real sockets, to a receiver that keeps what it gets. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/rest';
import { verify, verifyWithFallback } from '@octokit/webhooks-methods';
import { createManualClock, type ManualClock } from '../../../../common/src/manual-clock.contract.js';
import { createAppKey, signAppJwt } from '../app/app-key.js';
import { findPayloadFaults, readExamplePayloads } from '../description/workflow-job-schemas.js';
import { createStandInGitHub, type StandInGitHub, type StandInGitHubOptions } from '../stand-in-github.js';
import { createTestCall } from '../test-client.contract.js';
import { CANCELED, registerRunner, SUCCESS } from '../test-runner.contract.js';
import { until } from '../until.js';
import { createTestReceiver, type ReceivedWebhook, type TestReceiver } from './test-receiver.contract.js';

const KEY = createAppKey();
const SECRET = 'a webhook secret';

let github: StandInGitHub;
let receiver: TestReceiver;
const call = createTestCall(() => github);

const start = async (options: Partial<StandInGitHubOptions> = {}) => {
  github = await createStandInGitHub({
    tokens: ['secret'],
    app: { keys: [KEY.publicKey] },
    webhook: { url: receiver.url, secret: SECRET },
    ...options,
  });
};

beforeEach(async () => {
  receiver = await createTestReceiver();
});
afterEach(async () => {
  await github.close();
  await receiver.close();
});

/** The one that came first. */
function firstReceived(): ReceivedWebhook {
  const [first] = receiver.received;
  if (first === undefined) throw new Error('nothing was received');
  return first;
}
const told = () => receiver.received.map(({ payload }) => [payload.action, payload.workflow_job.id]);
const nowS = () => Math.floor(Date.now() / 1000);
const asApp = () => ({
  authorization: `Bearer ${signAppJwt(KEY.privateKey, { iss: '4711', iat: nowS() - 60, exp: nowS() + 300 })}`,
});

interface Item {
  readonly id: number;
  readonly guid: string;
  readonly status: string;
  readonly status_code: number;
  readonly redelivery: boolean;
  readonly duration: number;
  readonly action: string;
}
const list = (query = '', headers: Record<string, string> = asApp()) =>
  call<Item[]>('GET', `/app/hook/deliveries${query}`, undefined, headers);

async function runJob() {
  const runner = await registerRunner(github, github.issueToken('registration'));
  const session = await runner.openSession();
  const { id } = github.queueJob({ steps: [{ name: 'make', run: 'true' }] });
  await runner.poll(session);
  await runner.job(id, 'acquire');
  await runner.job(id, 'complete', SUCCESS);
  await github.webhooks.settled();
  return { id, runnerId: runner.id };
}

describe('workflow_job', () => {
  it('is told of every step of a job, with the runner that took it, in the shape that GitHub has', async () => {
    await start({ runnerGroups: ['large'] });
    const { id, runnerId } = await runJob();
    await until('all three', () => receiver.received.length === 3);
    const events = new Map(receiver.received.map(({ payload }) => [payload.action, payload]));
    expect([...events.keys()].sort()).toEqual(['completed', 'in_progress', 'queued']);
    for (const { payload } of receiver.received) expect(findPayloadFaults(payload)).toEqual([]);
    expect(events.get('queued')?.workflow_job).toMatchObject({ id, status: 'queued', runner_name: null });
    const runner = {
      runner_id: runnerId,
      runner_name: 'vm-1',
      runner_group_id: 1,
      runner_group_name: 'Default',
    };
    expect(events.get('in_progress')?.workflow_job).toMatchObject({ ...runner, status: 'in_progress' });
    expect(events.get('completed')?.workflow_job).toMatchObject({
      ...runner,
      conclusion: 'success',
      labels: ['self-hosted'],
    });
    expect(events.get('queued')?.installation?.id).toBe(github.app?.installationId('acme'));
  });

  it("has no field that GitHub's own examples do not have", async () => {
    await start();
    await runJob();
    const examples = readExamplePayloads() as { workflow_job: object; repository: object }[];
    const known = (part: 'workflow_job' | 'repository') =>
      new Set(examples.flatMap((example) => Object.keys(example[part])));
    for (const { payload } of receiver.received) {
      for (const part of ['workflow_job', 'repository'] as const)
        expect(Object.keys(payload[part]).filter((key) => !known(part).has(key))).toEqual([]);
    }
  });

  it('of a job that waits for approval is told as queued with the status waiting, and again when it is queued', async () => {
    await start();
    const { id } = github.queueJob({ environment: 'production' });
    await until('both', () => receiver.received.length === 2);
    const first = receiver.received
      .map(({ payload }) => [payload.action, payload.workflow_job.status])
      .sort();
    expect(first).toEqual([
      ['queued', 'waiting'],
      ['waiting', 'waiting'],
    ]);
    expect(firstReceived().payload.deployment).toMatchObject({ environment: 'production' });
    expect((await call('POST', `/_stand-in/admin/jobs/${id}/approve`)).status).toBe(200);
    await until('approved', () => receiver.received.length === 3);
    expect(receiver.received[2]?.payload).toMatchObject({
      action: 'queued',
      workflow_job: { status: 'queued' },
    });
    expect((await call('POST', `/_stand-in/admin/jobs/${id}/approve`)).status).toBe(409);
  });

  it('of a job that was cancelled in its run is told as cancelled', async () => {
    await start({ jobLostAfterMs: 400 });
    const runner = await registerRunner(github, github.issueToken('registration'));
    const session = await runner.openSession();
    const { id, run_id: runId } = github.queueJob();
    await runner.poll(session);
    await runner.job(id, 'acquire');
    expect((await call('POST', `/repos/acme/app/actions/runs/${runId}/cancel`)).status).toBe(202);
    expect(await runner.job(id, 'renew')).toBe(409);
    await runner.job(id, 'complete', CANCELED);
    await until('completed', () => told().some(([action]) => action === 'completed'));
    expect(receiver.received.at(-1)?.payload.workflow_job).toMatchObject({ conclusion: 'cancelled' });
    expect(github.jobsKilled()).toEqual([]);
  });

  it("is not told of another organization's jobs, nor once the App is suspended", async () => {
    await start({ otherOrganizations: ['other'], app: { keys: [KEY.publicKey], installedAt: ['acme'] } });
    github.queueJob({ repository: 'other/app' });
    github.queueJob({ repository: 'nobody/app' });
    const { id } = github.queueJob();
    await github.webhooks.settled();
    github.app?.suspend('acme');
    github.queueJob();
    await github.webhooks.settled();
    expect(told()).toEqual([['queued', id]]);
  });
});

describe('a delivery', () => {
  it('is signed over its raw body, and carries what GitHub sends', async () => {
    await start();
    github.queueJob();
    await github.webhooks.settled();
    const { headers, body } = firstReceived();
    const signature = String(headers['x-hub-signature-256']);
    expect(await verify(SECRET, body, signature)).toBe(true);
    expect(await verify('wrong', body, signature)).toBe(false);
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'x-github-event': 'workflow_job',
      'x-github-delivery': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'x-github-hook-id': String(github.webhooks.hookId),
      'x-github-hook-installation-target-id': '4711',
      'x-github-hook-installation-target-type': 'integration',
      'user-agent': expect.stringMatching(/^GitHub-Hookshot\//),
    });
  });

  it('of one event has the same GUID for all webhooks, and its own for another event', async () => {
    await start();
    const hook = { name: 'web', config: { url: receiver.url }, events: ['workflow_job'] };
    await call('POST', '/orgs/acme/hooks', hook);
    await github.webhooks.settled();
    receiver.received.length = 0;
    github.queueJob();
    github.queueJob();
    await github.webhooks.settled();
    const guids = receiver.received.map(({ headers }) => headers['x-github-delivery']);
    expect([guids.length, new Set(guids).size]).toEqual([4, 2]);
  });

  it('is signed with another secret from the moment that it is changed', async () => {
    await start();
    github.queueJob();
    github.webhooks.configure({ url: receiver.url, secret: 'new' });
    github.queueJob();
    await github.webhooks.settled();
    for (const { headers, body } of receiver.received)
      expect(await verifyWithFallback('new', body, String(headers['x-hub-signature-256']), [SECRET])).toBe(
        true,
      );
    github.webhooks.configure({ url: receiver.url });
    github.queueJob();
    await github.webhooks.settled();
    expect(receiver.received.at(-1)?.headers['x-hub-signature-256']).toBeUndefined();
  });

  it('is recorded with its answer, newest first, page by page', async () => {
    await start();
    for (let round = 0; round < 5; round += 1) {
      github.queueJob();
      await github.webhooks.settled();
    }
    const first = await list('?per_page=2');
    expect(first.json).toHaveLength(2);
    expect(first.json[0]).toMatchObject({
      status: 'OK',
      status_code: 202,
      redelivery: false,
      action: 'queued',
    });
    const next = /<([^>]+)>; rel="next"/.exec(first.headers.get('link') ?? '')?.[1] ?? '';
    const second = await list(new URL(next).search);
    const all = [...first.json, ...second.json].map(({ id }) => id);
    expect(all).toEqual([...all].sort((a, b) => b - a));
    expect(new Set(all).size).toBe(4);
    const whole = await call('GET', `/app/hook/deliveries/${all[0]}`, undefined, asApp());
    expect(whole.json).toMatchObject({
      url: receiver.url,
      request: { headers: { 'x-github-event': 'workflow_job' }, payload: { action: 'queued' } },
      response: { headers: { 'x-answered-by': 'test' }, payload: 'noted' },
    });
    expect((await list('?cursor=nonsense')).status).toBe(400);
  });

  it('is found by Octokit on whatever page it is', async () => {
    await start();
    for (let count = 0; count < 5; count += 1) github.queueJob();
    await github.webhooks.settled();
    const octokit = new Octokit({
      baseUrl: github.apiUrl,
      authStrategy: createAppAuth,
      auth: { appId: 4711, privateKey: KEY.privateKey },
    });
    const found = await octokit.paginate(octokit.rest.apps.listWebhookDeliveries, { per_page: 2 });
    expect(found.map(({ id }) => id).reverse()).toEqual(github.webhooks.deliveries().map(({ id }) => id));
    const [first] = found;
    await octokit.rest.apps.redeliverWebhookDelivery({ delivery_id: first?.id ?? 0 });
    await github.webhooks.settled();
    expect(receiver.received).toHaveLength(6);
    expect(github.violations()).toEqual([]);
  });

  it('that is refused, or reaches nobody, has failed, and is found as that', async () => {
    await start();
    receiver.answerWith(503);
    github.queueJob();
    await github.webhooks.settled();
    receiver.answerWith(202);
    github.queueJob();
    await github.webhooks.settled();
    github.webhooks.configure({ url: 'http://127.0.0.1:9/nobody' });
    github.queueJob();
    await github.webhooks.settled();
    const failed = (await list('?status=failure')).json;
    expect(failed.map(({ status, status_code }) => [status, status_code])).toEqual([
      ['failed to connect to network', 502],
      ['Invalid HTTP Response: 503', 503],
    ]);
    expect((await list('?status=success')).json).toHaveLength(1);
    const [gone] = failed;
    const whole = await call('GET', `/app/hook/deliveries/${gone?.id}`, undefined, asApp());
    expect(whole.json['response']).toEqual({ headers: null, payload: null });
  });

  it('that is not answered within 10 s is broken off and has timed out', async () => {
    const clock: ManualClock = createManualClock();
    await start({ clock });
    receiver.answerWith('nothing');
    github.queueJob();
    await until('it is there', () => receiver.received.length === 1);
    clock.advance(9_999);
    expect(github.webhooks.deliveries()).toEqual([]);
    clock.advance(1);
    await github.webhooks.settled();
    expect(github.webhooks.deliveries()).toMatchObject([
      { status: 'timed out', statusCode: 504, durationMs: 10_000 },
    ]);
  });

  it('cannot be seen any more after three days', async () => {
    const clock: ManualClock = createManualClock();
    await start({ clock });
    github.queueJob();
    await github.webhooks.settled();
    clock.advance(3 * 24 * 3_600_000);
    expect(github.webhooks.deliveries()).toHaveLength(1);
    clock.advance(1);
    expect(github.webhooks.deliveries()).toEqual([]);
  });

  it('is only shown to the App', async () => {
    await start();
    github.queueJob();
    await github.webhooks.settled();
    expect((await list('', { authorization: 'Bearer secret' })).status).toBe(401);
  });
});

describe('a redelivery', () => {
  it('has the GUID and the payload of the first attempt, and is marked', async () => {
    await start();
    receiver.answerWith(500);
    github.queueJob();
    await github.webhooks.settled();
    receiver.answerWith(202);
    const [failed] = (await list()).json;
    const again = await call('POST', `/app/hook/deliveries/${failed?.id}/attempts`, undefined, asApp());
    expect(again.status).toBe(202);
    await github.webhooks.settled();
    const [first, second] = receiver.received;
    expect(second?.headers['x-github-delivery']).toBe(first?.headers['x-github-delivery']);
    expect(second?.body).toBe(first?.body);
    expect((await list()).json.map(({ guid, redelivery, status }) => [guid, redelivery, status])).toEqual([
      [failed?.guid, true, 'OK'],
      [failed?.guid, false, 'Invalid HTTP Response: 500'],
    ]);
    expect((await call('POST', '/app/hook/deliveries/1/attempts', undefined, asApp())).status).toBe(404);
  });

  it('can be had by a test, in process and over HTTP', async () => {
    await start();
    github.queueJob();
    await github.webhooks.settled();
    const [delivery] = github.webhooks.deliveries();
    expect(github.webhooks.redeliver(delivery?.id ?? 0)).toBe(true);
    const path = `/_stand-in/admin/deliveries/${delivery?.id}/attempts`;
    expect((await call('POST', path)).status).toBe(202);
    await github.webhooks.settled();
    expect(receiver.received).toHaveLength(3);
    const shown = await call<{ deliveries: unknown[] }>('GET', '/_stand-in/admin/deliveries');
    expect(shown.json.deliveries).toHaveLength(3);
  });
});

describe('faults', () => {
  it('lose a delivery, which is on the list and can be had again, or which nobody ever hears of', async () => {
    await start();
    github.webhooks.faults.loseNext({ action: 'queued' });
    github.webhooks.faults.loseNext({ recorded: false });
    github.queueJob();
    github.queueJob();
    const { id } = github.queueJob();
    await github.webhooks.settled();
    expect(told()).toEqual([['queued', id]]);
    expect((await list()).json.map(({ status }) => status).sort()).toEqual([
      'OK',
      'failed to connect to host',
    ]);
  });

  it('send a delivery twice, with one GUID', async () => {
    await start();
    github.webhooks.faults.duplicateNext();
    github.queueJob();
    github.queueJob();
    await github.webhooks.settled();
    const guids = receiver.received.map(({ headers }) => headers['x-github-delivery']);
    expect([guids.length, new Set(guids).size]).toEqual([3, 2]);
  });

  it('keep deliveries until all are there and send them in the opposite order', async () => {
    await start();
    github.webhooks.faults.reorderNext(3);
    const jobs = [github.queueJob(), github.queueJob()];
    await github.webhooks.settled();
    expect(told()).toEqual([]);
    jobs.push(github.queueJob(), github.queueJob());
    await github.webhooks.settled();
    const ids = told().map(([, id]) => id);
    const [first, second, third, fourth] = jobs.map(({ id }) => id);
    expect(ids.filter((id) => id !== fourth)).toEqual([third, second, first]);
    expect(ids).toHaveLength(4);
  });

  it('delay a delivery while others overtake it', async () => {
    await start();
    github.webhooks.faults.delayNext({ delayMs: 30 });
    const late = github.queueJob();
    const early = github.queueJob();
    await github.webhooks.settled();
    expect(told()).toEqual([
      ['queued', early.id],
      ['queued', late.id],
    ]);
  });

  it('leave out the labels of a job that is over', async () => {
    await start();
    github.webhooks.faults.setEmptyLabels(true);
    await runJob();
    const completed = receiver.received.find(({ payload }) => payload.action === 'completed');
    expect(completed?.payload.workflow_job['labels']).toEqual([]);
  });

  it('by chance are the same for the same seed', async () => {
    const round = async () => {
      await start();
      receiver.received.length = 0;
      github.webhooks.faults.setChaos({ seed: 3, lost: 0.3, duplicated: 0.3, delayMs: { min: 0, max: 10 } });
      for (let count = 0; count < 20; count += 1) github.queueJob();
      await github.webhooks.settled();
      return told()
        .map(([, id]) => Number(id))
        .sort((a, b) => a - b);
    };
    const first = await round();
    await github.close();
    expect(await round()).toEqual(first);
    const counts = new Map<number, number>();
    for (const id of first) counts.set(id, (counts.get(id) ?? 0) + 1);
    expect(counts.size).toBeLessThan(20);
    expect([...counts.values()]).toContain(2);
  });

  it('are set over HTTP too', async () => {
    await start();
    const set = (body: unknown) => call('POST', '/_stand-in/admin/faults', body);
    expect((await set({ webhooks: { loseNext: { count: 2 } } })).status).toBe(200);
    github.queueJob();
    github.queueJob();
    const { id } = github.queueJob();
    await github.webhooks.settled();
    expect(told()).toEqual([['queued', id]]);
  });
});

describe('where webhooks lead', () => {
  it("is the App's own webhook, which the App can change", async () => {
    await start({ webhook: undefined as never });
    github.queueJob();
    await github.webhooks.settled();
    const config = { url: receiver.url, content_type: 'json', secret: 'by the App' };
    const changed = await call('PATCH', '/app/hook/config', config, asApp());
    expect(changed.json).toEqual({ ...config, secret: '********', insecure_ssl: '0' });
    github.queueJob();
    await github.webhooks.settled();
    expect(receiver.received).toHaveLength(1);
    const { headers, body } = firstReceived();
    expect(await verify('by the App', body, String(headers['x-hub-signature-256']))).toBe(true);
  });

  it('without an App is the webhook of the organization, with its own list of deliveries', async () => {
    await start({ app: undefined as never });
    github.queueJob();
    await github.webhooks.settled();
    expect(firstReceived().headers).toMatchObject({
      'x-github-hook-installation-target-type': 'organization',
    });
    expect(firstReceived().payload.installation).toBeUndefined();
    const path = `/orgs/acme/hooks/${github.webhooks.hookId}/deliveries`;
    const deliveries = await call<Item[]>('GET', path);
    expect(deliveries.json).toHaveLength(1);
    expect((await call('POST', `${path}/${deliveries.json[0]?.id}/attempts`)).status).toBe(202);
    await github.webhooks.settled();
    expect(receiver.received).toHaveLength(2);
  });

  it('is set by a process that knows its address only later', async () => {
    await start({ webhook: undefined as never });
    const body = { url: receiver.url, secret: SECRET };
    expect((await call('PUT', '/_stand-in/admin/webhook', body)).json).toEqual({
      hook_id: github.webhooks.hookId,
    });
    expect((await call('PUT', '/_stand-in/admin/webhook', { url: 'nowhere' })).status).toBe(422);
    github.queueJob();
    await github.webhooks.settled();
    expect(receiver.received).toHaveLength(1);
  });

  it('is a webhook that was made over REST, which is greeted with a ping', async () => {
    await start({ webhook: undefined as never });
    const hook = { name: 'web', config: { url: receiver.url, secret: 's' }, events: ['workflow_job'] };
    const made = await call<{ id: number }>('POST', '/repos/acme/app/hooks', hook);
    expect(made.status).toBe(201);
    github.queueJob();
    github.queueJob({ repository: 'acme/web' });
    await github.webhooks.settled();
    expect(receiver.received.map(({ headers }) => headers['x-github-event']).sort()).toEqual([
      'ping',
      'workflow_job',
    ]);
    expect(firstReceived().headers['content-type']).toBe('application/x-www-form-urlencoded');
    const deliveries = await call<Item[]>('GET', `/repos/acme/app/hooks/${made.json.id}/deliveries`);
    expect(deliveries.json).toHaveLength(2);
    expect((await call('GET', `/repos/acme/web/hooks/${made.json.id}/deliveries`)).status).toBe(404);
  });
});
