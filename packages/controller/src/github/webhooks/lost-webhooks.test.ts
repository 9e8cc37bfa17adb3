/** A whole controller that signs in as a GitHub App, and was away while the stand-in GitHub told of jobs. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { GitHubResource } from '@mig/common/api/github-resource';
import type { WorkflowJobResource } from '@mig/common/api/workflow-job-resource';
import { createAppKey } from '@mig/testkit/github/app/app-key';
import { createStandInGitHub, type StandInGitHub } from '@mig/testkit/github/stand-in-github';
import { until } from '@mig/testkit/github/until';
import { createManualClock, type ManualClock } from '../../../../common/src/manual-clock.contract.js';
import { startTestController, type TestController } from '../../test-controller.contract.js';

const MINUTE_MS = 60_000;
const SECRET = 'webhook-SECRET-for-all';
const TOKEN = 'ghp_SECRET-token';
const key = createAppKey();

let folder: string;
let clock: ManualClock;
let github: StandInGitHub;
let test: TestController;

const inFolder = (name: string): string => path.join(folder, name);

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'mig-lost-'));
  clock = createManualClock();
  await writeFile(inFolder('secret'), SECRET);
  await writeFile(inFolder('key.pem'), key.privateKey);
  await writeFile(inFolder('token'), TOKEN);
});
afterEach(async () => {
  await test.dispose();
  await github.close();
  await rm(folder, { recursive: true, force: true });
});

async function start(signIn: object, webhook: object = {}): Promise<void> {
  test = await startTestController({
    clock,
    config: {
      github: {
        api_url: github.apiUrl,
        org: 'acme',
        request_timeout: '10s',
        writes_per_second: 50,
        webhook: { secret_file: inFolder('secret'), ...webhook },
        ...signIn,
      },
    },
  });
  tellThisController();
}
const tellThisController = () =>
  github.webhooks.configure({
    url: `http://127.0.0.1:${test.controller.httpPort}/webhooks/github`,
    secret: SECRET,
  });

async function statuses(): Promise<Record<string, string>> {
  const { json } = await test.call<{ workflow_jobs: WorkflowJobResource[] }>(
    'GET',
    '/api/v1/workflow-jobs?limit=1000',
  );
  return Object.fromEntries(json.workflow_jobs.map(({ id, status }) => [id, status]));
}
const truth = () => Object.fromEntries(github.jobs().map(({ id, status }) => [String(id), status]));

/** Time passes until the controller has found what was lost, and knows what GitHub knows. */
async function passUntilKnown(): Promise<void> {
  await until('every job is known', async () => {
    clock.advance(1_000);
    await github.webhooks.settled();
    const { json } = await test.call<GitHubResource>('GET', '/api/v1/github');
    const { redelivery } = json.webhooks;
    if (redelivery?.last_round_at === undefined || redelivery.lost > 0) return false;
    return JSON.stringify(await statuses()) === JSON.stringify(truth());
  });
}

async function beAwayForAnHour(): Promise<void> {
  await test.controller.stop();
  for (let n = 0; n < 12; n += 1) {
    github.queueJob(n % 3 === 0 ? { environment: 'production' } : {});
    const waiting = github.jobs().find(({ status }) => status === 'waiting');
    if (n === 6 && waiting !== undefined) github.approveJob(waiting.id);
    await github.webhooks.settled();
    clock.advance(5 * MINUTE_MS);
  }
  await test.restart();
  tellThisController();
}

describe('a controller that was away for an hour', () => {
  it('when it signs in as an App, then it has all that it missed delivered again, and tells how that went', async () => {
    github = await createStandInGitHub({ tokens: [], app: { keys: [key.publicKey] }, clock });
    await start({ auth: 'app', app_id: 4711, private_key_file: inFolder('key.pem') });
    github.queueJob();
    await github.webhooks.settled();
    await passUntilKnown();
    await beAwayForAnHour();
    await passUntilKnown();
    const failed = github.webhooks.deliveries().filter(({ statusCode }) => statusCode !== 202);
    const again = github.webhooks.deliveries().filter(({ redelivery }) => redelivery);
    expect(failed.length).toBeGreaterThanOrEqual(12);
    expect(again.length).toBe(failed.length);
    expect((await test.call('GET', '/api/v1/github')).json).toMatchObject({
      webhooks: { configured: true, redelivery: { source: '/app/hook', lost: 0 } },
    });
    expect(github.violations()).toEqual([]);
    expect(test.log.text()).not.toMatch(/SECRET|PRIVATE KEY|ghs_/);
  });

  it('when it has a token and the id of the webhook, then it looks there', async () => {
    github = await createStandInGitHub({ tokens: [TOKEN], clock });
    await start({ auth: 'token', token_file: inFolder('token') }, { hook_id: github.webhooks.hookId });
    await beAwayForAnHour();
    await passUntilKnown();
    expect((await test.call('GET', '/api/v1/github')).json).toMatchObject({
      webhooks: { redelivery: { source: `/orgs/acme/hooks/${github.webhooks.hookId}`, lost: 0 } },
    });
    expect(github.violations()).toEqual([]);
  });

  it('when it has a token and no id of a webhook, then it says that it cannot look, and why', async () => {
    github = await createStandInGitHub({ tokens: [TOKEN], clock });
    await start({ auth: 'token', token_file: inFolder('token') });
    expect((await test.call('GET', '/api/v1/github')).json).toMatchObject({
      webhooks: { redelivery: null, redelivery_off: expect.stringContaining('hook_id') as unknown },
    });
    expect(test.log.text()).toContain('lost webhooks are not looked for');
  });
});
