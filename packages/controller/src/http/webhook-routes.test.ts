/** Webhooks against a whole controller: GitHub's own examples, and the stand-in GitHub with all that can happen on the way. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { WorkflowJobResource } from '@mig/common/api/workflow-job-resource';
import { createAppKey } from '@mig/testkit/github/app/app-key';
import { createStandInGitHub, type StandInGitHub } from '@mig/testkit/github/stand-in-github';
import { EXAMPLES, payloadOf, webhook, type SentWebhook } from '../github/webhooks/test-webhook.contract.js';
import { startTestController, type TestController } from '../test-controller.contract.js';
import { expectProblem } from './expect-problem.contract.js';

const SECRET = 'webhook-SECRET-of-now';
const OLD_SECRET = 'webhook-SECRET-of-before';

let folder: string;
let secretFile: string;
let previousSecretFile: string;
let test: TestController;

const start = (webhookKeys: Record<string, unknown> = {}) =>
  startTestController({
    config: {
      controller_id: 'k3x9f2',
      github: {
        request_timeout: '10s',
        webhook: { secret_file: secretFile, previous_secret_file: previousSecretFile, ...webhookKeys },
      },
    },
  });

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'mig-webhooks-'));
  secretFile = path.join(folder, 'secret');
  previousSecretFile = path.join(folder, 'previous');
  await writeFile(secretFile, `${SECRET}\n`);
  await writeFile(previousSecretFile, `${OLD_SECRET}\n`);
  test = await start();
});
afterEach(async () => {
  await test.dispose();
  await rm(folder, { recursive: true, force: true });
});

const post = (sent: SentWebhook) => test.call('POST', '/webhooks/github', sent);
const refused = (sent: SentWebhook) => expectProblem(test, 'POST', '/webhooks/github', sent);
async function listed(query = ''): Promise<WorkflowJobResource[]> {
  const { json } = await test.call<{ workflow_jobs: WorkflowJobResource[] }>(
    'GET',
    `/api/v1/workflow-jobs${query}`,
  );
  return json.workflow_jobs;
}
const warnings = () => test.log.lines().filter((line) => line['event'] === 'webhook_refused');

describe("GitHub's eight examples", () => {
  it('when they are signed with the secret of now or before, as JSON or as a form, then each is taken, and its job is listed', async () => {
    expect(EXAMPLES).toHaveLength(8);
    for (const [index, payload] of EXAMPLES.entries()) {
      const { status, json } = await post(webhook(payload, index % 2 === 0 ? SECRET : OLD_SECRET));
      expect({ index, status, json }).toEqual({ index, status: 202, json: { result: 'taken' } });
      const form = new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
      const asForm = webhook(form, SECRET, { 'content-type': 'application/x-www-form-urlencoded' });
      expect((await post(asForm)).json).toEqual({ result: 'taken' });
    }
    expect(await listed()).toMatchObject([
      { id: '289782451', run_attempt: 1, status: 'completed', org: 'Octocoders' },
      { id: '2832853555', run_attempt: 1, status: 'in_progress', runner_name: 'my runner', org: 'octo-org' },
      { id: '12877621891', status: 'waiting', labels: ['self-hosted', 'k8s'] },
      { id: '14541957942', status: 'in_progress', repository: 'wolfy1339/github-events-schemas' },
    ]);
    expect(warnings()).toEqual([]);
  });

  it('when the signature is wrong, of another body, of another kind or missing, then each is 401, logged, and changes nothing', async () => {
    for (const payload of EXAMPLES) {
      const other = webhook(EXAMPLES[0] === payload ? EXAMPLES[1] : EXAMPLES[0], SECRET);
      for (const sent of [
        webhook(payload, 'guessed'),
        webhook(payload, SECRET, { 'x-hub-signature-256': other.headers['x-hub-signature-256'] }),
        webhook(payload, SECRET, { 'x-hub-signature-256': undefined }),
      ]) {
        expect(await refused(sent)).toMatchObject({
          status: 401,
          type: 'urn:mig:problem:webhook-signature',
          detail: expect.stringMatching(/^X-Hub-Signature-256 /) as unknown,
        });
      }
    }
    expect(warnings().length).toBe(24);
    expect(warnings()[0]).toMatchObject({ level: 'warn', status: 401, code: 'webhook-signature' });
    expect(await listed()).toEqual([]);
    for (let n = 0; n < 30; n += 1) await refused(webhook(EXAMPLES[0], 'guessed'));
    expect(warnings().length).toBe(30);
    expect(test.log.text()).not.toMatch(/SECRET|sha256=/);
  });

  it('when the secret is replaced, then the next webhook is checked with the new one, without a restart', async () => {
    await writeFile(secretFile, 'webhook-SECRET-of-tomorrow');
    await writeFile(previousSecretFile, SECRET);
    expect((await post(webhook(EXAMPLES[0], 'webhook-SECRET-of-tomorrow'))).status).toBe(202);
    expect((await post(webhook(EXAMPLES[0], SECRET))).status).toBe(202);
    expect((await post(webhook(EXAMPLES[0], OLD_SECRET))).status).toBe(401);
  });

  it('when the rotation is over, and the file of the old secret is empty or gone, then a wrong signature is 401', async () => {
    await writeFile(previousSecretFile, '\n');
    expect((await post(webhook(EXAMPLES[0], OLD_SECRET))).status).toBe(401);
    await rm(previousSecretFile);
    expect((await post(webhook(EXAMPLES[0], OLD_SECRET))).status).toBe(401);
    expect((await post(webhook(EXAMPLES[0], SECRET))).status).toBe(202);
  });
});

describe('a webhook that comes twice', () => {
  it('when the copy comes at once, later, or after a restart, then it is taken once', async () => {
    const sent = webhook(payloadOf({ id: 7, status: 'completed' }), SECRET);
    const results = (await Promise.all([post(sent), post(sent)])).map(({ json }) => json['result']);
    expect(results.sort()).toEqual(['duplicate', 'taken']);
    await test.restart();
    expect((await post(sent)).json).toEqual({ result: 'duplicate' });
    expect(await listed()).toMatchObject([{ id: '7', status: 'completed' }]);
  });
});

describe('what is no workflow_job', () => {
  it('when GitHub says ping, then it is 200; when it is another event or action, then 202 and ignored', async () => {
    expect(await post(webhook({ zen: 'x' }, SECRET, { 'x-github-event': 'ping' }))).toMatchObject({
      status: 200,
      json: { result: 'pong' },
    });
    expect(await post(webhook({}, SECRET, { 'x-github-event': 'push' }))).toMatchObject({
      status: 202,
      json: { result: 'ignored' },
    });
    expect((await post(webhook(payloadOf({ id: 7 }, 'teleported'), SECRET))).json).toEqual({
      result: 'ignored',
    });
    expect(await listed()).toEqual([]);
  });

  it.each([
    ['no JSON', '{"action": "queued"', /payload: /],
    ['another shape', [], /payload: /],
    ['no job', { ...EXAMPLES[1], workflow_job: undefined }, /workflow_job: /],
    ['an id that is no number', payloadOf({ id: '../../etc', status: 'queued' }), /workflow_job\.id: /],
    ['an id below 1', payloadOf({ id: -7, status: 'queued' }), /workflow_job\.id: /],
    ['labels of another kind', payloadOf({ labels: [1], status: 'queued' }), /workflow_job\.labels\.0: /],
    [
      'a time that is none',
      payloadOf({ created_at: 'soon', status: 'queued' }),
      /workflow_job\.created_at: /,
    ],
    ['no repository', { ...EXAMPLES[1], repository: {} }, /repository\.full_name: .*repository\.owner: /],
  ])(
    'when the payload has %s, then it is 400 and names what is wrong, and is logged',
    async (_, payload, detail) => {
      expect(await refused(webhook(payload, SECRET))).toMatchObject({
        status: 400,
        type: 'urn:mig:problem:bad-webhook',
        detail: expect.stringMatching(detail) as unknown,
      });
      expect(warnings()).toHaveLength(1);
      expect(await listed()).toEqual([]);
    },
  );

  it('when a header is missing, the body is of another type or too large, then it is refused, and says why', async () => {
    const without = (header: string) => webhook(EXAMPLES[0], SECRET, { [header]: undefined });
    expect(await refused(without('x-github-event'))).toMatchObject({ status: 400 });
    expect(await refused(without('x-github-delivery'))).toMatchObject({
      status: 400,
      detail: 'X-GitHub-Delivery is missing, or is no GUID',
    });
    expect(await refused(webhook('a form', SECRET, { 'content-type': 'text/plain' }))).toMatchObject({
      status: 415,
    });
    expect(await refused(webhook('x'.repeat(4 * 1024 * 1024 + 1), SECRET))).toMatchObject({ status: 413 });
    expect((await post(webhook({ ...EXAMPLES[0], extra: 'x'.repeat(2_000_000) }, SECRET))).status).toBe(202);
  });
});

describe('a controller that cannot take webhooks', () => {
  it('when no secret is configured, then it is 503 and names the key', async () => {
    await test.dispose();
    test = await start({ secret_file: '' });
    expect(await refused(webhook(EXAMPLES[0], SECRET))).toMatchObject({
      status: 503,
      type: 'urn:mig:problem:webhooks-not-configured',
      detail: expect.stringContaining('github.webhook.secret_file') as unknown,
    });
  });

  it.each(['missing', 'empty'])(
    'when the file with the secret is %s, then it is 503, logged, and works again when it is there',
    async (how) => {
      if (how === 'missing') await rm(secretFile);
      else await writeFile(secretFile, '\n');
      const sent = webhook(EXAMPLES[0], SECRET);
      expect(await refused(sent)).toMatchObject({
        status: 503,
        type: 'urn:mig:problem:webhook-secret-unreadable',
        detail: expect.stringMatching(
          /the secret of the webhook.*github\.webhook\.secret_file|github\.webhook\.secret_file.*the secret/,
        ) as unknown,
      });
      expect(warnings()).toHaveLength(1);
      await writeFile(secretFile, SECRET);
      expect((await post(sent)).json).toEqual({ result: 'taken' });
    },
  );

  it('when it stops, then it is 503, so that GitHub keeps the delivery as failed', async () => {
    await test.miglet();
    const stopped = test.controller.stop();
    expect(await refused(webhook(EXAMPLES[0], SECRET))).toMatchObject({
      status: 503,
      type: 'urn:mig:problem:stopping',
    });
    await stopped;
  });

  it('when the job cannot be stored, then it is 503, and is taken when it comes again', async () => {
    const sent = webhook(payloadOf({ id: 7, status: 'completed' }), SECRET);
    const log = path.join(test.directory, 'data', '.wal');
    // Root may write anywhere: a file where the folder should be stops it too.
    await rm(log, { recursive: true, force: true });
    await writeFile(log, 'a file');
    expect(await refused(sent)).toMatchObject({ status: 503, type: 'urn:mig:problem:store-unavailable' });
    expect(await listed()).toEqual([]);
    await rm(log);
    expect((await post(sent)).json).toEqual({ result: 'taken' });
    await test.restart();
    expect(await listed()).toMatchObject([{ id: '7' }]);
  });
});

describe('jobs of the stand-in GitHub', () => {
  let github: StandInGitHub;
  beforeEach(async () => {
    github = await createStandInGitHub({
      tokens: [],
      app: { keys: [createAppKey().publicKey] },
      webhook: { url: `http://127.0.0.1:${test.controller.httpPort}/webhooks/github`, secret: SECRET },
    });
  });
  afterEach(() => github.close());

  it('when webhooks are duplicated, delayed and out of order, then the list has each job once, as GitHub has it', async () => {
    github.webhooks.faults.setChaos({ seed: 7, duplicated: 0.4, delayMs: { min: 0, max: 60 } });
    for (let n = 0; n < 20; n += 1)
      github.queueJob({ ...(n % 4 === 0 ? { environment: 'production' } : {}) });
    for (const job of github.jobs())
      if (job.status === 'waiting' && job.id % 8 === 1) github.approveJob(job.id);
    await github.webhooks.settled();
    const expected = github.jobs().map(({ id, status }) => ({ id: String(id), status }));
    expect((await listed()).map(({ id, status }) => ({ id, status }))).toEqual(expected);
    expect(new Set(github.webhooks.deliveries().map(({ statusCode }) => statusCode))).toEqual(new Set([202]));
  });

  it('when it is told to ping, then GitHub notes that it was answered', async () => {
    github.webhooks.ping();
    await github.webhooks.settled();
    expect(github.webhooks.deliveries().map(({ statusCode, answer }) => [statusCode, answer])).toEqual([
      [200, '{"result":"pong"}'],
    ]);
  });
});
