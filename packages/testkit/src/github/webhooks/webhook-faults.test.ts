import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestWebhooks, type TestWebhooks } from './test-webhooks.contract.js';

let test: TestWebhooks;
beforeEach(async () => {
  test = await createTestWebhooks();
});
afterEach(() => test.close());

describe('faults', () => {
  it('lose a delivery, which is on the list and can be had again, or which nobody ever hears of', async () => {
    await test.start();
    test.github.webhooks.faults.loseNext({ action: 'queued' });
    test.github.webhooks.faults.loseNext({ recorded: false });
    test.github.queueJob();
    test.github.queueJob();
    const { id } = test.github.queueJob();
    await test.github.webhooks.settled();
    expect(test.told()).toEqual([['queued', id]]);
    expect((await test.list()).json.map(({ status }) => status).sort()).toEqual([
      'OK',
      'failed to connect to host',
    ]);
  });

  it('send a delivery twice, with one GUID', async () => {
    await test.start();
    test.github.webhooks.faults.duplicateNext();
    test.github.queueJob();
    test.github.queueJob();
    await test.github.webhooks.settled();
    const guids = test.receiver.received.map(({ headers }) => headers['x-github-delivery']);
    expect([guids.length, new Set(guids).size]).toEqual([3, 2]);
  });

  it('keep deliveries until all are there and send them in the opposite order', async () => {
    await test.start();
    test.github.webhooks.faults.reorderNext(3);
    const jobs = [test.github.queueJob(), test.github.queueJob()];
    await test.github.webhooks.settled();
    expect(test.told()).toEqual([]);
    jobs.push(test.github.queueJob(), test.github.queueJob());
    await test.github.webhooks.settled();
    const ids = test.told().map(([, id]) => id);
    const [first, second, third, fourth] = jobs.map(({ id }) => id);
    expect(ids.filter((id) => id !== fourth)).toEqual([third, second, first]);
    expect(ids).toHaveLength(4);
  });

  it('delay a delivery while others overtake it', async () => {
    await test.start();
    test.github.webhooks.faults.delayNext({ delayMs: 30 });
    const late = test.github.queueJob();
    const early = test.github.queueJob();
    await test.github.webhooks.settled();
    expect(test.told()).toEqual([
      ['queued', early.id],
      ['queued', late.id],
    ]);
  });

  it('leave out the labels of a job that is over', async () => {
    await test.start();
    test.github.webhooks.faults.setEmptyLabels(true);
    await test.runJob();
    const completed = test.receiver.received.find(({ payload }) => payload.action === 'completed');
    expect(completed?.payload.workflow_job['labels']).toEqual([]);
  });

  it('by chance are the same for the same seed', async () => {
    const round = async () => {
      await test.start();
      test.receiver.received.length = 0;
      test.github.webhooks.faults.setChaos({
        seed: 3,
        lost: 0.3,
        duplicated: 0.3,
        delayMs: { min: 0, max: 10 },
      });
      for (let count = 0; count < 20; count += 1) test.github.queueJob();
      await test.github.webhooks.settled();
      return test
        .told()
        .map(([, id]) => Number(id))
        .sort((a, b) => a - b);
    };
    const first = await round();
    await test.github.close();
    expect(await round()).toEqual(first);
    const counts = new Map<number, number>();
    for (const id of first) counts.set(id, (counts.get(id) ?? 0) + 1);
    expect(counts.size).toBeLessThan(20);
    expect([...counts.values()]).toContain(2);
  });

  it('are set over HTTP too', async () => {
    await test.start();
    const set = (body: unknown) => test.call('POST', '/_stand-in/admin/faults', body);
    expect((await set({ webhooks: { loseNext: { count: 2 } } })).status).toBe(200);
    test.github.queueJob();
    test.github.queueJob();
    const { id } = test.github.queueJob();
    await test.github.webhooks.settled();
    expect(test.told()).toEqual([['queued', id]]);
  });
});
