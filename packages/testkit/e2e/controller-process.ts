/** The controller's bundle as a process on a folder and ports that outlive it, so that it can be killed and started again. */
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
  /** SIGKILL, and the next one on the same folder and ports. */
  killAndStart(): Promise<void>;
  stop(): Promise<void>;
}

/** @param env settings, as CONTROLLER_… */
export async function startControllerProcess(
  dataDirectory: string,
  env: Record<string, string> = {},
): Promise<ControllerProcess> {
  let running: Running;
  let http = '';
  let grpc = '';

  async function start(httpPort: string, grpcPort: string): Promise<void> {
    const flags = ['--data-dir', dataDirectory, '--http-port', httpPort, '--grpc-port', grpcPort];
    const child = run(CONTROLLER, flags, env);
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
