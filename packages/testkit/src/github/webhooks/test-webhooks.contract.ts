/** A stand-in GitHub that sends its webhooks over real sockets, and a receiver that keeps what it gets. */
import { createAppKey, signAppJwt } from '../app/app-key.js';
import { createStandInGitHub, type StandInGitHub, type StandInGitHubOptions } from '../stand-in-github.js';
import { createTestCall, type TestCall, type TestReply } from '../test-client.contract.js';
import { registerRunner, SUCCESS } from '../test-runner.contract.js';
import { createTestReceiver, type ReceivedWebhook, type TestReceiver } from './test-receiver.contract.js';

export const KEY = createAppKey();
export const SECRET = 'a webhook secret';

/** A delivery as it is listed over REST. */
export interface DeliveryItem {
  readonly id: number;
  readonly guid: string;
  readonly status: string;
  readonly status_code: number;
  readonly redelivery: boolean;
  readonly duration: number;
  readonly action: string;
}

export interface TestWebhooks {
  readonly receiver: TestReceiver;
  /** The one that was started last. */
  readonly github: StandInGitHub;
  /** Starts a GitHub, with an App whose webhook leads to the receiver. */
  start(options?: Partial<StandInGitHubOptions>): Promise<void>;
  readonly call: TestCall;
  /** The header of a call as the App. */
  asApp(): { readonly authorization: string };
  /** The deliveries as the App sees them. */
  list(query?: string, headers?: Record<string, string>): Promise<TestReply<DeliveryItem[]>>;
  /** The one that came first. */
  firstReceived(): ReceivedWebhook;
  /** What was received: action and job. */
  told(): [action: string, jobId: number][];
  /** A job from its queue to its end, on a runner of its own. */
  runJob(): Promise<{ readonly id: number; readonly runnerId: number }>;
  close(): Promise<void>;
}

const nowS = () => Math.floor(Date.now() / 1000);

export async function createTestWebhooks(): Promise<TestWebhooks> {
  const receiver = await createTestReceiver();
  let github: StandInGitHub;

  const test: TestWebhooks = {
    receiver,
    get github() {
      return github;
    },
    async start(options = {}) {
      github = await createStandInGitHub({
        tokens: ['secret'],
        app: { keys: [KEY.publicKey] },
        webhook: { url: receiver.url, secret: SECRET },
        ...options,
      });
    },
    call: createTestCall(() => github),
    asApp: () => ({
      authorization: `Bearer ${signAppJwt(KEY.privateKey, { iss: '4711', iat: nowS() - 60, exp: nowS() + 300 })}`,
    }),
    list: (query = '', headers = test.asApp()) =>
      test.call('GET', `/app/hook/deliveries${query}`, undefined, headers),
    firstReceived() {
      const [first] = receiver.received;
      if (first === undefined) throw new Error('nothing was received');
      return first;
    },
    told: () => receiver.received.map(({ payload }) => [payload.action, payload.workflow_job.id]),
    async runJob() {
      const runner = await registerRunner(github, github.issueToken('registration'));
      const session = await runner.openSession();
      const { id } = github.queueJob({ steps: [{ name: 'make', run: 'true' }] });
      await runner.poll(session);
      await runner.job(id, 'acquire');
      await runner.job(id, 'complete', SUCCESS);
      await github.webhooks.settled();
      return { id, runnerId: runner.id };
    },
    async close() {
      await github.close();
      await receiver.close();
    },
  };
  return test;
}
