/** A whole controller for tests: real sockets on free ports, real files in a temporary folder, a log that is kept. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { systemClock, type Clock } from '@mig/common/clock';
import { createStandInGitHub, type StandInGitHub } from '@mig/testkit/github/stand-in-github';
import type * as z from 'zod';
import { controllerConfigSchema } from './config.js';
import { startController, type Controller } from './controller.js';
import type { ConnectRequest } from '@mig/common/domain/messages';
import { createTestLog, type TestLog } from './test-log.contract.js';
import { connectMiglet, openStream, type TestMiglet } from './test-miglet.contract.js';

export const GITHUB_TOKEN = 'ghp_THE-CONTROLLERS-OWN-SECRET';

export const TEST_CONTROLLER_ID = 'k3x9f2';

export interface Answer<T = Record<string, unknown>> {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  readonly json: T;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  /** The address that it is asked from, of 127/8; default: 127.0.0.1. */
  readonly from?: string;
}

/** What a test has of a controller. `dispose` ends all that it made. */
export interface TestController {
  readonly directory: string;
  readonly log: TestLog;
  /** There if it was asked for. */
  readonly github: StandInGitHub;
  controller: Controller;
  /** The path goes out as it is, without any clean-up. A body that is a text goes out as it is. */
  call<T = Record<string, unknown>>(method: string, path: string, options?: CallOptions): Promise<Answer<T>>;
  /** Asks again and again until the answer is as it should be; its last answer. Fails after 5 s, and names `what`. */
  eventually<T = Record<string, unknown>>(what: string, path: string, isSo: (json: T) => boolean): Promise<T>;
  /** Opens a stream that says nothing yet. */
  stream(): TestMiglet;
  /** Opens a stream and connects. */
  miglet(request?: Partial<ConnectRequest>): Promise<TestMiglet>;
  /** Stops the controller and starts another on the same data. */
  restart(): Promise<void>;
  dispose(): Promise<void>;
}

export interface TestControllerOptions {
  readonly withGitHub?: boolean;
  readonly clock?: Clock;
  /** Of the section `github`, besides what leads to the stand-in. */
  readonly github?: Partial<z.input<typeof controllerConfigSchema>['github']>;
  /** As in the configuration file. */
  readonly config?: z.input<typeof controllerConfigSchema>;
}

export async function startTestController(options: TestControllerOptions = {}): Promise<TestController> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'mig-controller-'));
  const log = createTestLog();
  const github = options.withGitHub
    ? await createStandInGitHub({ tokens: [GITHUB_TOKEN], runnerGroups: ['large'] })
    : undefined;
  const tokenFile = path.join(directory, 'github-token');
  await writeFile(tokenFile, `${GITHUB_TOKEN}\n`);
  const config = controllerConfigSchema.parse({
    data_dir: path.join(directory, 'data'),
    // What is not about credentials is tested without them.
    insecure: true,
    http: { port: 0 },
    grpc: { port: 0 },
    controller_id: TEST_CONTROLLER_ID,
    ...(github === undefined
      ? {}
      : {
          github: {
            auth: 'token',
            api_url: github.url,
            web_url: github.url,
            token_file: tokenFile,
            ...options.github,
          },
        }),
    shutdown: { deadline: '2s' },
    ...options.config,
  });
  const start = () =>
    startController({
      config,
      clock: options.clock ?? systemClock,
      logger: log.logger,
      random: () => 0.5,
      version: '0.1.0',
    });
  const agent = new http.Agent({ keepAlive: false });
  const streams: TestMiglet[] = [];
  const test: TestController = {
    directory,
    log,
    get github() {
      if (github === undefined) throw new Error('this controller was started without a GitHub');
      return github;
    },
    controller: await start(),
    call: (method, target, { body, headers = {}, from } = {}) =>
      new Promise((resolve, reject) => {
        const content = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
        const request = http.request(
          {
            host: '127.0.0.1',
            port: test.controller.httpPort,
            method,
            path: target,
            agent,
            ...(from === undefined ? {} : { localAddress: from }),
            headers: { ...(content === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
          },
          (response) => {
            let text = '';
            response.setEncoding('utf8');
            response.on('data', (chunk: string) => (text += chunk));
            response.on('end', () => {
              const isJson = /json/.test(response.headers['content-type'] ?? '');
              const json = (isJson ? JSON.parse(text) : {}) as never;
              resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
            });
          },
        );
        request.on('error', reject);
        request.end(content);
      }),
    async eventually<T>(what: string, target: string, isSo: (json: T) => boolean) {
      const deadline = performance.now() + 15_000;
      for (;;) {
        const { json } = await test.call<T>('GET', target);
        if (isSo(json)) return json;
        if (performance.now() > deadline) throw new Error(`${what}: not so after 15 s`);
      }
    },
    stream() {
      const stream = openStream(test.controller.grpcPort);
      streams.push(stream);
      return stream;
    },
    async miglet(request) {
      const stream = await connectMiglet(test.controller.grpcPort, request);
      streams.push(stream);
      return stream;
    },
    async restart() {
      await test.controller.stop();
      test.controller = await start();
    },
    async dispose() {
      for (const stream of streams) stream.close();
      await test.controller.stop();
      await github?.close();
      agent.destroy();
      await rm(directory, { recursive: true, force: true });
    },
  };
  return test;
}
