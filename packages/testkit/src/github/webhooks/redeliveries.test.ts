import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestWebhooks, type TestWebhooks } from './test-webhooks.contract.js';

let test: TestWebhooks;
beforeEach(async () => {
  test = await createTestWebhooks();
});
afterEach(() => test.close());

describe('a redelivery', () => {
  it('has the GUID and the payload of the first attempt, and is marked', async () => {
    await test.start();
    test.receiver.answerWith(500);
    test.github.queueJob();
    await test.github.webhooks.settled();
    test.receiver.answerWith(202);
    const [failed] = (await test.list()).json;
    const again = await test.call(
      'POST',
      `/app/hook/deliveries/${failed?.id}/attempts`,
      undefined,
      test.asApp(),
    );
    expect(again.status).toBe(202);
    await test.github.webhooks.settled();
    const [first, second] = test.receiver.received;
    expect(second?.headers['x-github-delivery']).toBe(first?.headers['x-github-delivery']);
    expect(second?.body).toBe(first?.body);
    expect(
      (await test.list()).json.map(({ guid, redelivery, status }) => [guid, redelivery, status]),
    ).toEqual([
      [failed?.guid, true, 'OK'],
      [failed?.guid, false, 'Invalid HTTP Response: 500'],
    ]);
    expect((await test.call('POST', '/app/hook/deliveries/1/attempts', undefined, test.asApp())).status).toBe(
      404,
    );
  });

  it('can be had by a test, in process and over HTTP', async () => {
    await test.start();
    test.github.queueJob();
    await test.github.webhooks.settled();
    const [delivery] = test.github.webhooks.deliveries();
    expect(test.github.webhooks.redeliver(delivery?.id ?? 0)).toBe(true);
    const path = `/_stand-in/admin/deliveries/${delivery?.id}/attempts`;
    expect((await test.call('POST', path)).status).toBe(202);
    await test.github.webhooks.settled();
    expect(test.receiver.received).toHaveLength(3);
    const shown = await test.call<{ deliveries: unknown[] }>('GET', '/_stand-in/admin/deliveries');
    expect(shown.json.deliveries).toHaveLength(3);
  });
});
