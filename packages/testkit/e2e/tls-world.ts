/** Certificates of `migctl certs`, controllers in this process that use them, and clients that show them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type http from 'node:http';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { Client, Metadata, credentials, type ClientDuplexStream } from '@grpc/grpc-js';
import { systemClock, type Clock } from '@mig/common/clock';
import { silentLogger } from '@mig/common/logger';
import { commandServiceDefinition } from '@mig/common/wire/command-service';
import { decodeControllerMessage } from '@mig/common/wire/controller-message';
import { encodeMigletMessage } from '@mig/common/wire/miglet-message';
import { controllerConfigSchema } from '@mig/controller/config';
import { startController, type Controller } from '@mig/controller/controller';
import { ROOT, run, type Finished } from './system.js';

const MIGCTL = path.join(ROOT, 'packages', 'cli', 'bin', 'migctl.js');

/** PEM of one who connects. */
export interface Shown {
  readonly ca: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

export interface CertsFolder {
  readonly directory: string;
  file(name: string): string;
  pem(name: string): Buffer;
  migctl(...args: string[]): Promise<Finished>;
  /** `migctl certs ACTION --dir …`; fails if that does. */
  certs(...args: string[]): Promise<void>;
  /** What a client shows that has this certificate; default: none. */
  shown(name?: string): Shown;
  cleanUp(): void;
}

export function createCertsFolder(): CertsFolder {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'mig-tls-'));
  const directory = path.join(folder, 'certs');
  const file = (name: string): string => path.join(directory, name);
  const pem = (name: string): Buffer => readFileSync(file(name));
  const migctl = (...args: string[]): Promise<Finished> =>
    run(MIGCTL, args, { MIGCTL_CONFIG: path.join(folder, 'contexts.json') }).finished;
  return {
    directory,
    file,
    pem,
    migctl,
    async certs(action = '', ...args) {
      const { code, stderr } = await migctl('certs', action, ...args, '--dir', directory);
      if (code !== 0) throw new Error(`migctl certs ${action}: ${code} ${stderr}`);
    },
    shown: (name) => ({
      ca: pem('ca.pem'),
      ...(name === undefined ? {} : { cert: pem(`${name}.pem`), key: pem(`${name}.key`) }),
    }),
    cleanUp: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A clock whose wall is moved: certificates expire by it, and no test waits. */
export function createMovedClock(): Clock & { move(byMs: number): void } {
  let offsetMs = 0;
  return {
    ...systemClock,
    now: () => systemClock.now() + offsetMs,
    move(byMs) {
      offsetMs += byMs;
    },
  };
}

export interface TlsController {
  readonly controller: Controller;
  /** Over a connection of its own, or that of the agent. Rejects with how the connection failed. */
  get(target: string, shown: Shown, agent?: https.Agent): Promise<HttpAnswer>;
  post(target: string, body: object, shown: Shown, agent?: https.Agent): Promise<HttpAnswer>;
  grpc(shown: Shown): GrpcClient;
  stop(): Promise<void>;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers: http.IncomingHttpHeaders;
}

export interface GrpcClient {
  /** Status of a call of grpc.health.v1; 0 = it serves. */
  health(): Promise<number>;
  stream(vmId: string): OpenStream;
  close(): void;
}

export interface OpenStream {
  isUp: boolean;
  /** Its status, when it has ended. */
  ended: number | undefined;
  /** Messages that came. */
  received: number;
  readonly call: ClientDuplexStream<Buffer, Buffer>;
}

/** @param settings of `tls`, beside the certificate of localhost */
export async function startTlsController(
  folder: CertsFolder,
  settings: Readonly<Record<string, string>>,
  clock: Clock = systemClock,
): Promise<TlsController> {
  const dataDirectory = mkdtempSync(path.join(os.tmpdir(), 'mig-tls-data-'));
  const controller = await startController({
    config: controllerConfigSchema.parse({
      data_dir: dataDirectory,
      http: { port: 0 },
      grpc: { port: 0 },
      tls: {
        cert_file: folder.file('localhost.pem'),
        key_file: folder.file('localhost.key'),
        reload: '100ms',
        ...settings,
      },
      pools: { open: { allow_unauthenticated: true }, sealed: { join: { methods: ['mtls'] } } },
      shutdown: { deadline: '1s' },
    }),
    clock,
    logger: silentLogger,
    random: Math.random,
    version: 'test',
  });
  const ask = (
    method: string,
    target: string,
    shown: Shown,
    agent: https.Agent | false,
    body?: object,
  ): Promise<HttpAnswer> =>
    new Promise((resolve, reject) => {
      const request = https.request(
        {
          ...{ host: '127.0.0.1', port: controller.httpPort, path: target, method, agent, ...shown },
          headers: body === undefined ? {} : { 'content-type': 'application/json' },
        },
        (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => (text += chunk.toString()));
          response.on('error', reject);
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, text, headers: response.headers }),
          );
        },
      );
      request.on('error', reject);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  return {
    controller,
    get: (target, shown, agent) => ask('GET', target, shown, agent ?? false),
    post: (target, body, shown, agent) => ask('POST', target, shown, agent ?? false, body),
    grpc: (shown) => createGrpcClient(controller.grpcPort, shown),
    async stop() {
      await controller.stop();
      rmSync(dataDirectory, { recursive: true, force: true });
    },
  };
}

function createGrpcClient(port: number, { ca, cert, key }: Shown): GrpcClient {
  const client = new Client(`127.0.0.1:${port}`, credentials.createSsl(ca, key ?? null, cert ?? null), {
    'grpc.use_local_subchannel_pool': 1,
  });
  const asIs = (bytes: Buffer): Buffer => bytes;
  return {
    health: () =>
      new Promise((resolve) => {
        const deadline = Date.now() + 20_000;
        const path = '/grpc.health.v1.Health/Check';
        client.makeUnaryRequest(path, asIs, asIs, Buffer.alloc(0), { deadline }, (error) =>
          resolve(error?.code ?? 0),
        );
      }),
    stream(vmId) {
      const { path: method } = commandServiceDefinition.streamCommands;
      const call = client.makeBidiStreamRequest(method, asIs, asIs, new Metadata());
      const open: OpenStream = { call, isUp: false, ended: undefined, received: 0 };
      call.on('data', (bytes: Buffer) => {
        open.received += 1;
        if (decodeControllerMessage(bytes).kind === 'connectAck') open.isUp = true;
      });
      call.on('error', () => undefined);
      call.on('status', ({ code }) => (open.ended = code));
      const request = { vmId, poolId: 'open', orgId: '', version: '1', bootId: '', state: '', labels: [] };
      call.write(Buffer.from(encodeMigletMessage({ kind: 'connect', request })));
      return open;
    },
    close: () => client.close(),
  };
}

/** How a handshake with this port ends: `open`, or the code of its error. */
export function handshake(port: number, options: tls.ConnectionOptions): Promise<string> {
  return new Promise((resolve) => {
    const socket = tls.connect({ host: '127.0.0.1', port, ...options });
    socket.once('secureConnect', () => {
      resolve('open');
      socket.destroy();
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}
