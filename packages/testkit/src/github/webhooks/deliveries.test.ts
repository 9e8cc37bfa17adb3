import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/rest';
import { verify, verifyWithFallback } from '@octokit/webhooks-methods';
import { createManualClock, type ManualClock } from '../../../../common/src/manual-clock.contract.js';
import { until } from '../until.js';
import { KEY, SECRET, createTestWebhooks, type TestWebhooks } from './test-webhooks.contract.js';

let test: TestWebhooks;
beforeEach(async () => {
  test = await createTestWebhooks();
});
afterEach(() => test.close());

describe('a delivery', () => {
  it('is signed over its raw body, and carries what GitHub sends', async () => {
    await test.start();
    test.github.queueJob();
    await test.github.webhooks.settled();
    const { headers, body } = test.firstReceived();
    const signature = String(headers['x-hub-signature-256']);
    expect(await verify(SECRET, body, signature)).toBe(true);
    expect(await verify('wrong', body, signature)).toBe(false);
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'x-github-event': 'workflow_job',
      'x-github-delivery': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'x-github-hook-id': String(test.github.webhooks.hookId),
      'x-github-hook-installation-target-id': '4711',
      'x-github-hook-installation-target-type': 'integration',
      'user-agent': expect.stringMatching(/^GitHub-Hookshot\//),
    });
  });

  it('of one event has the same GUID for all webhooks, and its own for another event', async () => {
    await test.start();
    const hook = { name: 'web', config: { url: test.receiver.url }, events: ['workflow_job'] };
    await test.call('POST', '/orgs/acme/hooks', hook);
    await test.github.webhooks.settled();
    test.receiver.received.length = 0;
    test.github.queueJob();
    test.github.queueJob();
    await test.github.webhooks.settled();
    const guids = test.receiver.received.map(({ headers }) => headers['x-github-delivery']);
    expect([guids.length, new Set(guids).size]).toEqual([4, 2]);
  });

  it('is signed with another secret from the moment that it is changed', async () => {
    await test.start();
    test.github.queueJob();
    test.github.webhooks.configure({ url: test.receiver.url, secret: 'new' });
    test.github.queueJob();
    await test.github.webhooks.settled();
    for (const { headers, body } of test.receiver.received)
      expect(await verifyWithFallback('new', body, String(headers['x-hub-signature-256']), [SECRET])).toBe(
        true,
      );
    test.github.webhooks.configure({ url: test.receiver.url });
    test.github.queueJob();
    await test.github.webhooks.settled();
    expect(test.receiver.received.at(-1)?.headers['x-hub-signature-256']).toBeUndefined();
  });

  it('is recorded with its answer, newest first, page by page', async () => {
    await test.start();
    for (let round = 0; round < 5; round += 1) {
      test.github.queueJob();
      await test.github.webhooks.settled();
    }
    const first = await test.list('?per_page=2');
    expect(first.json).toHaveLength(2);
    expect(first.json[0]).toMatchObject({
      status: 'OK',
      status_code: 202,
      redelivery: false,
      action: 'queued',
    });
    const next = /<([^>]+)>; rel="next"/.exec(first.headers.get('link') ?? '')?.[1] ?? '';
    const second = await test.list(new URL(next).search);
    const all = [...first.json, ...second.json].map(({ id }) => id);
    expect(all).toEqual([...all].sort((a, b) => b - a));
    expect(new Set(all).size).toBe(4);
    const whole = await test.call('GET', `/app/hook/deliveries/${all[0]}`, undefined, test.asApp());
    expect(whole.json).toMatchObject({
      url: test.receiver.url,
      request: { headers: { 'x-github-event': 'workflow_job' }, payload: { action: 'queued' } },
      response: { headers: { 'x-answered-by': 'test' }, payload: 'noted' },
    });
    expect((await test.list('?cursor=nonsense')).status).toBe(400);
  });

  it('is found by Octokit on whatever page it is', async () => {
    await test.start();
    for (let count = 0; count < 5; count += 1) test.github.queueJob();
    await test.github.webhooks.settled();
    const octokit = new Octokit({
      baseUrl: test.github.apiUrl,
      authStrategy: createAppAuth,
      auth: { appId: 4711, privateKey: KEY.privateKey },
    });
    const found = await octokit.paginate(octokit.rest.apps.listWebhookDeliveries, { per_page: 2 });
    expect(found.map(({ id }) => id).reverse()).toEqual(
      test.github.webhooks.deliveries().map(({ id }) => id),
    );
    const [first] = found;
    await octokit.rest.apps.redeliverWebhookDelivery({ delivery_id: first?.id ?? 0 });
    await test.github.webhooks.settled();
    expect(test.receiver.received).toHaveLength(6);
    expect(test.github.violations()).toEqual([]);
  });

  it('that is refused, or reaches nobody, has failed, and is found as that', async () => {
    await test.start();
    test.receiver.answerWith(503);
    test.github.queueJob();
    await test.github.webhooks.settled();
    test.receiver.answerWith(202);
    test.github.queueJob();
    await test.github.webhooks.settled();
    test.github.webhooks.configure({ url: 'http://127.0.0.1:9/nobody' });
    test.github.queueJob();
    await test.github.webhooks.settled();
    const failed = (await test.list('?status=failure')).json;
    expect(failed.map(({ status, status_code }) => [status, status_code])).toEqual([
      ['failed to connect to network', 502],
      ['Invalid HTTP Response: 503', 503],
    ]);
    expect((await test.list('?status=success')).json).toHaveLength(1);
    const [gone] = failed;
    const whole = await test.call('GET', `/app/hook/deliveries/${gone?.id}`, undefined, test.asApp());
    expect(whole.json['response']).toEqual({ headers: null, payload: null });
  });

  it('that is not answered within 10 s is broken off and has timed out', async () => {
    const clock: ManualClock = createManualClock();
    await test.start({ clock });
    test.receiver.answerWith('nothing');
    test.github.queueJob();
    await until('it is there', () => test.receiver.received.length === 1);
    clock.advance(9_999);
    expect(test.github.webhooks.deliveries()).toEqual([]);
    clock.advance(1);
    await test.github.webhooks.settled();
    expect(test.github.webhooks.deliveries()).toMatchObject([
      { status: 'timed out', statusCode: 504, durationMs: 10_000 },
    ]);
  });

  it('cannot be seen any more after three days', async () => {
    const clock: ManualClock = createManualClock();
    await test.start({ clock });
    test.github.queueJob();
    await test.github.webhooks.settled();
    clock.advance(3 * 24 * 3_600_000);
    expect(test.github.webhooks.deliveries()).toHaveLength(1);
    clock.advance(1);
    expect(test.github.webhooks.deliveries()).toEqual([]);
  });

  it('is only shown to the App', async () => {
    await test.start();
    test.github.queueJob();
    await test.github.webhooks.settled();
    expect((await test.list('', { authorization: 'Bearer secret' })).status).toBe(401);
  });
});
