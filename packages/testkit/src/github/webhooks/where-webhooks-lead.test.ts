import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { verify } from '@octokit/webhooks-methods';
import {
  SECRET,
  createTestWebhooks,
  type DeliveryItem,
  type TestWebhooks,
} from './test-webhooks.contract.js';

let test: TestWebhooks;
beforeEach(async () => {
  test = await createTestWebhooks();
});
afterEach(() => test.close());

describe('where webhooks lead', () => {
  it("is the App's own webhook, which the App can change", async () => {
    await test.start({ webhook: undefined as never });
    test.github.queueJob();
    await test.github.webhooks.settled();
    const config = { url: test.receiver.url, content_type: 'json', secret: 'by the App' };
    const changed = await test.call('PATCH', '/app/hook/config', config, test.asApp());
    expect(changed.json).toEqual({ ...config, secret: '********', insecure_ssl: '0' });
    test.github.queueJob();
    await test.github.webhooks.settled();
    expect(test.receiver.received).toHaveLength(1);
    const { headers, body } = test.firstReceived();
    expect(await verify('by the App', body, String(headers['x-hub-signature-256']))).toBe(true);
  });

  it('without an App is the webhook of the organization, with its own list of deliveries', async () => {
    await test.start({ app: undefined as never });
    test.github.queueJob();
    await test.github.webhooks.settled();
    expect(test.firstReceived().headers).toMatchObject({
      'x-github-hook-installation-target-type': 'organization',
    });
    expect(test.firstReceived().payload.installation).toBeUndefined();
    const path = `/orgs/acme/hooks/${test.github.webhooks.hookId}/deliveries`;
    const deliveries = await test.call<DeliveryItem[]>('GET', path);
    expect(deliveries.json).toHaveLength(1);
    expect((await test.call('POST', `${path}/${deliveries.json[0]?.id}/attempts`)).status).toBe(202);
    await test.github.webhooks.settled();
    expect(test.receiver.received).toHaveLength(2);
  });

  it('is set by a process that knows its address only later', async () => {
    await test.start({ webhook: undefined as never });
    const body = { url: test.receiver.url, secret: SECRET };
    expect((await test.call('PUT', '/_stand-in/admin/webhook', body)).json).toEqual({
      hook_id: test.github.webhooks.hookId,
    });
    expect((await test.call('PUT', '/_stand-in/admin/webhook', { url: 'nowhere' })).status).toBe(422);
    test.github.queueJob();
    await test.github.webhooks.settled();
    expect(test.receiver.received).toHaveLength(1);
  });

  it('is a webhook that was made over REST, which is greeted with a ping', async () => {
    await test.start({ webhook: undefined as never });
    const hook = { name: 'web', config: { url: test.receiver.url, secret: 's' }, events: ['workflow_job'] };
    const made = await test.call<{ id: number }>('POST', '/repos/acme/app/hooks', hook);
    expect(made.status).toBe(201);
    test.github.queueJob();
    test.github.queueJob({ repository: 'acme/web' });
    await test.github.webhooks.settled();
    expect(test.receiver.received.map(({ headers }) => headers['x-github-event']).sort()).toEqual([
      'ping',
      'workflow_job',
    ]);
    expect(test.firstReceived().headers['content-type']).toBe('application/x-www-form-urlencoded');
    const deliveries = await test.call<DeliveryItem[]>(
      'GET',
      `/repos/acme/app/hooks/${made.json.id}/deliveries`,
    );
    expect(deliveries.json).toHaveLength(2);
    expect((await test.call('GET', `/repos/acme/web/hooks/${made.json.id}/deliveries`)).status).toBe(404);
  });
});
