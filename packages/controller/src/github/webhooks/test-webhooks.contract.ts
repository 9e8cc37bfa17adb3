/**
 * The webhook side of a controller between a stand-in GitHub and a store in memory, with a real HTTP server and one clock for
 * all: it can be away for a while, and start again on what it had stored.
 */
import fastify, { type FastifyInstance } from 'fastify';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { VmRecord } from '@mig/common/domain/vm';
import { createAppKey } from '@mig/testkit/github/app/app-key';
import { createStandInGitHub, type StandInGitHub } from '@mig/testkit/github/stand-in-github';
import { createManualClock, type ManualClock } from '../../../../common/src/manual-clock.contract.js';
import { controllerConfigSchema } from '../../config.js';
import type { VmView } from '../../fleet/fleet.js';
import { webhookRoutes } from '../../http/webhook-routes.js';
import { createMemoryStore, type MemoryStore } from '../../store/memory-store.contract.js';
import { createTestLog, type TestLog } from '../../test-log.contract.js';
import { createOwnership, type Ownership } from '../runners/ownership.js';
import { createWebhooks, type Webhooks } from './create-webhooks.js';
import { createTestGitHubClient, type TestGitHubClient } from './test-github-client.contract.js';

const SECRET = 'the-webhook-SECRET';
const APP_ID = 4711;
const key = createAppKey();

export interface TestWebhooks {
  readonly clock: ManualClock;
  readonly log: TestLog;
  readonly github: StandInGitHub;
  readonly client: TestGitHubClient;
  readonly ownership: Ownership;
  readonly fleet: Map<string, VmRecord>;
  /** Those that were started last. */
  readonly webhooks: Webhooks;
  readonly store: MemoryStore;
  /** Stops the receiver: every webhook fails until `goOn`. */
  goAway(): Promise<void>;
  /** Another controller, with what the last one had stored, where the last one was. */
  goOn(): Promise<void>;
  /** Time passes; every round that falls due is at its end, and every webhook delivered, when it resolves. */
  pass(durationMs: number): Promise<void>;
  /** The status of each job, by its number, as the controller has it. */
  statuses(): Record<string, string>;
  /** … and as GitHub has it. */
  truth(): Record<string, string>;
  dispose(): Promise<void>;
}

/** Short enough to see the first round, 5 s after the start; over a long time a round is late by this. */
const stepMs = (durationMs: number): number => (durationMs > 10 * 60_000 ? 20_000 : 5_000);

export async function startTestWebhooks(): Promise<TestWebhooks> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'mig-webhooks-'));
  const secretFile = path.join(folder, 'secret');
  await writeFile(secretFile, SECRET);
  const clock = createManualClock();
  const log = createTestLog();
  const github = await createStandInGitHub({
    tokens: [],
    app: { id: APP_ID, keys: [key.publicKey] },
    clock,
  });
  const client = createTestGitHubClient({
    apiUrl: github.apiUrl,
    appId: APP_ID,
    privateKey: key.privateKey,
    clock,
  });
  const config = controllerConfigSchema.parse({
    github: {
      auth: 'app',
      app_id: APP_ID,
      private_key_file: 'none',
      webhook: { secret_file: secretFile },
    },
  });
  const ownership = createOwnership('mig', 'k3x9f2');
  const fleet = new Map<string, VmRecord>();
  const viewOf = (record: VmRecord): VmView => ({
    record,
    link: 'connected',
    liveness: 'alive',
    heardAtMs: 0,
    silentMs: 0,
  });
  let store = createMemoryStore();
  let app: FastifyInstance | undefined;
  let port = 0;
  let webhooks: Webhooks;

  async function start(): Promise<void> {
    webhooks = createWebhooks(
      {
        store,
        fleet: {
          get(vmId) {
            const record = fleet.get(vmId);
            return record && viewOf(record);
          },
          views: () => [...fleet.values()].map(viewOf),
        },
        ownership,
        client,
        clock,
        logger: log.logger,
      },
      config,
    );
    const server = fastify({ forceCloseConnections: true });
    await server.register((scope, _, done) => {
      webhookRoutes(scope, { webhooks });
      done();
    });
    await server.listen({ host: '127.0.0.1', port });
    port = (server.server.address() as AddressInfo).port;
    app = server;
    webhooks.start();
  }

  async function stop(): Promise<void> {
    await webhooks.stop();
    await app?.close();
    app = undefined;
  }

  await start();
  github.webhooks.configure({ url: `http://127.0.0.1:${port}/webhooks/github`, secret: SECRET });

  return {
    clock,
    log,
    github,
    client,
    ownership,
    fleet,
    get webhooks() {
      return webhooks;
    },
    get store() {
      return store;
    },
    goAway: stop,
    async goOn() {
      if (app !== undefined) await stop();
      store = createMemoryStore({
        workflowJobs: [...store.workflowJobs.values()],
        documents: store.documents,
      });
      await start();
    },
    async pass(durationMs) {
      const step = stepMs(durationMs);
      for (let left = durationMs; left > 0; left -= step) {
        clock.advance(Math.min(step, left));
        // A round that has just begun: of two at a time there is one.
        if (app !== undefined) await webhooks.settled();
        await github.webhooks.settled();
      }
    },
    statuses: () => Object.fromEntries([...webhooks.jobs.all()].map(({ id, status }) => [id, status])),
    truth: () =>
      Object.fromEntries(
        github.jobs().map(({ id, status }) => [String(id), status === 'assigned' ? 'queued' : status]),
      ),
    async dispose() {
      await stop();
      await github.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
