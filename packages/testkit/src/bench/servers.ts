/** The servers that are measured: the controller, and the yardsticks. */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '../system/wait.js';
import type { Target } from './load/protocol.js';
import type { ProbeAnswer, ProbeRequest } from './processes/probe-protocol.js';
import { startWorker, type WorkerProcess } from './processes/worker-process.js';
import type { PartName } from './figures.js';
import { controllerEnv, operatorToken, type Security } from './security.js';
import { unitFlags } from './unit-flags.js';

export const SERVERS = ['controller', 'nice-grpc', 'nice-grpc-quiet', 'grpc-js', 'http2'] as const;
export type ServerName = (typeof SERVERS)[number];

/** What the figures of the others are held against. */
export const YARDSTICK: ServerName = 'nice-grpc';

interface ServerSpec {
  readonly title: string;
  /** Arguments of Node; undefined for the controller. */
  readonly yardstick: readonly string[] | undefined;
  readonly dialect: Target['dialect'];
  readonly parts: readonly PartName[];
}

const COMMON: readonly PartName[] = ['connect', 'memory', 'steady', 'heartbeats', 'restart'];
export const SERVER_SPECS: Readonly<Record<ServerName, ServerSpec>> = {
  controller: {
    title: 'controller',
    yardstick: undefined,
    dialect: 'contract',
    parts: [...COMMON, 'commands', 'drain'],
  },
  'nice-grpc': {
    title: 'bare nice-grpc',
    yardstick: ['nice-grpc', 'acks'],
    dialect: 'contract',
    parts: [...COMMON, 'commands', 'drain'],
  },
  // What heartbeats cost a bare server that acknowledges none of them, as the controller does not.
  'nice-grpc-quiet': {
    title: 'nice-grpc, no acks',
    yardstick: ['nice-grpc', 'quiet'],
    dialect: 'contract',
    parts: ['heartbeats'],
  },
  'grpc-js': {
    title: 'bare grpc-js',
    yardstick: ['grpc-js', 'acks'],
    dialect: 'contract',
    parts: [...COMMON, 'commands', 'drain'],
  },
  http2: { title: 'http2 echo', yardstick: ['http2', 'acks'], dialect: 'echo', parts: COMMON },
};

export interface RunningServer {
  readonly pid: number;
  readonly target: Target;
  /** From its start until it listened. */
  readonly startMs: number;
  probe(probe: ProbeRequest['probe']): Promise<ProbeAnswer>;
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export interface ServerPlace {
  /** What it stores. */
  readonly dataDirectory: string;
  /** Again after it has ended: with what it stored. @throws Error with its last words if it does not listen in time */
  start(): Promise<RunningServer>;
}

export interface ServerPlaceOptions {
  readonly name: ServerName;
  /** Everything that the server leaves behind. */
  readonly folder: string;
  readonly core: number | undefined;
  /** Flags of Node beside those that it is brought out with, such as `--cpu-prof`. */
  readonly nodeFlags: readonly string[];
  readonly security: Security;
  readonly signal: AbortSignal;
  /** Told of every process, so that none is left. */
  readonly onStart: (process: { kill(): Promise<void> }) => void;
}

const HOST = '127.0.0.1';
const START_DEADLINE_MS = 60_000;
const STOP_PATIENCE_MS = 15_000;
/** Programs are the compiled ones, also in a test, which runs from the sources. */
const PROBE = new URL('../../dist/bench/processes/probe.js', import.meta.url).href;
const YARDSTICK_PROGRAM = fileURLToPath(new URL('../../dist/bench/yardsticks/main.js', import.meta.url));
/** The production build, as it is brought onto other machines. */
const CONTROLLER_PROGRAM = fileURLToPath(
  new URL('../../../controller/bundle/controller.mjs', import.meta.url),
);

export function createServerPlace(options: ServerPlaceOptions): ServerPlace {
  const { name, folder, core, nodeFlags, security, signal } = options;
  const { yardstick, dialect } = SERVER_SPECS[name];
  const dataDirectory = path.join(folder, 'data');
  const logFile = path.join(folder, 'server.log');
  mkdirSync(folder, { recursive: true });
  appendFileSync(logFile, '');

  function spawnServer(): WorkerProcess {
    const { tls } = security;
    const program =
      yardstick === undefined
        ? [...unitFlags('controller'), '--import', PROBE, CONTROLLER_PROGRAM]
        : ['--import', PROBE, YARDSTICK_PROGRAM, ...yardstick, tls?.certFile ?? '', tls?.keyFile ?? ''];
    return startWorker({
      name: SERVER_SPECS[name].title,
      args: [...nodeFlags, ...program],
      env: {
        PATH: process.env['PATH'],
        CONTROLLER_DATA_DIR: dataDirectory,
        CONTROLLER_HTTP_HOST: HOST,
        CONTROLLER_HTTP_PORT: '0',
        CONTROLLER_GRPC_HOST: HOST,
        CONTROLLER_GRPC_PORT: '0',
        ...controllerEnv(security),
      },
      core,
      logFile,
    });
  }

  return {
    dataDirectory,
    async start() {
      const logBytes = readFileSync(logFile).length;
      const startedMs = performance.now();
      const worker = spawnServer();
      options.onStart(worker);
      let listening: Record<string, unknown> | undefined;
      await Promise.race([
        waitUntil(
          `${SERVER_SPECS[name].title} listens`,
          () =>
            (listening = findListening(readFileSync(logFile).subarray(logBytes).toString())) !== undefined,
          { deadlineMs: START_DEADLINE_MS, everyMs: 5, signal },
        ),
        worker.ended.then((error) => {
          throw error;
        }),
      ]);
      const startMs = performance.now() - startedMs;
      const port = String(listening?.['grpc']).split(':').at(-1);
      return {
        pid: worker.pid,
        startMs,
        target: {
          http: String(listening?.['http']),
          grpcHost: HOST,
          grpcPort: Number(port),
          dialect,
          pid: worker.pid,
          ca: security.tls?.ca,
          operatorToken: yardstick === undefined ? operatorToken(security, dataDirectory) : undefined,
          joinToken: security.join?.token,
        },
        probe: async (probe) => (await worker.ask({ probe } satisfies ProbeRequest)) as ProbeAnswer,
        kill: () => worker.kill(),
        stop: () => worker.stop(STOP_PATIENCE_MS),
      };
    },
  };
}

/** The line in which a server says where it listens. */
function findListening(log: string): Record<string, unknown> | undefined {
  const line = log.split('\n').find((text) => text.includes('"event":"listening"') && text.endsWith('}'));
  return line === undefined ? undefined : (JSON.parse(line) as Record<string, unknown>);
}

/** @throws Error that says what to do, if the production build is not there */
export function assertBuilt(): void {
  if (!existsSync(CONTROLLER_PROGRAM))
    throw new Error(`${CONTROLLER_PROGRAM} is not there: run "npm run setup"`);
}
