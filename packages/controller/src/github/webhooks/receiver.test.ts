/** The receiver alone, with a clock that is moved: how long it waits, and what it logs. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { until } from '@mig/testkit/github/until';
import { createManualClock, type ManualClock } from '../../../../common/src/manual-clock.contract.js';
import { createMemoryStore, type MemoryStore } from '../../store/memory-store.contract.js';
import { createTestLog, type TestLog } from '../../test-log.contract.js';
import { createWorkflowJobBook } from '../jobs/job-book.js';
import { createWebhookReceiver, type WebhookReceiver, type WebhookRequest } from './receiver.js';
import { EXAMPLES, webhook } from './test-webhook.contract.js';

let folder: string;
let clock: ManualClock;
let log: TestLog;
let store: MemoryStore;
let receiver: WebhookReceiver;

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'mig-receiver-'));
  const secretFile = path.join(folder, 'secret');
  await writeFile(secretFile, 'secret');
  clock = createManualClock();
  log = createTestLog();
  store = createMemoryStore();
  const { logger } = log;
  const jobs = createWorkflowJobBook({ store, clock, logger }, { retentionMs: 1e9, maxFinished: 100 });
  receiver = createWebhookReceiver({ jobs, clock, logger }, { secretFile, previousSecretFile: '' });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function request(secret = 'secret', payload: unknown = EXAMPLES[1]): WebhookRequest {
  const { body, headers } = webhook(payload, secret);
  return {
    event: headers['x-github-event'],
    delivery: headers['x-github-delivery'],
    signature: headers['x-hub-signature-256'],
    isForm: false,
    body: Buffer.from(body),
    from: '127.0.0.1',
  };
}

describe('a store that is slow', () => {
  it('when the job is not on disk after 8 s, then GitHub is told to keep the delivery; when it comes again, it is a duplicate', async () => {
    const release = store.hold();
    const sent = request();
    const answer = receiver.receive(sent);
    await until('it waits for the store', () => clock.timerCount === 1);
    clock.advance(7_999);
    clock.advance(1);
    expect(await answer).toMatchObject({ kind: 'refused', status: 503, code: 'store-unavailable' });
    release();
    expect(await receiver.receive(sent)).toEqual({ kind: 'duplicate' });
    expect(clock.timerCount).toBe(0);
    expect(store.workflowJobs.size).toBe(1);
  });
});

describe('what is logged of refusals', () => {
  it('when there are very many in a minute, then 30 are logged, and the next minute says how many were not', async () => {
    for (let n = 0; n < 100; n += 1) await receiver.receive(request('guessed'));
    const warned = () => log.lines().filter((line) => line['event'] === 'webhook_refused');
    expect(warned()).toHaveLength(30);
    clock.advance(60_000);
    await receiver.receive(request('guessed'));
    expect(warned()).toHaveLength(31);
    expect(warned().at(-1)).toMatchObject({ suppressed: 70 });
    expect(receiver.status()).toMatchObject({
      taken: 0,
      refused: { 'webhook-signature': 101 },
      lastDeliveryAt: undefined,
      problem: expect.stringContaining('X-Hub-Signature-256') as unknown,
    });
  });

  it('when one is taken after that, then its problem is gone, and the counts stay', async () => {
    await receiver.receive(request('guessed'));
    await receiver.receive(request());
    expect(receiver.status()).toEqual({
      lastDeliveryAt: clock.now(),
      taken: 1,
      duplicates: 0,
      ignored: 0,
      refused: { 'webhook-signature': 1 },
      problem: undefined,
    });
  });

  it('when a header holds what a terminal obeys, then the log has it harmless and short', async () => {
    const sent = { ...request(), delivery: `\u001b[2J${'x'.repeat(500)}` };
    expect(await receiver.receive(sent)).toMatchObject({ status: 400 });
    const [line] = log.lines().filter(({ event }) => event === 'webhook_refused');
    expect(line?.['delivery']).toMatch(/^\\x1b\[2Jx{90,100}…$/);
  });
});
