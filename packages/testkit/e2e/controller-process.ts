/** The controller's bundle as a process on a folder and ports that outlive it, so that it can be killed and started again. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { until } from '@mig/testkit/github/until';
import { ROOT, run, type Running } from './system.js';

const CONTROLLER = path.join(ROOT, 'packages', 'controller', 'bundle', 'controller.mjs');

export interface ControllerProcess {
  /** http://127.0.0.1:PORT */
  readonly http: string;
  /** 127.0.0.1:PORT */
  readonly grpc: string;
  readonly pid: number;
  /** What migctl needs of the environment: the controller, and the credential of its first admin. */
  readonly operator: Readonly<Record<'MIGCTL_SERVER' | 'MIGCTL_TOKEN' | 'MIGCTL_CONFIG', string>>;
  /** What a MIGlet needs of the environment: the controller, and what it joins by. */
  readonly member: Readonly<Record<string, string>>;
  /** The operator API, as its first admin; fails if the answer is no success. */
  call<T>(method: string, route: string, body?: unknown): Promise<T>;
  /** SIGKILL, and the next one on the same folder and ports. */
  killAndStart(): Promise<void>;
  stop(): Promise<void>;
}

/** It asks for credentials, as it does by default. @param env settings, as CONTROLLER_… */
export async function startControllerProcess(
  dataDirectory: string,
  env: Record<string, string> = {},
): Promise<ControllerProcess> {
  let running: Running;
  let http = '';
  let grpc = '';

  mkdirSync(dataDirectory, { recursive: true });
  const joinTokenFile = path.join(dataDirectory, '..', 'join-token');
  writeFileSync(joinTokenFile, 'mig_join-of-this-test\n', { mode: 0o600 });

  async function start(httpPort: string, grpcPort: string): Promise<void> {
    const flags = ['--data-dir', dataDirectory, '--http-port', httpPort, '--grpc-port', grpcPort];
    const child = run(CONTROLLER, flags, { CONTROLLER_AUTH_JOIN_TOKEN_FILE: joinTokenFile, ...env });
    running = child;
    const line = await until(
      'the controller listens',
      () =>
        child
          .output()
          .split('\n')
          .find((text) => text.includes('"listening"')),
      30_000,
    );
    ({ http, grpc } = JSON.parse(line) as { http: string; grpc: string });
  }

  await start('0', '0');
  const adminToken = readFileSync(path.join(dataDirectory, '.auth', 'admin-token'), 'utf8').trim();
  const portOf = (endpoint: string): string => endpoint.split(':').at(-1) ?? '';
  return {
    get http() {
      return http;
    },
    get grpc() {
      return grpc;
    },
    get pid() {
      return running.pid;
    },
    get operator() {
      return { MIGCTL_SERVER: http, MIGCTL_TOKEN: adminToken, MIGCTL_CONFIG: '/nowhere/at/all' };
    },
    get member() {
      return {
        MIGLET_CONTROLLER_ENDPOINT: http,
        MIGLET_CONTROLLER_GRPC_ENDPOINT: grpc,
        MIGLET_CONTROLLER_JOIN_TOKEN_FILE: joinTokenFile,
      };
    },
    async call<T>(method: string, route: string, body?: unknown) {
      const response = await fetch(`${http}/api/v1/${route}`, {
        method,
        headers: {
          authorization: `Bearer ${adminToken}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (!response.ok) throw new Error(`${method} ${route}: ${response.status} ${await response.text()}`);
      return (await response.json()) as T;
    },
    async killAndStart() {
      running.signal('SIGKILL');
      await running.finished;
      await start(portOf(http), portOf(grpc));
    },
    async stop() {
      running.signal('SIGTERM');
      await running.finished;
    },
  };
}
